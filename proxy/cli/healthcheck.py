"""`michiq-proxy healthcheck`: for containers, whether the proxy beside it is ready."""

import json
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse

import click

from proxy.addresses import Address
from proxy.cli.common import Failure, read_settings

_SECONDS = 5.0
# A wildcard is where a server listens, not where a client connects to.
_LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "localhost"}  # noqa: S104


@click.command()
def healthcheck() -> None:
    """Ask /readyz on MICHIQ_STATUS_LISTEN, else on MICHIQ_ADMIN_LISTEN; exit code 0 only if it is ready."""
    settings = read_settings()
    address = settings.status_listen or settings.admin_listen
    try:
        status, reasons = _readyz(address)
    except (OSError, HTTPException) as error:
        raise Failure(f"no answer on {address}: {type(error).__name__}") from None
    if status != 200:
        raise Failure(f"not ready: {address} answers {status}{reasons}")
    click.echo("ready")


def _readyz(address: Address) -> tuple[int, str]:
    """Returns the status, and the reasons as ` (store-full)` where there are any."""
    connection = HTTPConnection(_LOOPBACK.get(address.host, address.host), address.port, timeout=_SECONDS)
    try:
        connection.request("GET", "/readyz")
        response = connection.getresponse()
        return response.status, _reasons(response)
    finally:
        connection.close()


def _reasons(response: HTTPResponse) -> str:
    with suppress(ValueError, TypeError, KeyError):
        if reasons := json.loads(response.read())["reasons"]:
            return f" ({', '.join(reasons)})"
    return ""
