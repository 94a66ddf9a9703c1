"""`michiq-proxy contract`: checks row by row whether a host keeps the legacy contract."""

from pathlib import Path

import click

from proxy.cli.common import no_collections
from proxy.contract.routes import ROUTES


@click.command()
@click.option("--target", "url", required=True, envvar="CONTRACT_TARGET", help="The host's base URL.")
@click.option("--api-key", required=True, envvar="CONTRACT_API_KEY", help="Better set CONTRACT_API_KEY.")
@click.option("--organization", required=True, envvar="CONTRACT_ORGANIZATION", help="As newCase sends it.")
@click.option("--user", required=True, envvar="CONTRACT_USER", help="A user's mail address.")
@click.option("--other-user", envvar="CONTRACT_OTHER_USER", help="A second user, to check who sees what.")
@click.option("--routes", "names", default="", help=f"Only these, with commas between: {', '.join(ROUTES)}.")
@click.option("--read-only", is_flag=True, help="Create nothing: most rows are then not applicable.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout; progress goes to stderr.")
@click.option(
    "--junit", type=click.Path(path_type=Path, dir_okay=False, writable=True), help="Write JUnit XML."
)
@click.option("--record", "recorded", is_flag=True, help="Store the counts, for can-switch.")
@click.pass_context
def contract(
    context: click.Context,
    url: str,
    api_key: str,
    organization: str,
    user: str,
    other_user: str | None,
    names: str,
    *,
    read_only: bool,
    as_json: bool,
    junit: Path | None,
    recorded: bool,
) -> None:
    """Check over HTTP whether a host (the old server, this proxy, a rebuilt one) keeps the contract.

    The first five options can also be set in the environment, as CONTRACT_…. Exit code 0: nothing failed; 1:
    a check failed, or the host can't be reached; 2: wrong usage or settings.

    --record needs the settings of the michiq-proxy that is checked. Its counts describe the side that
    answers: name an organization whose routes have the mode new.
    """
    with no_collections():
        from proxy.cli.contract.run import base_url, run
        from proxy.contract.probe import Target
    target = Target(base_url(url), api_key, organization, user, other_user or None)
    passed = run(target, names, read_only=read_only, as_json=as_json, junit=junit, recorded=recorded)
    if not passed:
        context.exit(1)
