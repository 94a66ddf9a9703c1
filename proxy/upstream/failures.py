"""Maps each failure of a call to its UpstreamError, in one table (CONTRACT G08)."""

from typing import Final

from pydantic import ValidationError

from proxy.errors import UpstreamError
from proxy.jsons import BadJson
from proxy.upstream.breaker import Verdict
from proxy.upstream.http1 import errors
from proxy.upstream.http1.errors import BadAnswer, NotConnected, WrongLength


class Garbage(Exception):
    """An answer of the wrong type, encoding, length or meaning."""


class Oversized(Exception):
    """An answer above the size limit."""


# The first row that fits counts, so a subclass stands above its base class.
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

# Nothing was sent. A server that refuses connections is unreachable, like one whose name is not found.
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


# The connection failed. In the first two cases another connection may succeed.
_HUNG_UP: Final = ("-unreachable", "-cut")
_BROKEN: Final = (*_HUNG_UP, "-refused-connection", "-tls", "-proxy-refused")


def of_error(upstream: str, error: Exception, *, arrived: bool) -> UpstreamError:
    """Returns the error for one of FOREIGN, without its text: it may quote URLs, headers and answers."""
    kind, cause = next((kind, cause) for foreign, kind, cause in _TABLE if isinstance(error, foreign))
    return UpstreamError(kind, f"{upstream}-{cause}", arrived=arrived)


def of_no_connection(upstream: str, error: NotConnected) -> UpstreamError:
    """Returns the error for a connection that could not be opened."""
    kind, cause = _NOT_CONNECTED.get(error.why, ("upstream_failed", error.why))
    return UpstreamError(kind, f"{upstream}-{cause}", arrived=False)


def of_status(upstream: str, status: int) -> UpstreamError | None:
    """Returns the error for an answer's HTTP status; None for a 2xx."""
    if 200 <= status < 300:
        return None
    kind = _KINDS.get(status, "upstream_refused" if 300 <= status < 500 else "upstream_failed")
    cause = "redirect" if 300 <= status < 400 else str(status)
    return UpstreamError(kind, f"{upstream}-{cause}", status=status, arrived=True)


def of_full_pool(upstream: str) -> UpstreamError:
    """Returns the error for a call that got no free connection in time."""
    return UpstreamError("upstream_busy", f"{upstream}-busy", arrived=False)


def verdict(error: UpstreamError) -> Verdict:
    """Returns the verdict of a failed call: an upstream that answers works, unless it answers with a 5xx."""
    if error.kind.endswith("_timeout") or error.cause.endswith(_BROKEN) or (error.status or 0) >= 500:
        return "fails"
    return "works" if error.arrived else "unknown"


def is_hung_up(error: UpstreamError) -> bool:
    """Returns whether the connection was lost or not opened: a second try of the call may succeed."""
    return error.cause.endswith(_HUNG_UP)
