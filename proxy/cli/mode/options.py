"""The actions of `michiq-proxy mode`, and the options that its two spellings share."""

from typing import Final, Literal, TypeAlias

import click

Action: TypeAlias = Literal["show", "history", "change", "rollback"]

ONE_CHANGE: Final = "takes the ROUTE of the change to undo, or else --newest, for any route"
SHOWN: Final = 20  # changes of a history
_WAIT_SECONDS: Final = 15.0

organization = click.option("--organization", help="Only for this organization, by its legacy name.")
percent = click.option("--percent", type=float, help="With MODE canary: the share of the organizations.")
until = click.option("--until", help='A duration ("2 h") or a time (2027-01-31T18:00:00Z), then back.')
despite_evidence = click.option(
    "--despite-evidence", is_flag=True, default=None, help="Go forward even if can-switch says no."
)
reason = click.option("--reason", help="The reason; every change needs one.")
actor = click.option("--actor", help="The operator; default: the user of this machine.")
expect = click.option(
    "--expect", type=click.IntRange(0), metavar="REVISION", help="Change only if this is the newest."
)
wait = click.option(
    "--wait",
    type=click.FloatRange(0, 3600),
    is_flag=False,
    flag_value=_WAIT_SECONDS,
    metavar="[SECONDS]",
    help=f"Wait until every live process follows; default: {_WAIT_SECONDS:g} s.",
)
limit = click.option(
    "--limit", type=click.IntRange(1, 10_000), help=f"Length of the history; default: {SHOWN}."
)
dry_run = click.option("--dry-run", is_flag=True, default=None, help="Show who would move; change nothing.")
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
