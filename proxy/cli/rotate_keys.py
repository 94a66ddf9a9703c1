"""`michiq-proxy rotate-keys`: puts everything that is stored under the newest of the keys."""

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

import click

from proxy.cli.common import Failure, read_settings
from proxy.cli.paper import plural
from proxy.cli.store_access import echo_json, tell_place, with_store
from proxy.store import Store
from proxy.store.processes import Process
from proxy.store.rotation import Progress, Rotated

# Between two lines of progress.
_SECONDS: Final = 1.0
_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@click.command()
@click.option("--check", is_flag=True, help="Only tell how much is left; nothing is written.")
@click.option("--force", is_flag=True, help="Even if a live process lacks the new key: it will fail.")
@click.option("--json", "as_json", is_flag=True, help="For programs, on stdout; progress goes to stderr.")
@click.pass_context
def rotate_keys(context: click.Context, *, check: bool, force: bool, as_json: bool) -> None:
    """Put everything that is stored under the first of MICHIQ_SECRET_KEYS.

    First give all processes the new key, before the old one: MICHIQ_SECRET_KEYS=new,old. Then run this, while
    they serve; it refuses while a live process lacks the new key. Cut short, it goes on where it was. Once it
    ended with 0 the old key can be taken out of the setting, and the blobs need nothing: their keys are in
    the database. For the moment in which the database is written anew at the end, proxies can't write to it.

    What release 0.1.0 sealed, with Fernet, counts as under an older key. Once none of it is left, Fernet is
    refused.

    Exit code 0: nothing is left under an older key; 1: something is, or opens with none of the keys; 2: it
    was asked wrongly.
    """
    settings = read_settings()
    told = _teller(time.monotonic)
    rotated = with_store(
        settings, lambda store: _left(store, told) if check else _run(store, told, force=force)
    )
    if not check:
        tell_place(settings)
    if as_json:
        echo_json({"renewed": rotated.renewed, "left": rotated.left, "lost": rotated.lost})
    else:
        click.echo(_sentences(rotated))
    if rotated.left or rotated.lost:
        context.exit(1)


async def _run(store: Store, told: Callable[[Progress], None], *, force: bool) -> Rotated:
    if not force:
        await _refuse_lacking(store)
    await store.keys.note()
    rotated = await store.rotation.run(told)
    if not rotated.left and (force or not rotated.lost):
        await store.keys.renewed(each.keys[0] for each in await _live(store) if each.keys)
    # Values under the old key are still in the gaps of the file.
    await store.changes.note()
    await store.database.scrub()
    return rotated


async def _refuse_lacking(store: Store) -> None:
    """Failure where a live process could not open what is sealed anew."""
    newest = store.sealer.fingerprints[0]
    lacking = [each.name for each in await _live(store) if newest not in each.keys]
    if lacking:
        raise Failure(
            f"{', '.join(lacking)} {'lacks' if len(lacking) == 1 else 'lack'} the first of "
            "MICHIQ_SECRET_KEYS, and could read nothing that is sealed with it; nothing was changed. Restart "
            "each with new,old, or end it, then run this again (--force: all the same)"
        )


async def _live(store: Store) -> list[Process]:
    """Those that were heard of lately, without those that have died since; of older releases nobody knows."""
    live = await store.processes.live(datetime.now(UTC))
    return [each for each in live if not (each.keys and _has_died(each.id, store))]


def _has_died(process: str, store: Store) -> bool:
    """By the file that a process of this release locks, under a UUID."""
    return bool(_UUID.fullmatch(process)) and not store.presence.lives(process.replace("-", ""))


async def _left(store: Store, told: Callable[[Progress], None]) -> Rotated:
    return await store.rotation.left(told)


def _teller(monotonic: Callable[[], float]) -> Callable[[Progress], None]:
    """A line a second: a large store takes minutes."""
    last = monotonic()

    def told(progress: Progress) -> None:
        nonlocal last
        if monotonic() - last >= _SECONDS:
            last = monotonic()
            done = f"{progress.table}: {progress.rows:,} of {plural(progress.of, 'row')}"
            click.echo(f"{done}, {plural(progress.older, 'value')} under an older key", err=True)

    return told


def _sentences(rotated: Rotated) -> str:
    lines = [f"{plural(rotated.renewed, 'value')} renewed, {rotated.left:,} left under an older key"]
    if rotated.left and rotated.renewed:
        lines.append(
            "some process still seals with an older key: give it the newest one first, and restart it"
        )
    if rotated.lost:
        lines.append(
            f"{plural(rotated.lost, 'value')} under none of the keys: is one missing in MICHIQ_SECRET_KEYS?"
        )
    return "\n".join(lines)
