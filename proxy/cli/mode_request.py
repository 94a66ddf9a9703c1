"""Reads the words of `michiq-proxy mode`: which action they mean, and whether they go together."""

import getpass
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal, TypeAlias

from proxy.cli.common import Misuse
from proxy.mapping.complaints import did_you_mean
from proxy.mapping.units import parse_duration
from proxy.overrides import MAX_LENGTHS, MODES, Change, Mode
from proxy.store.audit import PROXY
from proxy.store.sealer import Sealer

Action: TypeAlias = Literal["show", "history", "change", "rollback"]

# The options that only some of the actions take.
_TAKEN: Final[dict[Action, frozenset[str]]] = {
    "show": frozenset(),
    "history": frozenset({"limit"}),
    "change": frozenset(
        {"organization", "percent", "until", "reason", "actor", "expect", "wait", "despite_evidence"}
    ),
    "rollback": frozenset({"reason", "actor", "expect", "wait", "newest"}),
}
_OPTIONS: Final = sorted(frozenset[str]().union(*_TAKEN.values()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The command line as click has read it."""

    route: str | None
    wanted: str | None
    clear: bool
    rollback: bool
    newest: bool | None
    despite_evidence: bool | None
    history: bool
    organization: str | None = field(repr=False)
    percent: float | None
    until: str | None
    reason: str | None
    actor: str | None
    expect: int | None
    wait: float | None
    limit: int | None
    as_json: bool


def action_of(asked: Asked) -> Action:
    """Returns the action that is meant. Raises Misuse when none is meant clearly."""
    words: dict[str, tuple[bool, Action]] = {
        "a MODE": (asked.wanted is not None, "change"),
        "--clear": (asked.clear, "change"),
        "--rollback": (asked.rollback, "rollback"),
        "--history": (asked.history, "history"),
    }
    given = [word for word, (is_given, _) in words.items() if is_given]
    if len(given) > 1:
        raise Misuse(f"{given[0]} and {given[1]} don't go together")
    action = words[given[0]][1] if given else "show"
    if action == "change" and asked.route is None:
        raise Misuse(f"{given[0]} needs a ROUTE")
    if action == "rollback" and (asked.route is None) == (not asked.newest):
        raise Misuse("--rollback takes the ROUTE of the change to undo, or else --newest, for any route")
    for name in _OPTIONS:
        if name not in _TAKEN[action] and getattr(asked, name) is not None:
            option = name.replace("_", "-")
            raise Misuse(
                f"--{option} does not go with {given[0] if given else 'showing: give a MODE, or --clear'}"
            )
    return action


def existing_route(route: str, known: Iterable[str]) -> str:
    """Returns the route. Raises Misuse when there is no such route."""
    names = list(known)
    if route not in names:
        raise Misuse(f"there is no route {route}{did_you_mean(route, names)} (routes: {', '.join(names)})")
    return route


def change_of(asked: Asked, route: str, now: datetime) -> Change:
    """Returns the change that was asked for; the store checks whether it may be made."""
    return Change(
        actor=actor_of(asked),
        route=route,
        organization=asked.organization and unicodedata.normalize("NFC", asked.organization),
        mode=None if asked.wanted is None else _mode(asked.wanted),
        percent=asked.percent,
        until=None if asked.until is None else _end(asked.until, now),
        reason=reason_of(asked),
    )


def scope_of(organization: str | None, sealer: Sealer) -> str | None:
    """Returns the keyed hash that an organization's overrides are stored under; None for everyone."""
    return None if organization is None else sealer.organization(organization)


def reason_of(asked: Asked) -> str:
    if asked.reason is None:
        raise Misuse("--reason is needed: the next operator can't guess it")
    return asked.reason.strip()


def check_reason(reason: str | None, names: Iterable[str]) -> None:
    """Raises Misuse for a reason that the audit can't store: too long, on several lines, or with a name."""
    if reason is None:
        return
    if not (reason.isprintable() and reason.strip() and len(reason) <= MAX_LENGTHS["reason"]):
        raise Misuse(f"the reason needs 1 to {MAX_LENGTHS['reason']} printable characters, on one line")
    if any(name.casefold() in reason.casefold() for name in names):
        raise Misuse("the audit keeps --reason for good: don't name the case, the user or the organization")


def actor_of(asked: Asked) -> str:
    return actor_named(asked.actor)


def actor_named(given: str | None) -> str:
    """Returns the name for the audit: `--actor`, else the user of this machine."""
    try:
        actor = getpass.getuser() if given is None else given
    except (KeyError, OSError):  # a container may run under a number without a name
        raise Misuse("--actor is needed: this machine has no name for its user") from None
    if actor == PROXY:
        raise Misuse(f"--actor: {PROXY} is the name of the process itself in the audit")
    return actor


def _mode(word: str) -> Mode:
    for mode in MODES:
        if mode == word:
            return mode
    raise Misuse(f"there is no mode {word}{did_you_mean(word, MODES)} (modes: {', '.join(MODES)})")


def _end(text: str, now: datetime) -> datetime:
    try:
        return now + parse_duration(text)
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise Misuse(
            '--until takes a duration such as "2 h", or a time with its zone such as 2027-01-31T18:00:00Z'
        ) from None
