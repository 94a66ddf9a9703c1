"""`michiq-proxy mode`: who answers each route, seen and changed straight in the store."""

from datetime import UTC, datetime
from typing import Any, Final

import click

from proxy.cli import mode_tables as tables
from proxy.cli.common import Failure, mappings_folder, read_settings, read_table
from proxy.cli.mode_change import apply
from proxy.cli.mode_request import Asked, action_of, actor_of, change_of, known_route, reason_of
from proxy.cli.store_access import echo_json, with_store
from proxy.mapping.complaints import did_you_mean
from proxy.mapping.table import Organizations
from proxy.overrides import NEED_LEGACY, as_json
from proxy.settings import Settings

_WAIT_SECONDS: Final = 15.0
_SHOWN: Final = 20


@click.command()
@click.argument("route", required=False)
@click.argument("wanted", metavar="[MODE]", required=False)
@click.option("--organization", help="Only for this one, by its legacy name.")
@click.option("--percent", type=float, help="Of the organizations, with MODE canary.")
@click.option("--until", help='A duration ("2 h") or a time (2027-01-31T18:00:00Z); then back to what was.')
@click.option("--clear", is_flag=True, help="Give the ROUTE back to its mapping.")
@click.option("--rollback", is_flag=True, help="Undo the newest change, of the ROUTE if it is named.")
@click.option("--reason", help="Why; needed for every change.")
@click.option("--actor", help="Who; default: the user of this machine.")
@click.option("--expect", type=click.IntRange(0), metavar="REVISION", help="Only if this is the newest one.")
@click.option(
    "--wait",
    type=click.FloatRange(0, 3600),
    is_flag=False,
    flag_value=_WAIT_SECONDS,
    metavar="[SECONDS]",
    help=f"Until every live process follows; default: {_WAIT_SECONDS:g} s.",
)
@click.option("--history", is_flag=True, help="The changes, newest first.")
@click.option("--limit", type=click.IntRange(1, 10_000), help=f"Of the history; default: {_SHOWN}.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def mode(**given: Any) -> None:
    """Show who answers each route (or this ROUTE), or change it: MODE is legacy, new, shadow, canary or off.

    It works on the store, whether or not a proxy runs; those that run follow within 2 s. Exit code 0: done;
    1: refused, or not followed in time; 2: it was asked wrongly.
    """
    asked = Asked(**given)
    action = action_of(asked)
    settings = read_settings()
    if action == "change":
        _change(asked, settings)
    elif action == "rollback":
        _roll_back(asked, settings)
    elif action == "history":
        _history(asked, settings)
    else:
        _show(asked, settings)


def _show(asked: Asked, settings: Settings) -> None:
    routes = read_table(mappings_folder(settings.mappings)).routes
    wanted = routes if asked.route is None else [known_route(asked.route, routes)]
    mappings = {name: routes[name].mapping for name in wanted}
    overrides = with_store(settings, lambda store: store.overrides.load())
    now = datetime.now(UTC)
    if asked.as_json:
        echo_json(tables.state_json(mappings, overrides, now))
    else:
        tables.print_state(mappings, overrides, now)


def _history(asked: Asked, settings: Settings) -> None:
    limit, route = asked.limit or _SHOWN, _route(asked, settings)
    found = with_store(settings, lambda store: store.overrides.history(limit=limit, route=route))
    if asked.as_json:
        echo_json([as_json(each) for each in found])
    else:
        tables.print_history(found)


def _change(asked: Asked, settings: Settings) -> None:
    table = read_table(mappings_folder(settings.mappings))
    now = datetime.now(UTC)
    change = change_of(asked, known_route(asked.route or "", table.routes), now)
    if change.mode in NEED_LEGACY and settings.legacy_url is None:
        raise Failure(f"{change.mode} needs the legacy server, and MICHIQ_LEGACY_URL is not set")
    _note_stranger(change.organization, table.organizations)
    apply(asked, settings, lambda overrides: overrides.change(change, expected=asked.expect, at=now))


def _roll_back(asked: Asked, settings: Settings) -> None:
    actor, reason, route = actor_of(asked), reason_of(asked), _route(asked, settings)
    now = datetime.now(UTC)
    apply(
        asked,
        settings,
        lambda overrides: overrides.roll_back(
            actor=actor, reason=reason, at=now, route=route, expected=asked.expect
        ),
    )


def _route(asked: Asked, settings: Settings) -> str | None:
    """The route, if one was named: without one the mapping files need not be good."""
    if asked.route is None:
        return None
    return known_route(asked.route, read_table(mappings_folder(settings.mappings)).routes)


def _note_stranger(organization: str | None, organizations: Organizations) -> None:
    if organization is not None and organization not in organizations.known:
        hint = did_you_mean(organization, organizations.known)
        click.echo(f"note: organizations.toml does not name {organization}{hint}", err=True)
