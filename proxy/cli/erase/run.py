"""Erases a case or a user from the store for `michiq-proxy erase`."""

import asyncio
import json
import time
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Literal, TextIO

import click

from proxy.addresses.s3 import SCHEME
from proxy.cli.common import Failure, Misuse, named_organizations, read_settings
from proxy.cli.mode.request import actor_named, check_reason
from proxy.cli.shared.console import plural
from proxy.cli.shared.store_access import echo_json, name_store, with_store
from proxy.mapping.complaints import did_you_mean
from proxy.postgresql_url import is_postgresql
from proxy.rollout.following import changes_of, wait_for
from proxy.store import Store
from proxy.store.upkeep.erasure import OfCase, OfUser, Removed, Whose
from proxy.times import rfc3339
from proxy.values import Json

# A proxy stores its last calls within a second; one without a heartbeat for 10 s is gone.
_LATE_SECONDS: Final = 2.0
_PATIENCE_SECONDS: Final = 15.0  # a process that is stopped is not live any more by then


@dataclass(frozen=True, slots=True)
class _Asked:
    """The case or the user to erase, by the names that clients use."""

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
    """The result of an erasure: the subject as a keyed hash only, and counts of what was removed."""

    at: datetime
    actor: str
    what: Literal["case", "user"]
    subject: str
    removed: Removed

    def for_report(self) -> dict[str, Json]:
        head: dict[str, Json] = {"at": rfc3339(self.at), "actor": self.actor}
        return {**head, "erased": self.what, "subject": self.subject, "removed": {**self.removed}}


def run(
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
    """Erases what is stored, after it was confirmed, and prints the counts.

    Raises Misuse for arguments that can't be meant, and Failure when nothing was found.
    """
    asked = _checked(_Asked(case, user, organization))
    if as_json and not yes:
        raise Misuse("--json needs --yes: there is nobody to ask")
    check_reason(reason, [each for each in (case, user, organization) if each])
    who, settings = actor_named(actor), read_settings()
    found = with_store(settings, lambda store: store.erasure.find(asked.whose(store)))
    if not yes and found:
        _ask(found, asked)
    began = time.monotonic()
    erased = with_store(settings, lambda store: _erased(store, asked.whose(store), who, reason))
    seconds = round(time.monotonic() - began, 1)
    name_store(settings)
    if report is not None:
        report.write(json.dumps({**erased.for_report(), "seconds": seconds}) + "\n")
    if as_json:
        echo_json({"removed": {**erased.removed}, "seconds": seconds})
    elif erased.removed:
        left = traces(settings.database_url.get_secret_value(), settings.blobs_url)
        click.echo(f"{_sentence('erased', erased.removed)}; {left}")
    if not erased.removed:
        known = {*named_organizations(settings), *with_store(settings, lambda s: s.ledger.organizations())}
        raise Failure(_nothing(asked, known))


def traces(database_url: str, blobs_url: str) -> str:
    """Returns what may still hold encrypted bytes of what was erased."""
    servers = [
        *(["PostgreSQL's log, standbys and backups"] if is_postgresql(database_url) else []),
        *(["a bucket with versions"] if blobs_url.startswith(SCHEME) else []),
    ]
    if not servers:
        return "no file of the store holds a trace of it"
    return f"{' and '.join(servers)} may hold encrypted bytes of it for a while"


async def _erased(store: Store, whose: Whose, actor: str, reason: str | None) -> _Erased:
    now, whose = datetime.now(UTC), await store.erasure.whole(whose)
    # No process may use what it has in memory while the rows are deleted, or after.
    await _forgotten(store, await store.changes.note())
    removed = await store.erasure.erase(whose, actor, now, reason)
    await _forgotten(store, await store.changes.note())
    if isinstance(whose, OfUser) and await store.processes.live(now):
        await asyncio.sleep(_LATE_SECONDS)
        await store.erasure.erase_late(*whose.owners)
    # Also when nothing was found: a run that was cut short may have removed the rows, and left their traces.
    await store.database.scrub()
    return _Erased(
        now, actor, "user" if isinstance(whose, OfUser) else "case", store.erasure.subject(whose), removed
    )


async def _forgotten(store: Store, revision: int) -> None:
    """Waits until every live process has dropped what it held in memory before this change.

    Raises Failure when a process does not follow in time.
    """
    behind = (await wait_for(store.processes, revision, _PATIENCE_SECONDS, changes_of)).behind
    if behind:
        names = ", ".join(each.name for each in behind)
        raise Failure(
            f"{names} did not follow within {_PATIENCE_SECONDS:.0f} s, and may still use what is in memory; "
            "stop it, then erase again"
        )


def _checked(asked: _Asked) -> _Asked:
    if (asked.case is None) == (asked.user is None):
        raise Misuse("name either --case, or --user with --organization")
    if (asked.user is None) != (asked.organization is None):
        raise Misuse("--user and --organization go together: a user belongs to an organization")
    return asked


def _ask(found: Removed, asked: _Asked) -> None:
    what, name = ("case", asked.case) if asked.case is not None else ("user", asked.user)
    click.echo(_sentence(f"stored about this {what}", found))
    typed = click.prompt(f"This can't be undone. To erase it, type the {what} again", default="")
    if _name(typed) != _name(name):
        raise Failure(f"that is not the {what} that was named; nothing was erased")


def _nothing(asked: _Asked, known: Collection[str]) -> str:
    """Returns the complaint when nothing was found, with what to look at."""
    if asked.case is not None:
        return "nothing found: nothing is stored about this id; give it exactly as clients send it"
    organization = _name(asked.organization)
    if known and organization not in known:
        hint = did_you_mean(organization, known)
        return f"nothing found: no organization {organization} is known here{hint}"
    return "nothing found: nothing is stored about this user of this organization; is the mail right?"


def _sentence(said: str, counts: Removed) -> str:
    listed = ", ".join(plural(count, what) for what, count in counts.items())
    return f"{said}: {listed or 'nothing'}"


def _name(text: str | None) -> str:
    """Returns the name in the form in which an identity header is read (CONTRACT N06)."""
    return unicodedata.normalize("NFC", (text or "").strip())
