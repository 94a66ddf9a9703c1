"""`michiq-proxy retention`: when texts and audio past their days were last removed, and removing them now."""

from datetime import UTC, datetime

import click

from proxy.cli.common import read_settings
from proxy.cli.paper import moment, plural
from proxy.cli.store_access import echo_json, tell_place, with_store
from proxy.store import Store
from proxy.store.retention import Swept
from proxy.times import rfc3339
from proxy.values import Json


@click.command()
@click.option("--run", is_flag=True, help="Remove what is past its days, by this machine's clock, at once.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def retention(*, run: bool, as_json: bool) -> None:
    """Tell when what is past its retention was last removed, or remove it now.

    A proxy does so every hour by itself. It holds back for 24 h where the machine's clock has jumped over 7
    days, or lies over 30 days past the last sweep: `--run` says that the clock is right. The days stand in
    MICHIQ_CONTENT_DAYS and MICHIQ_AUDIO_DAYS.
    """
    settings, now = read_settings(), datetime.now(UTC)
    days = settings.content_days, settings.audio_days

    async def work(store: Store) -> tuple[datetime | None, Swept | None]:
        swept = await store.retention.sweep(now, *days) if run else None
        return await store.retention.last_sweep(), swept

    last, swept = with_store(settings, work)
    if run:
        tell_place(settings)
    if as_json:
        echo_json(_as_json(now, last, swept))
        return
    click.echo(f"clock: {moment(now)}; last sweep: {moment(last) if last else 'never'}")
    click.echo(f"kept: texts {plural(days[0], 'day')}, audio {plural(days[1], 'day')}")
    if swept is not None:
        click.echo(f"removed: {plural(swept.cases, 'case')}, {plural(swept.recordings, 'recording')}")


def _as_json(now: datetime, last: datetime | None, swept: Swept | None) -> Json:
    counts: Json = None if swept is None else {"cases": swept.cases, "recordings": swept.recordings}
    return {"clock": rfc3339(now), "last_sweep": rfc3339(last) if last else None, "swept": counts}
