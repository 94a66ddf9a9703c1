"""Checks what the settings name: hosts, connections, certificates, the store; sends no request."""

import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

from proxy.cli.common import Failure
from proxy.cli.shared.store_access import with_store
from proxy.settings import Settings
from proxy.store import Store

_SECONDS: Final = 5.0
_SOON: Final = timedelta(days=14)


def problems(settings: Settings) -> Iterator[tuple[bool, str]]:
    """Yields each problem: whether it is an error, and its sentence. A missing store is an error, too."""
    for name in ("llamalitica_api_url", "llamalitica_web_url", "llamachat_url", "legacy_url", "tee_url"):
        url = getattr(settings, name)
        if url is not None:
            yield from _of_url(f"MICHIQ_{name.upper()}", url, getattr(settings, "ca_file", None))
    try:
        with_store(settings, _writable)
    except Failure as error:
        yield True, str(error)


async def _writable(store: Store) -> None:
    await store.check()


def _of_url(setting: str, url: str, authorities: object) -> Iterator[tuple[bool, str]]:
    """Connects, and does the TLS handshake; does not check what the host is or does."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    try:
        with socket.create_connection((host, port), timeout=_SECONDS) as connection:
            if parts.scheme == "https":
                yield from _of_certificate(setting, host, _ends(connection, host, authorities))
    except socket.gaierror:
        yield True, f"{setting}: the name {host} can't be resolved here (DNS)"
    except ssl.SSLCertVerificationError as error:
        yield True, f"{setting}: the certificate of {host} is not trusted: {error.verify_message}"
    except OSError as error:
        yield True, f"{setting}: no connection to {host}:{port}: {error.strerror or type(error).__name__}"


def _ends(connection: socket.socket, host: str, authorities: object) -> datetime | None:
    context = ssl.create_default_context()
    if authorities is not None:
        context.load_verify_locations(str(authorities))
    with context.wrap_socket(connection, server_hostname=host) as secured:
        end = (secured.getpeercert() or {}).get("notAfter")
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(end), UTC) if isinstance(end, str) else None


def _of_certificate(setting: str, host: str, end: datetime | None) -> Iterator[tuple[bool, str]]:
    if end is not None and end - datetime.now(UTC) < _SOON:
        yield False, f"{setting}: the certificate of {host} expires on {end:%Y-%m-%d}"
