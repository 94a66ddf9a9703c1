"""`michiq-proxy retention`: shows when texts and audio past their days were last removed, or removes them."""

import click

from proxy.cli.common import no_collections


@click.command()
@click.option("--run", is_flag=True, help="Remove data past its days now, by this machine's clock.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
def retention(*, run: bool, as_json: bool) -> None:
    """Show when data past its retention was last removed, or remove it now.

    A proxy removes it every hour by itself. It waits for 24 h when the machine's clock has jumped by over 7
    days, or is over 30 days past the last sweep: `--run` says that the clock is right. The days are set in
    MICHIQ_CONTENT_DAYS and MICHIQ_AUDIO_DAYS.
    """
    with no_collections():
        from proxy.cli.retention.run import show
    show(sweeps=run, as_json=as_json)
