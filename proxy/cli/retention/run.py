"""Reads the last sweep for `michiq-proxy retention`, or sweeps, and prints it."""

from datetime import UTC, datetime

import click

from proxy.cli.common import read_settings
from proxy.cli.shared.console import moment, plural
from proxy.cli.shared.store_access import echo_json, name_store, with_store
from proxy.store import Store
from proxy.store.upkeep.retention import Swept
from proxy.times import rfc3339
from proxy.values import Json


def show(*, sweeps: bool, as_json: bool) -> None:
    """Prints the clock, the last sweep and the retention; `sweeps` sweeps first."""
    settings, now = read_settings(), datetime.now(UTC)
    days = settings.content_days, settings.audio_days

    async def work(store: Store) -> tuple[datetime | None, Swept | None]:
        swept = await store.retention.sweep(now, *days) if sweeps else None
        return await store.retention.last_sweep(), swept

    last, swept = with_store(settings, work)
    if sweeps:
        name_store(settings)
    if as_json:
        echo_json(_as_json(now, last, swept))
        return
    click.echo(f"clock: {moment(now)}; last sweep: {moment(last) if last else 'never'}")
    click.echo(f"retention: texts {plural(days[0], 'day')}, audio {plural(days[1], 'day')}")
    if swept is not None:
        click.echo(f"removed: {plural(swept.cases, 'case')}, {plural(swept.recordings, 'recording')}")


def _as_json(now: datetime, last: datetime | None, swept: Swept | None) -> Json:
    counts: Json = None if swept is None else {"cases": swept.cases, "recordings": swept.recordings}
    return {"clock": rfc3339(now), "last_sweep": rfc3339(last) if last else None, "swept": counts}
