"""The one table of what can go wrong in a call, and the error that each of it becomes (CONTRACT G08)."""

from typing import Final

from pydantic import ValidationError

from proxy.errors import UpstreamError
from proxy.jsons import BadJson
from proxy.upstream.breaker import Verdict
from proxy.upstream.http1 import errors
from proxy.upstream.http1.errors import BadAnswer, NotConnected, WrongLength


class Garbage(Exception):
    """An answer that is not what was asked for: type, encoding, length or meaning."""


class Oversized(Exception):
    """An answer above the cap."""


# The first row that fits counts: the more special type stands above the more general one.
_TABLE: Final[tuple[tuple[type[Exception], str, str], ...]] = (
    (Oversized, "upstream_failed", "oversized"),
    (Garbage, "upstream_failed", "garbage"),
    (BadJson, "upstream_failed", "garbage"),
    (ValidationError, "upstream_failed", "garbage"),
    (BadAnswer, "upstream_failed", "garbage"),
    (TimeoutError, "upstream_timeout", "timeout"),
    (WrongLength, "upstream_failed", "cut"),
    (OSError, "upstream_failed", "cut"),
    (ValueError, "upstream_failed", "unsendable"),
)

FOREIGN: Final = tuple(row[0] for row in _TABLE)

# Nothing was sent: who refuses a connection is, like who can't be found, unreachable.
_NOT_CONNECTED: Final = {
    errors.TIMEOUT: ("upstream_timeout", "timeout"),
    errors.REFUSED: ("upstream_failed", "unreachable"),
}

_KINDS: Final = {
    401: "upstream_unauthorized",
    402: "upstream_no_credits",
    403: "upstream_unauthorized",
    429: "upstream_busy",
}


# The connection failed. In the first two cases another one may do better.
_HUNG_UP: Final = ("-unreachable", "-cut")
_BROKEN: Final = (*_HUNG_UP, "-refused-connection", "-tls", "-proxy-refused")


def of_error(upstream: str, error: Exception, *, arrived: bool) -> UpstreamError:
    """What one of FOREIGN becomes; nothing of its text, which may quote URLs, headers and answers."""
    kind, cause = next((kind, cause) for foreign, kind, cause in _TABLE if isinstance(error, foreign))
    return UpstreamError(kind, f"{upstream}-{cause}", arrived=arrived)


def of_no_connection(upstream: str, error: NotConnected) -> UpstreamError:
    """Returns what a connection that didn't come about becomes."""
    kind, cause = _NOT_CONNECTED.get(error.why, ("upstream_failed", error.why))
    return UpstreamError(kind, f"{upstream}-{cause}", arrived=False)


def of_status(upstream: str, status: int) -> UpstreamError | None:
    """What an answer's HTTP status says; None for a 2xx."""
    if 200 <= status < 300:
        return None
    kind = _KINDS.get(status, "upstream_refused" if 300 <= status < 500 else "upstream_failed")
    cause = "redirect" if 300 <= status < 400 else str(status)
    return UpstreamError(kind, f"{upstream}-{cause}", status=status, arrived=True)


def of_full_pool(upstream: str) -> UpstreamError:
    """What waiting in vain for a free connection becomes."""
    return UpstreamError("upstream_busy", f"{upstream}-busy", arrived=False)


def verdict(error: UpstreamError) -> Verdict:
    """What a failed call says of its upstream: whoever answers works, unless it says that it does not."""
    if error.kind.endswith("_timeout") or error.cause.endswith(_BROKEN) or (error.status or 0) >= 500:
        return "fails"
    return "works" if error.arrived else "unknown"


def is_hung_up(error: UpstreamError) -> bool:
    """Whether the connection was lost, or did not come about: the same call may do better on another one."""
    return error.cause.endswith(_HUNG_UP)
