"""Who answers a request: a pure decision over what is in force and what is known of the caller and the id.

The order of the rules is the order of `decide`. A case lives where it was made, so its home goes before every
mode and percentage; who is unknown here can only be known to the legacy server (CONTRACT G07).
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypeAlias

from proxy.dispatch.canary import in_canary
from proxy.dispatch.snapshot import InForce
from proxy.errors import Refusal
from proxy.mapping.models import RouteMapping
from proxy.values import Side

# What the bearer token is to this proxy.
Token: TypeAlias = Literal["none", "unknown", "known"]
Why: TypeAlias = Literal[
    "only-new",
    "options",
    "home",
    "unknown-token",
    "unknown-id",
    "no-legacy-session",
    "both-sides",
    "tester",
    "mode",
]


class Brownout(Refusal):
    """The route is off for a while; `until` is when it is back."""

    def __init__(self, until: datetime) -> None:
        super().__init__("brownout", "brownout")
        self.until = until


@dataclass(frozen=True, slots=True)
class Asked:
    """What is known of a request before anybody answers it.

    `organization` is its legacy name, `scope` the keyed hash of that. `at_legacy` says whether the caller
    has a session on the legacy server, `both_sides` whether a list of theirs has parts on both. `home` is the
    side that the path's id lives on, None for one never seen, `has_id` whether there is an id at all.
    `options` asks what may be asked, as browsers do before they call (CONTRACT G02): for nobody's case.
    """

    organization: str | None = field(repr=False)
    scope: str | None
    token: Token = "none"  # noqa: S105  what it is, not the token
    at_legacy: bool = False
    both_sides: bool = False
    has_id: bool = False
    home: Side | None = None
    forced: Side | None = None
    makes_case: bool = False
    options: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """`side` answers, for the reason `why`; `shadow` says whether the other side runs after it."""

    side: Side
    why: Why
    in_force: InForce
    shadow: bool = False


def decide(
    asked: Asked, in_force: InForce, mapping: RouteMapping, now: datetime, *, has_legacy: bool
) -> Decision:
    """Raises Refusal for a route that is off, and Brownout. `has_legacy`: there is a legacy server at all."""
    if in_force.mode == "off":
        raise Refusal("off", "route-off")
    for brownout in mapping.brownouts:
        # A browser that may not ask never sees the 503 that is meant for it.
        if not asked.options and brownout.on(now, asked.organization):
            raise Brownout(brownout.end)
    if not has_legacy:
        return Decision("new", "only-new", in_force)
    side, why = _side(asked, in_force, mapping)
    shadowed = side == "legacy" and in_force.mode == "shadow" and not asked.options
    return Decision(side, why, in_force, shadow=shadowed)


def _side(asked: Asked, in_force: InForce, mapping: RouteMapping) -> tuple[Side, Why]:
    if asked.options:
        return _by_mode(asked, in_force, mapping)[0], "options"
    if asked.home is not None:
        return asked.home, "home"
    if asked.makes_case:
        return _by_mode(asked, in_force, mapping)
    if asked.token == "unknown":  # noqa: S105  what it is, not the token
        return ("legacy" if mapping.unknown_to_legacy else "new"), "unknown-token"
    if asked.token == "known" and not asked.at_legacy:  # noqa: S105  what it is, not the token
        return "new", "no-legacy-session"
    if asked.both_sides:
        return "new", "both-sides"
    if asked.has_id and asked.token == "known" and mapping.unknown_to_legacy:  # noqa: S105
        return "legacy", "unknown-id"
    return _by_mode(asked, in_force, mapping)


def _by_mode(asked: Asked, in_force: InForce, mapping: RouteMapping) -> tuple[Side, Why]:
    if asked.forced is not None:
        return asked.forced, "tester"
    if in_force.mode == "canary":
        return ("new" if _in_canary(asked, in_force, mapping) else "legacy"), "mode"
    return ("new" if in_force.mode == "new" else "legacy"), "mode"


def _in_canary(asked: Asked, in_force: InForce, mapping: RouteMapping) -> bool:
    """Whom nobody knows stays with the old server until everybody has moved."""
    if asked.organization is None or asked.scope is None:
        return in_force.percent >= 100
    return in_canary(asked.organization, asked.scope, in_force.percent, mapping.canary)
