"""Startup checks of a server: refuses what is unsafe, and warns of what may be a mistake."""

import ipaddress
from typing import Final

import structlog
from aiohttp.http_parser import HttpRequestParser, HttpRequestParserPy

from proxy.addresses import Address, is_plain
from proxy.cli.check.cross_checks import without_llamachat
from proxy.cli.common import ENV_FILE, Misuse
from proxy.environment import mode_read_by_others
from proxy.mapping.table import Table
from proxy.settings import Settings

_SLOW_PARSER: Final = (
    "aiohttp runs without its C parser, the only one that is tested here: unset AIOHTTP_NO_EXTENSIONS, and "
    "install aiohttp from a wheel for this platform"
)

_log: Final = structlog.get_logger("proxy.posture")


def refuse_what_is_unsafe() -> None:
    """Raises Misuse when this Python must not serve; `python -O` runs no command at all."""
    if HttpRequestParser is HttpRequestParserPy:
        raise Misuse(_SLOW_PARSER)


def warn_of_missing(settings: Settings, table: Table) -> None:
    """Logs the missing settings without which routes of the mapping files will fail."""
    if settings.llamachat_url is None and (routes := without_llamachat(table)):
        _log.warning("llamachat_missing", routes=routes)


def warn_of(settings: Settings) -> None:
    """Logs settings that are allowed, but may be a mistake."""
    if not _is_this_machine(settings.admin_listen):
        _log.warning("admin_listens_beyond_this_machine", address=str(settings.admin_listen))
    if mode := mode_read_by_others(ENV_FILE):
        _log.warning("env_file_readable_by_others", file=str(ENV_FILE), mode=mode)
    if settings.legacy_url is not None and is_plain(settings.legacy_url):
        _log.warning("legacy_server_without_tls", url=settings.legacy_url)


def _is_this_machine(address: Address) -> bool:
    try:
        return ipaddress.ip_address(address.host).is_loopback
    except ValueError:
        return address.host == "localhost"
