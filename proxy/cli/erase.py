"""`michiq-proxy erase`: removes all that is kept of a case or of a user."""

import asyncio
import json
import time
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Literal, TextIO

import click

from proxy.cli.common import Failure, Misuse, organizations_known, read_settings
from proxy.cli.mode_request import actor_named, judge_reason
from proxy.cli.paper import plural
from proxy.cli.store_access import echo_json, tell_place, with_store
from proxy.cli.waiting import changes_of, wait_for
from proxy.mapping.complaints import did_you_mean
from proxy.store import Store
from proxy.store.erasure import OfCase, OfUser, Removed, Whose
from proxy.times import rfc3339
from proxy.values import Json

# A proxy notes its last calls within a second; one that was not heard of for 10 s is gone.
_LATE_SECONDS: Final = 2.0
_PATIENCE_SECONDS: Final = 15.0  # a process that is stopped is not live any more by then


@dataclass(frozen=True, slots=True)
class _Asked:
    """Whose data is to go, by the names that they have outside."""

    case: str | None = field(repr=False)
    user: str | None = field(repr=False)
    organization: str | None = field(repr=False)

    def whose(self, store: Store) -> Whose:
        if self.case is not None:
            return OfCase(self.case)
        who = _name(self.user), _name(self.organization)
        return OfUser(store.sealer.owner(*who), (store.sealer.spelt_owner(*who),))


@dataclass(frozen=True, slots=True)
class _Erased:
    """What was done: whose by a keyed hash alone, and how much by counts."""

    at: datetime
    actor: str
    what: Literal["case", "user"]
    subject: str
    removed: Removed

    def for_report(self) -> dict[str, Json]:
        told: dict[str, Json] = {"at": rfc3339(self.at), "actor": self.actor}
        return {**told, "erased": self.what, "subject": self.subject, "removed": {**self.removed}}


@click.command()
@click.option("--case", metavar="ID", help="A case by its michiq_uuid, or an id that audio is kept under.")
@click.option("--user", metavar="MAIL", help="A user, as clients send `user_mail`; with --organization.")
@click.option("--organization", metavar="NAME", help="The user's, by its legacy name.")
@click.option("--reason", help="Why, for the audit, which keeps it for good: name nobody in it.")
@click.option("--report", metavar="FILE", type=click.File("x", lazy=False), help="Write what went, as JSON.")
@click.option("--yes", is_flag=True, help="Don't ask.")
@click.option("--actor", help="Who; default: the user of this machine.")
@click.option("--json", "as_json", is_flag=True, help="For programs; needs --yes.")
def erase(
    case: str | None,
    user: str | None,
    organization: str | None,
    *,
    reason: str | None,
    report: TextIO | None,
    yes: bool,
    actor: str | None,
    as_json: bool,
) -> None:
    """Remove all that is kept of a case or of a user, from the database, its log and the blobs.

    It works on the store, whether or not a proxy runs; for the moment in which the database is written anew,
    proxies can't write to it. The audit keeps a row, with keyed hashes for names; so does the report, with
    counts. Backups, and what the new platform has, are not touched. Exit code 0: something was found, and
    nothing is left; 1: nothing was found, it failed, or you said no; 2: it was asked wrongly.
    """
    asked = _judged(_Asked(case, user, organization))
    if as_json and not yes:
        raise Misuse("--json needs --yes: there is nobody to ask")
    judge_reason(reason, [each for each in (case, user, organization) if each])
    who, settings = actor_named(actor), read_settings()
    found = with_store(settings, lambda store: store.erasure.find(asked.whose(store)))
    if not yes and found:
        _ask(found, asked)
    began = time.monotonic()
    erased = with_store(settings, lambda store: _erased(store, asked.whose(store), who, reason))
    seconds = round(time.monotonic() - began, 1)
    tell_place(settings)
    if report is not None:
        report.write(json.dumps({**erased.for_report(), "seconds": seconds}) + "\n")
    if as_json:
        echo_json({"removed": {**erased.removed}, "seconds": seconds})
    elif erased.removed:
        click.echo(f"{_sentence('erased', erased.removed)}; no file of the store holds a trace of it")
    if not erased.removed:
        known = {*organizations_known(settings), *with_store(settings, lambda s: s.ledger.organizations())}
        raise Failure(_nothing(asked, known))


async def _erased(store: Store, whose: Whose, actor: str, reason: str | None) -> _Erased:
    now, whose = datetime.now(UTC), await store.erasure.whole(whose)
    # No process goes on by what it has in memory while, or after, the rows go.
    await _forgotten(store, await store.changes.note())
    removed = await store.erasure.erase(whose, actor, now, reason)
    await _forgotten(store, await store.changes.note())
    if isinstance(whose, OfUser) and await store.processes.live(now):
        await asyncio.sleep(_LATE_SECONDS)
        await store.erasure.erase_late(*whose.owners)
    # Also where nothing was found: a run that was cut short has removed it, and left its traces.
    await store.database.scrub()
    return _Erased(
        now, actor, "user" if isinstance(whose, OfUser) else "case", store.erasure.subject(whose), removed
    )


async def _forgotten(store: Store, revision: int) -> None:
    """Waits until every live process has forgotten what it kept in memory before this change."""
    behind = (await wait_for(store.processes, revision, _PATIENCE_SECONDS, changes_of)).behind
    if behind:
        names = ", ".join(each.name for each in behind)
        raise Failure(
            f"{names} did not follow within {_PATIENCE_SECONDS:.0f} s, and may go on by what is in memory; "
            "end it, then erase again"
        )


def _judged(asked: _Asked) -> _Asked:
    if (asked.case is None) == (asked.user is None):
        raise Misuse("name either --case, or --user with --organization")
    if (asked.user is None) != (asked.organization is None):
        raise Misuse("--user and --organization go together: a user is one of an organization")
    return asked


def _ask(found: Removed, asked: _Asked) -> None:
    what, name = ("case", asked.case) if asked.case is not None else ("user", asked.user)
    click.echo(_sentence(f"kept of this {what}", found))
    typed = click.prompt(f"Nobody can bring it back. To erase it, type the {what} again", default="")
    if _name(typed) != _name(name):
        raise Failure(f"that is not the {what} that was named; nothing was erased")


def _nothing(asked: _Asked, known: Collection[str]) -> str:
    """What to look at, where nothing was found."""
    if asked.case is not None:
        return "nothing found: nothing is kept of a case by this id, which counts exactly as clients send it"
    organization = _name(asked.organization)
    if known and organization not in known:
        hint = did_you_mean(organization, known)
        return f"nothing found: no organization {organization} is known here{hint}"
    return "nothing found: nothing is kept of this user of this organization; is the mail right?"


def _sentence(said: str, counts: Removed) -> str:
    listed = ", ".join(plural(count, what) for what, count in counts.items())
    return f"{said}: {listed or 'nothing'}"


def _name(text: str | None) -> str:
    """As an identity header is read (CONTRACT N06)."""
    return unicodedata.normalize("NFC", (text or "").strip())
