"""Overrides: modes that are set while the proxy runs, and which of them is in force (DESIGN "Modes")."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final, Literal, TypeAlias, get_args

from proxy.times import rfc3339
from proxy.values import Json

Mode: TypeAlias = Literal["legacy", "new", "shadow", "canary", "off"]

# The interface that a change came by; the proxy's own changes have none.
Via: TypeAlias = Literal["cli", "api", "page"]

MODES: Final[tuple[Mode, ...]] = get_args(Mode)
# These modes can't be in force without a legacy server.
NEED_LEGACY: Final[frozenset[Mode]] = frozenset({"legacy", "shadow", "canary"})
EVERYONE: Final = "*"

_LONGEST: Final = timedelta(days=3650)
MAX_LENGTHS: Final = {"reason": 300, "actor": 100, "organization": 300}


class BadChange(ValueError):
    """A change that can't be made as requested; the text says how to ask."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A change that an operator, or the proxy itself, asks for: from now on, `until` a time or for good.

    `organization` is a legacy name, None for everyone. `mode` None gives the route back to its mapping,
    or an organization back to everyone's mode. `percent` None leaves a canary at its mapping's percent.
    """

    actor: str
    route: str
    organization: str | None = field(default=None, repr=False)
    mode: Mode | None
    percent: float | None = None
    until: datetime | None = None
    reason: str
    via: Via | None = None


@dataclass(frozen=True, slots=True)
class Override:
    """One change of a mode, as it is stored.

    `scope` is EVERYONE or the keyed hash of an organization, whose legacy name is beside it if a key still
    opens it. `mode` None gives the route back to its mapping. `until` None means for good. `undoes` is the
    revision that a rollback took back.
    """

    revision: int
    at: datetime
    actor: str
    route: str
    scope: str
    organization: str | None = field(repr=False)
    mode: Mode | None
    percent: float | None
    until: datetime | None
    reason: str
    undoes: int | None = None


@dataclass(frozen=True, slots=True)
class Overrides:
    """Every override that may be in force, by (route, scope): from the newest back to one for good."""

    revision: int
    stacks: Mapping[tuple[str, str], tuple[Override, ...]]

    def in_force(self, route: str, scope: str | None, now: datetime) -> Override | None:
        """Returns the organization's own override, else everyone's; None means the mapping decides."""
        own = self.standing(route, scope, now) if scope is not None else None
        return own or self.standing(route, EVERYONE, now)

    def extended(self, change: Override) -> "Overrides":
        """Returns the overrides as they would be with one more change, which gets the next revision."""
        every = [override for stack in self.stacks.values() for override in stack]
        return overrides_of([*every, replace(change, revision=self.revision + 1)])

    def all_in_force(self, now: datetime) -> list[Override]:
        """Returns the override in force of each (route, scope), by route, everyone's first."""
        found = (self.standing(*key, now) for key in self.stacks)
        return sorted(filter(None, found), key=lambda each: (each.route, each.organization or "", each.scope))

    def newest_change(self, route: str, scope: str) -> int:
        """Returns the revision of the newest change of this route and scope that counts; 0 before any."""
        stack = self.stacks.get((route, scope))
        return stack[0].revision if stack else 0

    def standing(self, route: str, scope: str, now: datetime) -> Override | None:
        """Returns the scope's own override in force; None when it has none."""
        for override in self.stacks.get((route, scope), ()):
            if override.until is None or now < override.until:
                return override if override.mode is not None else None
        return None


NONE: Final = Overrides(0, {})


def overrides_of(history: Iterable[Override]) -> Overrides:
    """Returns the overrides that a whole history leaves; its order doesn't matter."""
    newest_first = sorted(history, key=lambda each: -each.revision)
    stacks: defaultdict[tuple[str, str], list[Override]] = defaultdict(list)
    for each in _counting(newest_first):
        stack = stacks[each.route, each.scope]
        if not stack or _outlives(each, stack[-1]):
            stack.append(each)
    revision = newest_first[0].revision if newest_first else 0
    return Overrides(revision, {key: tuple(stack) for key, stack in stacks.items()})


def _counting(newest_first: Iterable[Override]) -> Iterator[Override]:
    """Yields the changes that count: none that was undone, and only the newest rollback of each key.

    A rollback repeats what the changes before it left. An older one may repeat what was undone since,
    and would come back when the newest ends.
    """
    undone: set[int | None] = set()
    rolled_back: set[tuple[str, str]] = set()
    for each in newest_first:
        key = each.route, each.scope
        if each.revision not in undone and (each.undoes is None or key not in rolled_back):
            yield each
        if each.undoes is not None:
            undone.add(each.undoes)
            rolled_back.add(key)


def _outlives(older: Override, newer: Override) -> bool:
    return newer.until is not None and (older.until is None or older.until > newer.until)


def setting_of(override: Override | None) -> tuple[Mode | None, float | None, datetime | None]:
    """Returns what an override sets: mode, percent and end; None sets nothing."""
    return (None, None, None) if override is None else (override.mode, override.percent, override.until)


def as_json(override: Override) -> dict[str, Json]:
    """Returns an override for programs."""
    return {
        "revision": override.revision,
        "at": rfc3339(override.at),
        "actor": override.actor,
        "route": override.route,
        "scope": override.scope,
        "organization": override.organization,
        "mode": override.mode,
        "percent": override.percent,
        "until": rfc3339(override.until) if override.until else None,
        "reason": override.reason,
        "undoes": override.undoes,
    }


def validate(change: Change, now: datetime) -> None:
    """Raises BadChange when a change must not be written at `now`."""
    for name, most in MAX_LENGTHS.items():
        text = getattr(change, name)
        if text is not None and not (text.isprintable() and text.strip() and len(text) <= most):
            raise BadChange(f"the {name} needs 1 to {most} printable characters, on one line")
    if change.percent is not None and change.mode != "canary":
        raise BadChange("a percent goes only with the mode canary")
    if change.percent is not None and not 0 <= change.percent <= 100:
        raise BadChange("the percent is a number from 0 to 100")
    if change.until is not None:
        _validate_until(change.until, now)


def _validate_until(until: datetime, now: datetime) -> None:
    if until.tzinfo is None:
        raise BadChange("the end time needs a time zone, such as 2027-01-31T18:00:00Z")
    if until <= now:
        raise BadChange("the end time is in the past")
    if until - now > _LONGEST:
        raise BadChange(f"the end time is more than {_LONGEST.days} days ahead")
