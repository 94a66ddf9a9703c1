"""The errors that become a legacy answer; `web/middlewares.py` alone turns them into one."""

from collections.abc import Set
from typing import Final

# Raised before or around any flow; every mapping has a text for each of them.
DOOR_KINDS: Final[Set[str]] = frozenset(
    {
        "wrong_method",
        "off",
        "brownout",
        "malformed",
        "unsupported_encoding",
        "too_large",
        "legacy_unreachable",
        "legacy_timeout",
        "failed",
    }
)

# How a call to an upstream can fail (CONTRACT G08); a flow that calls one declares them all.
UPSTREAM_KINDS: Final[Set[str]] = frozenset(
    {
        "upstream_unauthorized",
        "upstream_no_credits",
        "upstream_refused",
        "upstream_busy",
        "upstream_timeout",
        "upstream_failed",
    }
)


class Refusal(Exception):
    """A request that ends in an error answer.

    `kind` is a key of the mapping's `[errors]` table, which holds status and text. `cause` is a short
    code for the log and for `X-Michiq-Cause`; neither ever holds data of the request.
    """

    def __init__(self, kind: str, cause: str) -> None:
        super().__init__(f"{kind} ({cause})")
        self.kind = kind
        self.cause = cause


class UpstreamError(Refusal):
    """A call to an upstream that did not give a usable answer.

    `status` is the upstream's HTTP status where there was one. `arrived` says whether a byte of the
    request may have reached the upstream; only a call with `arrived=False` may ever be sent again when
    it is not idempotent (CONTRACT N17). `broken` says that the upstream does not work, which its circuit
    breaker counts. `hung_up` says that the connection was lost, or never came about, so that another
    connection may do better.
    """

    def __init__(
        self,
        kind: str,
        cause: str,
        *,
        status: int | None = None,
        arrived: bool,
        broken: bool = False,
        hung_up: bool = False,
    ) -> None:
        super().__init__(kind, cause)
        self.status = status
        self.arrived = arrived
        self.broken = broken
        self.hung_up = hung_up

    @property
    def may_have_worked(self) -> bool:
        """Returns whether the upstream may have done what was asked; a 4xx means that it did not."""
        return self.arrived and not (self.status is not None and 400 <= self.status < 500)
