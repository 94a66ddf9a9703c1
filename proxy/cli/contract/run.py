"""Runs the contract's checks for `michiq-proxy contract`, and prints the outcomes."""

import asyncio
from pathlib import Path
from typing import Final

import click
from yarl import URL

from proxy.cli.common import Failure, Misuse
from proxy.cli.contract.record import record, store_for
from proxy.contract import report, runner
from proxy.contract.catalogue import checks_of
from proxy.contract.check import Check
from proxy.contract.probe import Target, probing
from proxy.contract.routes import ROUTES
from proxy.contract.verdicts import NoAnswer, Outcome

_REFUSED: Final = (
    "{target.url} answers newCase with 401: it doesn't know this API key with {target.user} of "
    "{target.organization}; nothing else was checked"
)


def base_url(text: str) -> URL:
    """Returns the URL of `--target`. Raises Misuse when it is no host's."""
    try:
        url = URL(text)
    except ValueError:
        url = URL()
    if url.scheme not in ("http", "https") or not url.host:
        raise Misuse("--target needs an address such as https://michiq.example")
    if url.user or url.password or url.query_string or url.fragment:
        raise Misuse("--target takes no user name, query or fragment")
    return url


def run(
    target: Target, names: str, *, read_only: bool, as_json: bool, junit: Path | None, recorded: bool
) -> bool:
    """Runs the checks of the named routes; returns whether none failed."""
    checks = checks_of(_routes(names))
    _can_write(junit)
    settings = store_for(target.organization, read_only=read_only) if recorded else None
    is_proxy, outcomes = asyncio.run(_run(target, checks, read_only=read_only, to_stderr=as_json))
    if as_json:
        click.echo(report.as_json(str(target.url), outcomes, is_proxy=is_proxy))
    if junit is not None:
        junit.write_bytes(report.junit(str(target.url), outcomes))
    click.echo(report.summary(outcomes), err=as_json)
    if settings is not None:
        click.echo(record(settings, str(target.url), outcomes, is_proxy=is_proxy), err=as_json)
    return all(outcome.verdict != "fail" for outcome in outcomes)


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
            plan = runner.announced(writing, other_user=bool(target.other_user))
            click.echo(report.plan(plan), err=to_stderr)
            if plan.cases and not await probe.knock():
                raise Failure(_REFUSED.format(target=target))
            async for outcome in runner.run(checks, probe, read_only=read_only):
                outcomes.append(outcome)
                click.echo(report.line(len(outcomes), len(checks), outcome), err=to_stderr)
            return probe.is_proxy, outcomes
    except NoAnswer as silence:
        raise Failure(f"{target.url} can't be reached: {silence.reason}") from None


def _routes(names: str) -> frozenset[str]:
    routes = frozenset(name.strip() for name in names.split(",") if name.strip())
    if unknown := sorted(routes - {*ROUTES}):
        raise Misuse(f"--routes: there is no route {unknown[0]}; there are {', '.join(ROUTES)}")
    return routes


def _can_write(path: Path | None) -> None:
    """Raises Misuse when the folder is missing: better before anything is made on the host than after."""
    if path is not None and not path.parent.is_dir():
        raise Misuse(f"--junit: there is no folder {path.parent}")
