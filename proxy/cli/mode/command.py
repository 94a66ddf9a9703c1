"""`michiq-proxy mode`: shows and changes in the store who answers each route."""

from typing import Any

import click

from proxy.cli.common import Misuse, no_collections
from proxy.cli.mode import options
from proxy.cli.mode.flags import flags
from proxy.cli.mode.options import ONE_CHANGE, Action


class _Mode(click.Group):
    """A group of subcommands that passes all other arguments to the spelling without them."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        if args:
            is_own = args[0] in self.commands or args[0] in ("-h", "--help")
        else:
            is_own = bool(extra.get("resilient_parsing"))  # what a shell can complete are the subcommands
        if is_own:
            return super().make_context(info_name, args, parent, **extra)
        return flags.make_context(info_name, args, parent, **extra)


@click.group(cls=_Mode)
def mode() -> None:
    """Show who answers each route, or change it: the old server, the new side, or nobody.

    In short, `mode` and `mode ROUTE` show, and `mode ROUTE MODE` sets. The flags --clear, --rollback and
    --history of older scripts work too.

    The command works on the store, whether or not a proxy runs; running proxies follow within 2 s. A change
    that gives more clients to the new side needs a yes of can-switch. Legacy, shadow, off, clear and rollback
    never need it, nor valid mapping files. --dry-run shows who would move. Exit code 0: done, or in force
    already; 1: refused, or not followed in time; 2: wrong usage or settings.
    """


@mode.command()
@click.argument("route", required=False)
@options.as_json
def show(**given: Any) -> None:
    """Show who answers each route, or this ROUTE."""
    _run("show", given)


@mode.command("set")
@click.argument("route")
@click.argument("wanted", metavar="MODE")
@options.organization
@options.percent
@options.until
@options.despite_evidence
@options.reason
@options.actor
@options.expect
@options.wait
@options.dry_run
@options.as_json
def set_(**given: Any) -> None:
    """Give ROUTE a MODE: legacy, new, shadow, canary or off."""
    _run("change", given)


@mode.command()
@click.argument("route")
@options.organization
@options.reason
@options.actor
@options.expect
@options.wait
@options.dry_run
@options.as_json
def clear(**given: Any) -> None:
    """Remove the override of ROUTE: its mapping file decides again.

    With --organization, the organization has again what everyone has.
    """
    _run("change", given)


@mode.command()
@click.argument("route", required=False)
@click.option("--newest", is_flag=True, default=None, help="Undo the newest change of any route.")
@options.reason
@options.actor
@options.expect
@options.wait
@options.dry_run
@options.as_json
def rollback(**given: Any) -> None:
    """Undo the newest change of ROUTE."""
    if (given["route"] is None) == (not given["newest"]):
        raise Misuse(f"rollback {ONE_CHANGE}")
    _run("rollback", given)


@mode.command()
@click.argument("route", required=False)
@options.limit
@options.as_json
def history(**given: Any) -> None:
    """List the changes, or those of ROUTE, newest first."""
    _run("history", given)


def _run(action: Action, given: dict[str, Any]) -> None:
    with no_collections():
        from proxy.cli.mode.run import run
    run(action, given)
