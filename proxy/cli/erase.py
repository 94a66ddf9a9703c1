"""`michiq-proxy erase`: removes all that is kept of a case or of a user."""

import asyncio
import time
import unicodedata
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

import click

from proxy.cli.common import Misuse, read_settings
from proxy.cli.mode_request import actor_named
from proxy.cli.paper import plural
from proxy.cli.store_access import echo_json, with_store
from proxy.store import Store
from proxy.store.erasure import OfCase, OfUser, Removed, Whose

# A proxy notes its last calls within a second; one that was not heard of for 10 s is gone.
_LATE_SECONDS: Final = 2.0
_LIVE: Final = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class _Asked:
    """Whose data is to go, by the names that they have outside."""

    case: str | None = field(repr=False)
    user: str | None = field(repr=False)
    organization: str | None = field(repr=False)

    def whose(self, store: Store) -> Whose:
        if self.case is not None:
            return OfCase(self.case)
        return OfUser(store.sealer.owner(_name(self.user), _name(self.organization)))


@click.command()
@click.option("--case", metavar="ID", help="A case by its michiq_uuid, or an id that audio is kept under.")
@click.option("--user", metavar="MAIL", help="A user, as clients send `user_mail`; with --organization.")
@click.option("--organization", metavar="NAME", help="The user's, by its legacy name.")
@click.option("--yes", is_flag=True, help="Don't ask.")
@click.option("--actor", help="Who; default: the user of this machine.")
@click.option("--json", "as_json", is_flag=True, help="For programs; needs --yes.")
def erase(
    case: str | None,
    user: str | None,
    organization: str | None,
    *,
    yes: bool,
    actor: str | None,
    as_json: bool,
) -> None:
    """Remove all that is kept of a case or of a user, from the database, its log and the blobs.

    It works on the store, whether or not a proxy runs; for the moment in which the database is written anew,
    proxies can't write to it. The audit keeps a row, with keyed hashes for names. Backups, and what the new
    platform has, are not touched. Exit code 0: nothing is left; 1: it failed, or you said no; 2: it was asked
    wrongly.
    """
    asked = _judged(_Asked(case, user, organization))
    if as_json and not yes:
        raise Misuse("--json needs --yes: there is nobody to ask")
    who, settings = actor_named(actor), read_settings()
    found = with_store(settings, lambda store: store.erasure.find(asked.whose(store)))
    if not yes:
        _ask(found, asked)
    began = time.monotonic()
    removed = with_store(settings, lambda store: _erased(store, asked.whose(store), who))
    if as_json:
        echo_json({"removed": {**removed}, "seconds": round(time.monotonic() - began, 1)})
    else:
        click.echo(f"{_sentence('erased', removed)}; no file of the store holds a trace of it")


async def _erased(store: Store, whose: Whose, actor: str) -> Removed:
    now = datetime.now(UTC)
    removed = await store.erasure.erase(whose, actor, now)
    if isinstance(whose, OfUser) and await store.processes.live(now, _LIVE):
        await asyncio.sleep(_LATE_SECONDS)
        await store.erasure.erase_late(whose.owner)
    await store.database.scrub()
    return removed


def _judged(asked: _Asked) -> _Asked:
    if (asked.case is None) == (asked.user is None):
        raise Misuse("name either --case, or --user with --organization")
    if (asked.user is None) != (asked.organization is None):
        raise Misuse("--user and --organization go together: a user is one of an organization")
    return asked


def _ask(found: Removed, asked: _Asked) -> None:
    what = "case" if asked.case is not None else "user"
    click.echo(_sentence(f"kept of this {what}", found))
    if not found:
        click.echo("names count exactly as clients send them; traces of what was kept earlier will go")
    click.confirm("Erase it? Nobody can bring it back.", abort=True)


def _sentence(said: str, counts: Removed) -> str:
    listed = ", ".join(plural(count, what) for what, count in counts.items())
    return f"{said}: {listed or 'nothing'}"


def _name(text: str | None) -> str:
    """As an identity header is read (CONTRACT N06)."""
    return unicodedata.normalize("NFC", (text or "").strip())
