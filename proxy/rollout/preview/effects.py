"""Says before a change what it would do: to everyone, to each organization, to the calls of an hour: pure."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final, Literal, TypeAlias

from proxy.modes import EVERYONE, Mode, Override, setting_of
from proxy.rollout.evidence.readiness import SwitchReason
from proxy.rollout.preview.membership import Membership, Organization, Roster, membership, share
from proxy.rollout.snapshot import InForce, Snapshot
from proxy.store.audit.trail import PROXY

# What lowers the safety: whoever wants it at the page types the route's name. One organization alone may
# move without: it is the smallest step that there is.
Risk: TypeAlias = Literal["new", "off", "canary-over-25", "step-back"]
Missing: TypeAlias = Literal["despite", "typed"]

_MOST_PERCENT: Final = 25.0
# Evidence blocks none of these: they take clients back, or move none.
RESCUES: Final[frozenset[Mode | None]] = frozenset({None, "legacy", "shadow", "off"})


@dataclass(frozen=True, slots=True)
class Move:
    """An organization that another side answers after the change; side None is nobody."""

    organization: Organization
    before: Membership
    after: Membership
    calls_an_hour: float


@dataclass(frozen=True, slots=True)
class Preview:
    """The effects of a change that is not made.

    `revision` is the newest one, on which this was computed. `before` and `after` are in force for the scope
    of `change`. `against` are can-switch's reasons against the new side, when the change goes forward. A
    change is `held` when it needs a yes of can-switch.
    """

    change: Override
    revision: int
    before: InForce
    after: InForce
    moves: tuple[Move, ...]
    total: int
    calls_an_hour: float
    risks: tuple[Risk, ...]
    unchanged: bool
    forward: bool
    held: bool
    makes_case: bool
    against: tuple[SwitchReason, ...] = field(default=())

    @property
    def moving_an_hour(self) -> float:
        """Returns how many calls an hour another side answers then; at most so many, if cases are older."""
        return sum(each.calls_an_hour for each in self.moves)

    @property
    def refused(self) -> bool:
        """Returns whether the change needs the word "despite the evidence"."""
        return self.held and bool(self.against)

    def missing(self, *, despite: bool, typed: str) -> tuple[Missing, ...]:
        """Returns what a person has not said yet: that the evidence is set aside, or the route's name."""
        evidence = self.refused and not despite
        name = bool(self.risks) and typed.strip() != self.change.route
        return (*(("despite",) if evidence else ()), *(("typed",) if name else ()))


def preview(
    change: Override, snapshot: Snapshot, roster: Roster, now: datetime, *, has_legacy: bool, makes_case: bool
) -> Preview:
    """Returns the effects of a change that `OverrideStore` would write on this snapshot."""
    route, scope = change.route, None if change.scope == EVERYONE else change.scope
    then = replace(snapshot, overrides=snapshot.overrides.extended(change))
    before, after = (each.in_force(route, scope, now) for each in (snapshot, then))
    moves = []
    for one in roster.organizations:
        was, will = (membership(route, each, one, now, has_legacy=has_legacy) for each in (snapshot, then))
        if was.side != will.side:
            moves.append(Move(one, was, will, roster.calls_an_hour([one])))
    standing = snapshot.overrides.standing(route, change.scope, now)
    forward = has_legacy and _share(after) > _share(before)
    return Preview(
        change=change,
        revision=snapshot.overrides.revision,
        before=before,
        after=after,
        moves=tuple(moves),
        total=len(roster.organizations),
        calls_an_hour=roster.calls_an_hour(roster.organizations),
        risks=tuple(_risks(change, standing, before, after)),
        unchanged=change.undoes is None and setting_of(standing) == setting_of(change),
        forward=forward,
        held=forward and change.undoes is None and change.mode not in RESCUES,
        makes_case=makes_case,
    )


def _risks(change: Override, standing: Override | None, before: InForce, after: InForce) -> Iterator[Risk]:
    if after.mode == "off" and before.mode != "off":
        yield "off"
    grows = _share(after) > _share(before)
    for_everyone = change.scope == EVERYONE
    if grows and for_everyone and after.mode == "new":
        yield "new"
    if grows and for_everyone and after.mode == "canary" and after.percent > _MOST_PERCENT:
        yield "canary-over-25"
    if standing is not None and standing.actor == PROXY and (grows or change.mode is None):
        yield "step-back"


def _share(in_force: InForce) -> float:
    return share(in_force.mode, in_force.percent)
