"""Encrypts the store anew for `michiq-proxy rotate-keys`, or counts what is left."""

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

import click

from proxy.cli.common import Failure, read_settings
from proxy.cli.shared.console import plural
from proxy.cli.shared.store_access import echo_json, name_store, with_store
from proxy.store import Store
from proxy.store.rollout.processes import Process
from proxy.store.upkeep.rotation import Progress, Rotated

# Between two lines of progress.
_SECONDS: Final = 1.0
_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def run(*, check: bool, force: bool, as_json: bool) -> bool:
    """Prints the counts; returns whether nothing is left under an older key."""
    settings = read_settings()
    report = _reporter(time.monotonic)
    rotated = with_store(
        settings, lambda store: _left(store, report) if check else _rotated(store, report, force=force)
    )
    if not check:
        name_store(settings)
    if as_json:
        echo_json({"renewed": rotated.renewed, "left": rotated.left, "lost": rotated.lost})
    else:
        click.echo(_sentences(rotated))
    return not (rotated.left or rotated.lost)


async def _rotated(store: Store, report: Callable[[Progress], None], *, force: bool) -> Rotated:
    if not force:
        await _refuse_lacking(store)
    await store.keys.note()
    rotated = await store.rotation.run(report)
    if not rotated.left and (force or not rotated.lost):
        await store.keys.renewed(each.keys[0] for each in await _live(store) if each.keys)
    # The gaps of the database file still have values under the old key.
    await store.changes.note()
    await store.database.scrub()
    return rotated


async def _refuse_lacking(store: Store) -> None:
    """Raises Failure when a live process could not open what is sealed with the new key."""
    newest = store.sealer.fingerprints[0]
    lacking = [each.name for each in await _live(store) if newest not in each.keys]
    if lacking:
        raise Failure(
            f"{', '.join(lacking)} {'lacks' if len(lacking) == 1 else 'lack'} the first of "
            "MICHIQ_SECRET_KEYS, and could read nothing that is sealed with it; nothing was changed. Restart "
            "each with new,old, or stop it, then run this again (--force: run anyway)"
        )


async def _live(store: Store) -> list[Process]:
    """Returns the processes with a recent heartbeat, without those of this release that have died since."""
    live = await store.processes.live(datetime.now(UTC))
    return [each for each in live if not (each.keys and await _has_died(each.id, store))]


async def _has_died(process: str, store: Store) -> bool:
    """Returns whether the process has died; one of this release is present under its UUID."""
    if not _UUID.fullmatch(process):
        return False
    name = process.replace("-", "")
    return not await store.database.read(lambda conn: store.presence.lives(conn, name))


async def _left(store: Store, report: Callable[[Progress], None]) -> Rotated:
    return await store.rotation.left(report)


def _reporter(monotonic: Callable[[], float]) -> Callable[[Progress], None]:
    """Returns a function that prints at most one line a second: a large store takes minutes."""
    last = monotonic()

    def report(progress: Progress) -> None:
        nonlocal last
        if monotonic() - last >= _SECONDS:
            last = monotonic()
            done = f"{progress.table}: {progress.rows:,} of {plural(progress.of, 'row')}"
            click.echo(f"{done}, {plural(progress.older, 'value')} under an older key", err=True)

    return report


def _sentences(rotated: Rotated) -> str:
    lines = [f"{plural(rotated.renewed, 'value')} renewed, {rotated.left:,} left under an older key"]
    if rotated.left and rotated.renewed:
        lines.append(
            "a process still seals with an older key: put the newest key first in its setting, and restart it"
        )
    if rotated.lost:
        lines.append(
            f"{plural(rotated.lost, 'value')} under none of the keys: is one missing in MICHIQ_SECRET_KEYS?"
        )
    return "\n".join(lines)
