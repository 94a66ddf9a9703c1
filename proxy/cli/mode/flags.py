"""The spelling of `michiq-proxy mode` without subcommands: short for people, and what older scripts use."""

from typing import Any, Final

import click

from proxy.cli.common import Misuse, no_collections
from proxy.cli.mode import options
from proxy.cli.mode.options import ONE_CHANGE, Action

_WRITES: Final = frozenset({"reason", "actor", "expect", "wait", "dry_run"})
# The options that only some of the actions take.
_TAKEN: Final[dict[Action, frozenset[str]]] = {
    "show": frozenset(),
    "history": frozenset({"limit"}),
    "change": _WRITES | {"organization", "percent", "until", "despite_evidence"},
    "rollback": _WRITES | {"newest"},
}
_OPTIONS: Final = sorted(frozenset[str]().union(*_TAKEN.values()))


@click.command("mode")
@click.argument("route", required=False)
@click.argument("wanted", metavar="[MODE]", required=False)
@options.organization
@options.percent
@options.until
@click.option("--clear", is_flag=True, help="Remove the override of ROUTE.")
@click.option("--rollback", is_flag=True, help="Undo the newest change of ROUTE.")
@click.option("--newest", is_flag=True, default=None, help="With --rollback: undo the newest of any route.")
@options.despite_evidence
@options.reason
@options.actor
@options.expect
@options.wait
@options.dry_run
@click.option("--history", is_flag=True, help="List the changes, newest first.")
@options.limit
@options.as_json
def flags(*, clear: bool, rollback: bool, history: bool, **given: Any) -> None:
    """Show who answers each route (or this ROUTE), or change it: MODE is legacy, new, shadow, canary or off.

    `michiq-proxy mode --help` has the same as subcommands.
    """
    action = _action(given, clear=clear, rollback=rollback, history=history)
    with no_collections():
        from proxy.cli.mode.run import run
    run(action, given)


def _action(given: dict[str, Any], *, clear: bool, rollback: bool, history: bool) -> Action:
    """Returns the action that is meant. Raises Misuse when none is meant clearly."""
    flags: dict[str, tuple[bool, Action]] = {
        "a MODE": (given["wanted"] is not None, "change"),
        "--clear": (clear, "change"),
        "--rollback": (rollback, "rollback"),
        "--history": (history, "history"),
    }
    named = [flag for flag, (is_given, _) in flags.items() if is_given]
    if len(named) > 1:
        raise Misuse(f"{named[0]} and {named[1]} don't go together")
    action = flags[named[0]][1] if named else "show"
    if action == "change" and given["route"] is None:
        raise Misuse(f"{named[0]} needs a ROUTE")
    if action == "rollback" and (given["route"] is None) == (not given["newest"]):
        raise Misuse(f"--rollback {ONE_CHANGE}")
    for name in _OPTIONS:
        if name not in _TAKEN[action] and given[name] is not None:
            option = name.replace("_", "-")
            raise Misuse(
                f"--{option} does not go with {named[0] if named else 'showing: give a MODE, or --clear'}"
            )
    return action
