"""`michiq-proxy healthcheck`: asks, inside a container, whether the proxy is ready.

The command runs every few seconds, so it imports little: it reads the settings that it needs without the
others, which the proxy has checked at its start.
"""

import json
import os
import socket
from contextlib import suppress
from typing import Final

import click

from proxy.addresses import Address, is_loopback, parse_address
from proxy.cli.common import ENV_FILE, Failure, Misuse
from proxy.environment import ADMIN_LISTEN, Unreadable, read_env_file

_SECONDS: Final = 5.0
_MAX_ANSWER: Final = 1024 * 1024
# The first one that is set.
_SETTINGS: Final = ("MICHIQ_STATUS_LISTEN", "MICHIQ_ADMIN_LISTEN")
# A server listens on a wildcard address; a client can't connect to one.
_LOOPBACK: Final = {"0.0.0.0": "127.0.0.1", "::": "localhost"}  # noqa: S104


@click.command()
def healthcheck() -> None:
    """Ask /readyz on MICHIQ_STATUS_LISTEN, else on MICHIQ_ADMIN_LISTEN; exit code 0 only when ready."""
    address, has_tls = _address()
    try:
        status, body = _asked(address, has_tls=has_tls)
    except (OSError, LookupError, ValueError) as error:
        raise Failure(f"no answer on {address}: {type(error).__name__}") from None
    if status != 200:
        raise Failure(f"not ready: {address} answers {status}{_reasons(body)}")
    click.echo("ready")


def _address() -> tuple[Address, bool]:
    """Returns the address to ask, and whether it speaks TLS (`Settings.admin_has_tls`)."""
    try:
        given = {**read_env_file(ENV_FILE), **os.environ}
    except Unreadable as error:
        raise Misuse("\n".join(error.problems)) from None
    name = next((name for name in _SETTINGS if given.get(name, "").strip()), "")
    certificate = given.get("MICHIQ_TLS_CERT", "").strip()
    try:
        address = parse_address(given[name].strip() if name else ADMIN_LISTEN)
        return address, bool(certificate) and name == "MICHIQ_ADMIN_LISTEN" and not is_loopback(address.host)
    except ValueError as error:
        raise Misuse(f"{name} {error}") from None


def _asked(address: Address, *, has_tls: bool) -> tuple[int, bytes]:
    """Returns the status and the body. Raises OSError, and LookupError or ValueError for what is no answer.

    HTTP/1.0 (RFC 9112, section 6.3): the body ends where the connection does.
    """
    target = _LOOPBACK.get(address.host, address.host), address.port
    with _wrapped(socket.create_connection(target, _SECONDS), has_tls=has_tls) as connection:
        connection.sendall(f"GET /readyz HTTP/1.0\r\nHost: {address}\r\n\r\n".encode())
        with connection.makefile("rb") as answer:
            whole = answer.read(_MAX_ANSWER)
    head, _, body = whole.partition(b"\r\n\r\n")
    return int(head.split(None, 2)[1]), body


def _wrapped(connection: socket.socket, *, has_tls: bool) -> socket.socket:
    if not has_tls:
        return connection
    import ssl  # more than all the rest: only where the listener speaks TLS

    # The certificate has other names than this address, and the question no secret. Authorities would only
    # be read in vain.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context.wrap_socket(connection)


def _reasons(body: bytes) -> str:
    """Returns the reasons as ` (store-full)` where there are any."""
    with suppress(ValueError, TypeError, KeyError):
        if reasons := json.loads(body)["reasons"]:
            return f" ({', '.join(reasons)})"
    return ""
