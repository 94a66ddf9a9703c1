"""`michiq-proxy mode`: shows and changes in the store who answers each route."""

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any, Final

import click

from proxy.cli import mode_tables as tables
from proxy.cli.common import Failure, mappings_folder, named_organizations, read_settings, read_table
from proxy.cli.mode_change import apply
from proxy.cli.mode_forward import checked
from proxy.cli.mode_request import Asked, action_of, actor_of, change_of, existing_route, reason_of
from proxy.cli.store_access import echo_json, with_store
from proxy.mapping.complaints import did_you_mean
from proxy.overrides import NEED_LEGACY, Override, as_json
from proxy.settings import Settings
from proxy.store import Store
from proxy.web.flows import FLOWS

_WAIT_SECONDS: Final = 15.0
_SHOWN: Final = 20


@click.command()
@click.argument("route", required=False)
@click.argument("wanted", metavar="[MODE]", required=False)
@click.option("--organization", help="Only for this organization, by its legacy name.")
@click.option("--percent", type=float, help="With MODE canary: the share of the organizations.")
@click.option("--until", help='A duration ("2 h") or a time (2027-01-31T18:00:00Z), then back.')
@click.option("--clear", is_flag=True, help="Remove the override of ROUTE.")
@click.option("--rollback", is_flag=True, help="Undo the newest change of ROUTE.")
@click.option("--newest", is_flag=True, default=None, help="With --rollback: undo the newest of any route.")
@click.option("--despite-evidence", is_flag=True, default=None, help="Go forward even if can-switch says no.")
@click.option("--reason", help="The reason; every change needs one.")
@click.option("--actor", help="The operator; default: the user of this machine.")
@click.option(
    "--expect", type=click.IntRange(0), metavar="REVISION", help="Change only if this is the newest."
)
@click.option(
    "--wait",
    type=click.FloatRange(0, 3600),
    is_flag=False,
    flag_value=_WAIT_SECONDS,
    metavar="[SECONDS]",
    help=f"Wait until every live process follows; default: {_WAIT_SECONDS:g} s.",
)
@click.option("--history", is_flag=True, help="List the changes, newest first.")
@click.option("--limit", type=click.IntRange(1, 10_000), help=f"Length of the history; default: {_SHOWN}.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
def mode(**given: Any) -> None:
    """Show who answers each route (or this ROUTE), or change it: MODE is legacy, new, shadow, canary or off.

    The command works on the store, whether or not a proxy runs; running proxies follow within 2 s. A change
    that gives more clients to the new side needs a yes of can-switch. Legacy, shadow, off and a rollback
    never need it, nor valid mapping files. Exit code 0: done, or in force already; 1: refused, or not
    followed in time; 2: wrong usage or settings.
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
    wanted = routes if asked.route is None else [existing_route(asked.route, routes)]
    mappings = {name: routes[name].mapping for name in wanted}
    overrides = with_store(settings, lambda store: store.overrides.load())
    now = datetime.now(UTC)
    if asked.as_json:
        echo_json(tables.state_json(mappings, overrides, now))
    else:
        tables.print_state(mappings, overrides, now)


def _history(asked: Asked, settings: Settings) -> None:
    limit, route = asked.limit or _SHOWN, _route(asked)
    found = with_store(settings, lambda store: store.overrides.history(limit=limit, route=route))
    if asked.as_json:
        echo_json([as_json(each) for each in found])
    else:
        tables.print_history(found)


def _change(asked: Asked, settings: Settings) -> None:
    """Makes the change; reads only the mapping files that it needs: a broken one must not block a rescue."""
    now = datetime.now(UTC)
    change = change_of(asked, existing_route(asked.route or "", FLOWS), now)
    if change.mode in NEED_LEGACY and settings.legacy_url is None:
        raise Failure(f"{change.mode} needs the legacy server, and MICHIQ_LEGACY_URL is not set")
    if change.organization is not None:
        _note_stranger(change.organization, named_organizations(settings))

    async def make(store: Store) -> Override:
        complete = await checked(store, change, asked, settings, now)
        return await store.overrides.change(complete, expected=asked.expect, at=now, anew=False)

    apply(asked, settings, make, now)


def _roll_back(asked: Asked, settings: Settings) -> None:
    actor, reason, route = actor_of(asked), reason_of(asked), _route(asked)
    now = datetime.now(UTC)

    async def make(store: Store) -> Override:
        return await store.overrides.roll_back(
            actor=actor, reason=reason, at=now, route=route, expected=asked.expect
        )

    apply(asked, settings, make, now)


def _route(asked: Asked) -> str | None:
    return None if asked.route is None else existing_route(asked.route, FLOWS)


def _note_stranger(organization: str, known: Collection[str]) -> None:
    if organization not in known:
        hint = did_you_mean(organization, known)
        click.echo(f"note: organizations.toml does not name {organization}{hint}", err=True)
