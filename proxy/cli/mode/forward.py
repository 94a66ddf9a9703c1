"""Checks the evidence for a change of `michiq-proxy mode` that gives clients to the new side."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import click

from proxy.cli.common import Failure, Misuse, mappings_folder, read_table
from proxy.cli.mode.request import ModeRequest, scope_of
from proxy.mapping.models import RouteMapping
from proxy.mapping.table import Table
from proxy.modes import Change, Overrides, validate
from proxy.rollout.preview.effects import RESCUES
from proxy.rollout.preview.membership import share
from proxy.rollout.preview.planning import against
from proxy.rollout.snapshot import Snapshot
from proxy.settings import Settings
from proxy.store import Store


async def checked(
    store: Store, change: Change, asked: ModeRequest, settings: Settings, now: datetime
) -> Change:
    """Returns the change with its percent, when the evidence allows it.

    Raises Misuse for a canary without a percent, BadChange for a change that can't be meant, and Failure when
    it goes forward with neither evidence nor `--despite-evidence`.
    """
    overrides = await store.overrides.load()
    change = completed(change, store, overrides, settings, now)
    if change.mode in RESCUES:
        return change
    if settings.legacy_url is None or asked.expect not in (None, overrides.revision):
        return change  # there is no other side, or the store refuses it as stale
    table = read_table(mappings_folder(settings.mappings))
    scope = scope_of(change.organization, store.sealer)
    before = Snapshot(table, overrides).in_force(change.route, scope, now)
    percent = table.routes[change.route].mapping.canary_percent if change.percent is None else change.percent
    if share(change.mode, percent) > share(before.mode, before.percent):
        reasons = await against(store, change.route, table, now)
        _hold(change.route, [each.sentence for each in reasons], despite=bool(asked.despite_evidence))
    return change


def completed(
    change: Change, store: Store, overrides: Overrides, settings: Settings, now: datetime
) -> Change:
    """Returns the change with its percent.

    Raises Misuse for a canary without a percent, and BadChange for a change that can't be meant.
    """
    validate(change, now)
    scope = scope_of(change.organization, store.sealer)
    return replace(change, percent=_percent(change, overrides, scope, now, settings))


def _percent(
    change: Change, overrides: Overrides, scope: str | None, now: datetime, settings: Settings
) -> float | None:
    """Returns the percent that was given, else that of the canary in force; None leaves it to the mapping.

    Raises Misuse when none of the three has one.
    """
    if change.mode != "canary" or change.percent is not None:
        return change.percent
    before = overrides.in_force(change.route, scope, now)
    if before is not None and before.mode == "canary" and before.percent is not None:
        return before.percent
    if not _says_percent(_mapping(change.route, settings)):
        raise Misuse(
            f"canary needs --percent, from 0 to 100: no canary is in force, and {change.route}.toml has none"
        )
    return None


def _mapping(route: str, settings: Settings) -> RouteMapping:
    table: Table = read_table(mappings_folder(settings.mappings))
    return table.routes[route].mapping


def _says_percent(mapping: RouteMapping) -> bool:
    return "canary_percent" in mapping.model_fields_set


def _hold(route: str, reasons: Sequence[str], *, despite: bool) -> None:
    if not reasons:
        return
    lines = [f" NO  {each}" for each in reasons]
    said = "\n".join([f"the evidence for {route} on the new side is not enough:", *lines])
    if not despite:
        raise Failure(f"{said}\nnothing was changed; --despite-evidence changes it anyway")
    click.echo(f"note: {said}", err=True)
