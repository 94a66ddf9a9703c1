"""`michiq-proxy mode`: who answers each route, seen and changed straight in the store."""

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any, Final

import click

from proxy.cli import mode_tables as tables
from proxy.cli.common import Failure, mappings_folder, organizations_known, read_settings, read_table
from proxy.cli.mode_change import apply
from proxy.cli.mode_forward import judged
from proxy.cli.mode_request import Asked, action_of, actor_of, change_of, known_route, reason_of
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
@click.option("--organization", help="Only for this one, by its legacy name.")
@click.option("--percent", type=float, help="Of the organizations, with MODE canary.")
@click.option("--until", help='A duration ("2 h") or a time (2027-01-31T18:00:00Z); then back to what was.')
@click.option("--clear", is_flag=True, help="Give the ROUTE back to its mapping.")
@click.option("--rollback", is_flag=True, help="Undo the newest change of the ROUTE.")
@click.option("--newest", is_flag=True, default=None, help="With --rollback: of whatever route it is.")
@click.option("--despite-evidence", is_flag=True, default=None, help="Go forward though can-switch says no.")
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

    It works on the store, whether or not a proxy runs; those that run follow within 2 s. What gives more
    clients to the new side is held to can-switch; legacy, shadow, off and a rollback never are, and need no
    good mapping files. Exit code 0: done, or in force already; 1: refused, or not followed in time; 2: it was
    asked wrongly.
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
    limit, route = asked.limit or _SHOWN, _route(asked)
    found = with_store(settings, lambda store: store.overrides.history(limit=limit, route=route))
    if asked.as_json:
        echo_json([as_json(each) for each in found])
    else:
        tables.print_history(found)


def _change(asked: Asked, settings: Settings) -> None:
    """Asks the mapping files nothing but what it needs: a broken one must not stand before a rescue."""
    now = datetime.now(UTC)
    change = change_of(asked, known_route(asked.route or "", FLOWS), now)
    if change.mode in NEED_LEGACY and settings.legacy_url is None:
        raise Failure(f"{change.mode} needs the legacy server, and MICHIQ_LEGACY_URL is not set")
    if change.organization is not None:
        _note_stranger(change.organization, organizations_known(settings))

    async def make(store: Store) -> Override:
        judged_one = await judged(store, change, asked, settings, now)
        return await store.overrides.change(judged_one, expected=asked.expect, at=now, anew=False)

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
    return None if asked.route is None else known_route(asked.route, FLOWS)


def _note_stranger(organization: str, known: Collection[str]) -> None:
    if organization not in known:
        hint = did_you_mean(organization, known)
        click.echo(f"note: organizations.toml does not name {organization}{hint}", err=True)
