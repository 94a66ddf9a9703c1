"""Maps each failure of a call to its UpstreamError, in one table (CONTRACT G08)."""

from typing import Final, NamedTuple

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


class _Row(NamedTuple):
    """One failure: its kind, its cause code, and the flags of `UpstreamError`."""

    kind: str
    cause: str
    broken: bool = False
    hung_up: bool = False


_GARBAGE: Final = _Row("upstream_failed", "garbage")
_CUT: Final = _Row("upstream_failed", "cut", broken=True, hung_up=True)

# The first row that fits counts: the more special type stands above the more general one.
_TABLE: Final[tuple[tuple[type[Exception], _Row], ...]] = (
    (Oversized, _Row("upstream_failed", "oversized")),
    (Garbage, _GARBAGE),
    (BadJson, _GARBAGE),
    (ValidationError, _GARBAGE),
    (BadAnswer, _GARBAGE),
    (TimeoutError, _Row("upstream_timeout", "timeout", broken=True)),
    (WrongLength, _CUT),
    (OSError, _CUT),
    (ValueError, _Row("upstream_failed", "unsendable")),
)

FOREIGN: Final = tuple(foreign for foreign, _ in _TABLE)

# Nothing was sent: an upstream that refuses a connection is, like one that can't be found, unreachable.
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


def of_error(upstream: str, error: Exception, *, arrived: bool) -> UpstreamError:
    """Returns the error for one of FOREIGN, without its text: it may quote URLs, headers and answers."""
    row = next(row for foreign, row in _TABLE if isinstance(error, foreign))
    cause = f"{upstream}-{row.cause}"
    return UpstreamError(row.kind, cause, arrived=arrived, broken=row.broken, hung_up=row.hung_up)


def of_no_connection(upstream: str, error: NotConnected) -> UpstreamError:
    """Returns the error for a connection that could not be opened."""
    kind, cause = _NOT_CONNECTED.get(error.why, ("upstream_failed", error.why))
    cause = f"{upstream}-{cause}"
    return UpstreamError(kind, cause, arrived=False, broken=error.broken, hung_up=error.hung_up)


def of_status(upstream: str, status: int) -> UpstreamError | None:
    """Returns the error for an answer's HTTP status; None for a 2xx."""
    if 200 <= status < 300:
        return None
    kind = _KINDS.get(status, "upstream_refused" if 300 <= status < 500 else "upstream_failed")
    cause = "redirect" if 300 <= status < 400 else str(status)
    return UpstreamError(kind, f"{upstream}-{cause}", status=status, arrived=True, broken=status >= 500)


def of_full_pool(upstream: str) -> UpstreamError:
    """Returns the error for a call that got no free connection in time."""
    return UpstreamError("upstream_busy", f"{upstream}-busy", arrived=False)


def verdict(error: UpstreamError) -> Verdict:
    """Returns what a failed call says of its upstream, which works as long as it answers."""
    if error.broken:
        return "fails"
    return "works" if error.arrived else "unknown"
