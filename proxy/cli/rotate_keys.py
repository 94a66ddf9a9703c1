"""`michiq-proxy rotate-keys`: encrypts everything in the store again, with the newest of the keys."""

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

import click

from proxy.cli.common import Failure, read_settings
from proxy.cli.paper import plural
from proxy.cli.store_access import echo_json, name_store, with_store
from proxy.store import Store
from proxy.store.processes import Process
from proxy.store.rotation import Progress, Rotated

# Between two lines of progress.
_SECONDS: Final = 1.0
_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@click.command()
@click.option("--check", is_flag=True, help="Only show how much is left; write nothing.")
@click.option("--force", is_flag=True, help="Run even if a live process lacks the new key and will fail.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout; progress goes to stderr.")
@click.pass_context
def rotate_keys(context: click.Context, *, check: bool, force: bool, as_json: bool) -> None:
    """Encrypt everything in the store again, with the first key of MICHIQ_SECRET_KEYS.

    First give all processes the new key, before the old one: MICHIQ_SECRET_KEYS=new,old. Then run this
    command while they serve; it refuses while a live process lacks the new key. A run that was cut short goes
    on where it stopped. After exit code 0, the old key can be removed from the setting. The blobs need
    nothing: their keys are in the database. At the end the command rewrites the database; for that moment,
    proxies can't write.

    Values that release 0.1.0 encrypted with Fernet count as under an older key. Once none of them is left,
    Fernet is refused.

    Exit code 0: nothing is left under an older key; 1: something is left, or opens with none of the keys; 2:
    wrong usage or settings.
    """
    settings = read_settings()
    report = _reporter(time.monotonic)
    rotated = with_store(
        settings, lambda store: _left(store, report) if check else _run(store, report, force=force)
    )
    if not check:
        name_store(settings)
    if as_json:
        echo_json({"renewed": rotated.renewed, "left": rotated.left, "lost": rotated.lost})
    else:
        click.echo(_sentences(rotated))
    if rotated.left or rotated.lost:
        context.exit(1)


async def _run(store: Store, report: Callable[[Progress], None], *, force: bool) -> Rotated:
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
    return [each for each in live if not (each.keys and _has_died(each.id, store))]


def _has_died(process: str, store: Store) -> bool:
    """Returns whether the process has died, by the file that a process of this release locks under a UUID."""
    return bool(_UUID.fullmatch(process)) and not store.presence.lives(process.replace("-", ""))


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
