"""`michiq-proxy healthcheck`: asks, inside a container, whether the proxy is ready.

The command runs every few seconds, so it imports little: it reads the settings that it needs without the
others, which the proxy has checked at its start.
"""

import json
import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

import click

from proxy.addresses import Address, parse_address
from proxy.cli.common import ENV_FILE, Failure, Misuse
from proxy.environment import ADMIN_LISTEN, Unreadable, read_env_file

_SECONDS: Final = 5.0
_MAX_ANSWER: Final = 1024 * 1024
# The first one that is set; only the admin listener speaks TLS.
_STATUS: Final = "MICHIQ_STATUS_LISTEN"
_SETTINGS: Final = (_STATUS, "MICHIQ_ADMIN_LISTEN")
_CERTIFICATE: Final = "MICHIQ_TLS_CERT"
# A server listens on a wildcard address; a client can't connect to one.
_LOOPBACK: Final = {"0.0.0.0": "127.0.0.1", "::": "localhost"}  # noqa: S104


@click.command()
def healthcheck() -> None:
    """Ask /readyz on MICHIQ_STATUS_LISTEN, else on MICHIQ_ADMIN_LISTEN; exit code 0 only when ready."""
    address, tls = _address()
    try:
        status, body = _asked(address, tls=tls)
    except (OSError, LookupError, ValueError) as error:
        raise Failure(f"no answer on {address}: {type(error).__name__}") from None
    if status != 200:
        raise Failure(f"not ready: {address} answers {status}{_reasons(body)}")
    click.echo("ready")


def _address() -> tuple[Address, bool]:
    """Returns the address to ask, and whether it speaks TLS."""
    try:
        given = {**read_env_file(ENV_FILE), **os.environ}
    except Unreadable as error:
        raise Misuse("\n".join(error.problems)) from None
    name = next((name for name in _SETTINGS if _value(given, name)), "")
    try:
        address = parse_address(_value(given, name) or ADMIN_LISTEN)
    except ValueError as error:
        raise Misuse(f"{name} {error}") from None
    return address, name != _STATUS and _value(given, _CERTIFICATE) != ""


def _value(given: Mapping[str, str], name: str) -> str:
    return given.get(name, "").strip()


def _asked(address: Address, *, tls: bool) -> tuple[int, bytes]:
    """Returns the status and the body. Raises OSError, and LookupError or ValueError for what is no answer.

    HTTP/1.0 (RFC 9112, section 6.3): the body ends where the connection does.
    """
    target = _LOOPBACK.get(address.host, address.host), address.port
    opened = socket.create_connection(target, _SECONDS)
    with _encrypted(opened) if tls else opened as connection:
        connection.sendall(f"GET /readyz HTTP/1.0\r\nHost: {address}\r\n\r\n".encode())
        with connection.makefile("rb") as answer:
            whole = answer.read(_MAX_ANSWER)
    head, _, body = whole.partition(b"\r\n\r\n")
    return int(head.split(None, 2)[1]), body


def _encrypted(opened: socket.socket) -> socket.socket:
    """Returns the connection with TLS; no certificate is checked.

    The command talks to its own machine, and the certificate names the address that others use.
    """
    import ssl  # more than all the rest: only where the listener speaks TLS

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(opened)


def _reasons(body: bytes) -> str:
    """Returns the reasons as ` (store-full)` where there are any."""
    with suppress(ValueError, TypeError, KeyError):
        if reasons := json.loads(body)["reasons"]:
            return f" ({', '.join(reasons)})"
    return ""
