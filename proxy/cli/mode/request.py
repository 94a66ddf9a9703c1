"""Reads what `michiq-proxy mode` was given as a change that can be made."""

import getpass
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from proxy.cli.common import Misuse
from proxy.mapping.complaints import did_you_mean
from proxy.mapping.units import parse_duration
from proxy.modes import MAX_LENGTHS, MODES, Change, Mode
from proxy.store.audit.trail import PROXY
from proxy.store.sealing.sealer import Sealer

_DRY: Final = "dry run"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModeRequest:
    """The arguments and options as click has read them; each action has its own."""

    route: str | None = None
    wanted: str | None = None
    organization: str | None = field(default=None, repr=False)
    percent: float | None = None
    until: str | None = None
    newest: bool | None = None
    despite_evidence: bool | None = None
    reason: str | None = None
    actor: str | None = None
    expect: int | None = None
    wait: float | None = None
    limit: int | None = None
    dry_run: bool | None = None
    as_json: bool = False


def existing_route(route: str, known: Iterable[str]) -> str:
    """Returns the route. Raises Misuse when there is no such route."""
    names = list(known)
    if route not in names:
        raise Misuse(f"there is no route {route}{did_you_mean(route, names)} (routes: {', '.join(names)})")
    return route


def change_of(asked: ModeRequest, route: str, now: datetime) -> Change:
    """Returns the change that was asked for; the store checks whether it may be made."""
    return Change(
        actor=actor_of(asked),
        route=route,
        organization=asked.organization and unicodedata.normalize("NFC", asked.organization),
        mode=None if asked.wanted is None else _mode(asked.wanted),
        percent=asked.percent,
        until=None if asked.until is None else _end(asked.until, now),
        reason=reason_of(asked),
        via="cli",
    )


def scope_of(organization: str | None, sealer: Sealer) -> str | None:
    """Returns the keyed hash that an organization's overrides are stored under; None for everyone."""
    return None if organization is None else sealer.organization(organization)


def reason_of(asked: ModeRequest) -> str:
    if asked.reason is None and asked.dry_run:
        return _DRY
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


def actor_of(asked: ModeRequest) -> str:
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
