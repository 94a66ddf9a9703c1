"""Runs the actions of `michiq-proxy mode` on the store."""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any

import click

from proxy.cli.common import Failure, mappings_folder, named_organizations, read_settings, read_table
from proxy.cli.mode import tables
from proxy.cli.mode.change import apply
from proxy.cli.mode.dry_run import dry_run
from proxy.cli.mode.forward import checked, completed
from proxy.cli.mode.options import SHOWN, Action
from proxy.cli.mode.request import ModeRequest, actor_of, change_of, existing_route, reason_of
from proxy.cli.shared.store_access import echo_json, with_store
from proxy.flows.registry import FLOWS
from proxy.mapping.complaints import did_you_mean
from proxy.modes import NEED_LEGACY, Change, Override, as_json
from proxy.settings import Settings
from proxy.store import Store


def run(action: Action, given: Mapping[str, Any]) -> None:
    """Runs the action with the arguments and options that click has read."""
    asked, settings = ModeRequest(**given), read_settings()
    match action:
        case "change":
            _change(asked, settings)
        case "rollback":
            _roll_back(asked, settings)
        case "history":
            _history(asked, settings)
        case "show":
            _show(asked, settings)


def _show(asked: ModeRequest, settings: Settings) -> None:
    routes = read_table(mappings_folder(settings.mappings)).routes
    wanted = routes if asked.route is None else [existing_route(asked.route, routes)]
    mappings = {name: routes[name].mapping for name in wanted}
    overrides = with_store(settings, lambda store: store.overrides.load())
    now = datetime.now(UTC)
    if asked.as_json:
        echo_json(tables.state_json(mappings, overrides, now))
    else:
        tables.print_state(mappings, overrides, now)


def _history(asked: ModeRequest, settings: Settings) -> None:
    limit, route = asked.limit or SHOWN, _route(asked)
    found = with_store(settings, lambda store: store.overrides.history(limit=limit, route=route))
    if asked.as_json:
        echo_json([as_json(each) for each in found])
    else:
        tables.print_history(found)


def _change(asked: ModeRequest, settings: Settings) -> None:
    """Makes or previews the change.

    To make it, only the mapping files are read that it needs: a broken one must not block a rescue.
    """
    now = datetime.now(UTC)
    change = change_of(asked, existing_route(asked.route or "", FLOWS), now)
    if change.organization is not None:
        _note_stranger(change.organization, named_organizations(settings))
    if asked.dry_run:
        _foresee(asked, change, settings, now)
    else:
        _make(asked, change, settings, now)


def _foresee(asked: ModeRequest, change: Change, settings: Settings, now: datetime) -> None:
    async def draft(store: Store) -> Override:
        complete = completed(change, store, await store.overrides.load(), settings, now)
        return store.overrides.planned(complete, now)

    dry_run(asked, settings, draft, now)


def _make(asked: ModeRequest, change: Change, settings: Settings, now: datetime) -> None:
    if change.mode in NEED_LEGACY and settings.legacy_url is None:
        raise Failure(f"{change.mode} needs the legacy server, and MICHIQ_LEGACY_URL is not set")

    async def make(store: Store) -> Override:
        complete = await checked(store, change, asked, settings, now)
        return await store.overrides.change(complete, expected=asked.expect, at=now, anew=False)

    apply(asked, settings, make, now)


def _roll_back(asked: ModeRequest, settings: Settings) -> None:
    actor, reason, route = actor_of(asked), reason_of(asked), _route(asked)
    now = datetime.now(UTC)

    async def draft(store: Store) -> Override:
        return await store.overrides.planned_rollback(actor=actor, reason=reason, at=now, route=route)

    async def make(store: Store) -> Override:
        return await store.overrides.roll_back(
            actor=actor, reason=reason, at=now, route=route, expected=asked.expect, via="cli"
        )

    if asked.dry_run:
        dry_run(asked, settings, draft, now)
    else:
        apply(asked, settings, make, now)


def _route(asked: ModeRequest) -> str | None:
    return None if asked.route is None else existing_route(asked.route, FLOWS)


def _note_stranger(organization: str, known: Collection[str]) -> None:
    if organization not in known:
        hint = did_you_mean(organization, known)
        click.echo(f"note: organizations.toml does not name {organization}{hint}", err=True)
