"""Chooses the side that answers: a pure decision over the modes in force, the caller and the id.

The order of the rules is the order of `decide`. A case stays on the server that made it, so its home goes
before every mode and percentage; only the legacy server can know an unknown caller or id (CONTRACT G07).
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal, TypeAlias

from proxy.errors import Refusal
from proxy.mapping.models import RouteMapping
from proxy.rollout.canary import in_canary
from proxy.rollout.snapshot import InForce
from proxy.values import Side

ROUTE_OFF: Final = "route-off"  # the cause of a refusal
# The class of the bearer token, for this proxy.
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


class InBrownout(Refusal):
    """The route is off for a while; `until` is the time when it is back."""

    def __init__(self, until: datetime) -> None:
        super().__init__("brownout", "brownout")
        self.until = until


@dataclass(frozen=True, slots=True)
class Asked:
    """The facts about a request before any side answers it.

    `organization` is its legacy name, `scope` the keyed hash of that. `at_legacy` says whether the caller
    has a session on the legacy server, `both_sides` whether a list of theirs has parts on both. `home` is the
    side of the path's id, None for an id never seen, `has_id` whether there is an id at all. `options` marks
    a browser's question before a call (CONTRACT G02), which concerns no case.
    """

    organization: str | None = field(repr=False)
    scope: str | None
    token: Token = "none"  # noqa: S105  its class, not the token
    at_legacy: bool = False
    both_sides: bool = False
    has_id: bool = False
    home: Side | None = None
    forced: Side | None = None
    makes_case: bool = False
    options: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """The side that answers, and why; `shadow` says whether the other side runs after it."""

    side: Side
    why: Why
    in_force: InForce
    shadow: bool = False


def decide(
    asked: Asked, in_force: InForce, mapping: RouteMapping, now: datetime, *, has_legacy: bool
) -> Decision:
    """Returns the decision. Raises Refusal for a route that is off, and Brownout.

    `has_legacy` says whether there is a legacy server at all.
    """
    if in_force.mode == "off":
        raise Refusal("off", ROUTE_OFF)
    for brownout in mapping.brownouts:
        # Without this, a browser would be refused at its question and never see the 503.
        if not asked.options and brownout.on(now, asked.organization):
            raise InBrownout(brownout.end)
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
    if asked.token == "unknown":  # noqa: S105  its class, not the token
        return ("legacy" if mapping.unknown_to_legacy else "new"), "unknown-token"
    if asked.token == "known" and not asked.at_legacy:  # noqa: S105  its class, not the token
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
    """Returns whether the new side answers; an unknown caller stays with the old server until 100 percent."""
    if asked.organization is None or asked.scope is None:
        return in_force.percent >= 100
    return in_canary(asked.organization, asked.scope, in_force.percent, mapping.canary)
