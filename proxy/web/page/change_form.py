"""Reads what an operator has filled in for a change, from an address or from a form."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Literal, TypeAlias

from proxy.mapping.units import parse_duration
from proxy.modes import MODES, BadChange, Change, Mode, Override
from proxy.rollout.preview.membership import Roster
from proxy.rollout.snapshot import Snapshot
from proxy.store import Store
from proxy.store.rollout.overrides import NothingToUndo
from proxy.times import from_rfc3339

CLEAR: Final = "clear"
ROLLBACK: Final = "rollback"
CHOICES: Final = (*MODES, CLEAR, ROLLBACK)
BOXES: Final = ("1 h", "4 h", "1 d")
_UNSAID: Final = "not said yet"

# What can't be meant; templates/change.html has the sentences.
Fault: TypeAlias = Literal["mode", "percent", "organization", "end", "reason", "nothing-to-undo", "refused"]


class BadForm(Exception):
    """An error: a field says nothing that can be done; `detail` is a sentence of the store, if it has one."""

    def __init__(self, fault: Fault, detail: str = "") -> None:
        super().__init__(fault)
        self.fault: Fault = fault
        self.detail = detail


@dataclass(frozen=True, slots=True)
class ChangeForm:
    """The fields as they were filled in. `organization` is a keyed hash, "" for everyone.

    `until` is one of BOXES, "" for good; `end` is any other time or duration. `revision` is the one that was
    shown; None before anything was.
    """

    mode: str = ""
    percent: str = ""
    organization: str = ""
    until: str = ""
    end: str = ""
    reason: str = ""
    typed: str = ""
    despite: bool = False
    revision: int | None = None

    @classmethod
    def of(cls, fields: Mapping[str, str]) -> "ChangeForm":
        given = {name: fields.get(name, "").strip() for name in _TEXTS}
        revision = fields.get("revision", "")
        return cls(
            **given,
            despite=fields.get("despite") == "yes",
            revision=int(revision) if revision.isdecimal() and len(revision) < _DIGITS else None,
        )

    async def drafted(self, store: Store, route: str, roster: Roster, actor: str, now: datetime) -> Override:
        """Returns the override that this would write. Raises BadForm when it can't be meant."""
        reason = self.reason or _UNSAID
        try:
            if self.mode == ROLLBACK:
                return await store.overrides.planned_rollback(actor=actor, reason=reason, at=now, route=route)
            return store.overrides.planned(self.change(route, roster, actor, reason, now), now)
        except NothingToUndo:
            raise BadForm("nothing-to-undo") from None
        except BadChange as bad:
            raise BadForm("refused", str(bad)) from None

    def change(self, route: str, roster: Roster, actor: str, reason: str, now: datetime) -> Change:
        """Returns the change of the fields. Raises BadForm when one of them can't be meant."""
        return Change(
            actor=actor,
            route=route,
            organization=self._name(roster),
            mode=self._mode(),
            percent=self._percent(),
            until=None if self.mode == CLEAR else self._end(now),
            reason=reason,
            via="page",
        )

    def _mode(self) -> Mode | None:
        if self.mode == CLEAR:
            return None
        for mode in MODES:
            if mode == self.mode:
                return mode
        raise BadForm("mode")

    def _percent(self) -> float | None:
        if self.mode != "canary":
            return None
        with suppress(ValueError):
            return float(self.percent.replace(",", "."))
        raise BadForm("percent")

    def _name(self, roster: Roster) -> str | None:
        if not self.organization:
            return None
        names = {each.scope: each.name for each in roster.organizations}
        name = names.get(self.organization)
        if name is None:
            raise BadForm("organization")
        return name

    def _end(self, now: datetime) -> datetime | None:
        text = self.end or self.until
        if not text:
            return None
        with suppress(ValueError):
            return from_rfc3339(text)
        with suppress(ValueError):
            return now + parse_duration(text)
        raise BadForm("end")


_TEXTS: Final = ("mode", "percent", "organization", "until", "end", "reason", "typed")
_DIGITS: Final = 19


def prefilled(form: ChangeForm, route: str, snapshot: Snapshot, now: datetime) -> ChangeForm:
    """Returns the form with the percent of the canary in force, if it asks for a canary and has none."""
    if form.mode != "canary" or form.percent:
        return form
    in_force = snapshot.in_force(route, form.organization or None, now)
    if in_force.mode != "canary":
        return form
    return replace(form, percent=f"{in_force.percent:g}")
