"""`michiq-proxy contract`: checks row by row whether a host keeps the legacy contract."""

import asyncio
from pathlib import Path
from typing import Final

import click
from yarl import URL

from proxy.cli.common import Failure, Misuse
from proxy.cli.contract_record import record, store_for
from proxy.contract import report
from proxy.contract.catalogue import ROUTES, checks_of
from proxy.contract.check import Check
from proxy.contract.probe import Target, probing
from proxy.contract.runner import announced, run
from proxy.contract.verdicts import NoAnswer, Outcome

_REFUSED: Final = (
    "{target.url} answers newCase with 401: it doesn't know this API key with {target.user} of "
    "{target.organization}; nothing else was checked"
)


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
    target = Target(_base(url), api_key, organization, user, other_user or None)
    checks = checks_of(_routes(names))
    _can_write(junit)
    settings = store_for(organization, read_only=read_only) if recorded else None
    is_proxy, outcomes = asyncio.run(_run(target, checks, read_only=read_only, to_stderr=as_json))
    if as_json:
        click.echo(report.as_json(str(target.url), outcomes, is_proxy=is_proxy))
    if junit is not None:
        junit.write_bytes(report.junit(str(target.url), outcomes))
    click.echo(report.summary(outcomes), err=as_json)
    if settings is not None:
        click.echo(record(settings, str(target.url), outcomes, is_proxy=is_proxy), err=as_json)
    if any(outcome.verdict == "fail" for outcome in outcomes):
        context.exit(1)


async def _run(
    target: Target, checks: tuple[Check, ...], *, read_only: bool, to_stderr: bool
) -> tuple[bool, list[Outcome]]:
    """Returns whether a michiq-proxy answered, and the outcomes; prints each outcome as it comes."""
    outcomes: list[Outcome] = []
    writing = () if read_only else checks
    try:
        async with probing(target) as probe:
            kind = "a michiq-proxy" if probe.is_proxy else "another host: our own choices don't bind it"
            click.echo(f"{target.url} is {kind}.", err=to_stderr)
            plan = announced(writing, other_user=bool(target.other_user))
            click.echo(report.plan(plan), err=to_stderr)
            if plan.cases and not await probe.knock():
                raise Failure(_REFUSED.format(target=target))
            async for outcome in run(checks, probe, read_only=read_only):
                outcomes.append(outcome)
                click.echo(report.line(len(outcomes), len(checks), outcome), err=to_stderr)
            return probe.is_proxy, outcomes
    except NoAnswer as silence:
        raise Failure(f"{target.url} can't be reached: {silence.reason}") from None


def _base(text: str) -> URL:
    try:
        url = URL(text)
    except ValueError:
        url = URL()
    if url.scheme not in ("http", "https") or not url.host:
        raise Misuse("--target needs an address such as https://michiq.example")
    if url.user or url.password or url.query_string or url.fragment:
        raise Misuse("--target takes no user name, query or fragment")
    return url


def _routes(names: str) -> frozenset[str]:
    routes = frozenset(name.strip() for name in names.split(",") if name.strip())
    if unknown := sorted(routes - {*ROUTES}):
        raise Misuse(f"--routes: there is no route {unknown[0]}; there are {', '.join(ROUTES)}")
    return routes


def _can_write(path: Path | None) -> None:
    """Raises Misuse when the folder is missing: better before anything is made on the host than after."""
    if path is not None and not path.parent.is_dir():
        raise Misuse(f"--junit: there is no folder {path.parent}")
