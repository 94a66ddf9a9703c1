"""Checks the evidence for a change of `michiq-proxy mode` that gives clients to the new side."""

from dataclasses import replace
from datetime import datetime
from typing import Final

import click

from proxy.cli.can_switch.run import look
from proxy.cli.common import Failure, Misuse, mappings_folder, read_table
from proxy.cli.mode.request import ModeRequest, scope_of
from proxy.mapping.models import RouteMapping
from proxy.mapping.table import Table
from proxy.modes import Change, Mode, Overrides, validate
from proxy.rollout.evidence.readiness import Verdict
from proxy.rollout.snapshot import Snapshot
from proxy.settings import Settings
from proxy.store import Store

# These take clients back, or move none: neither evidence nor a mapping file may block them.
_RESCUES: Final[frozenset[Mode | None]] = frozenset({None, "legacy", "shadow", "off"})


async def checked(
    store: Store, change: Change, asked: ModeRequest, settings: Settings, now: datetime
) -> Change:
    """Returns the change with its percent, when the evidence allows it.

    Raises Misuse for a canary without a percent, BadChange for a change that can't be meant, and Failure when
    it goes forward with neither evidence nor `--despite-evidence`.
    """
    validate(change, now)
    if change.mode in _RESCUES:
        return change
    overrides = await store.overrides.load()
    scope = scope_of(change.organization, store.sealer)
    change = replace(change, percent=_percent(change, overrides, scope, now, settings))
    if settings.legacy_url is None or asked.expect not in (None, overrides.revision):
        return change  # there is no other side, or the store refuses it as stale
    table = read_table(mappings_folder(settings.mappings))
    before = Snapshot(table, overrides).in_force(change.route, scope, now)
    percent = table.routes[change.route].mapping.canary_percent if change.percent is None else change.percent
    if _share(change.mode, percent) > _share(before.mode, before.percent):
        found = await look(store, change.route, table, now)
        _hold(change.route, found.verdict, despite=bool(asked.despite_evidence))
    return change


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


def _share(mode: Mode | None, percent: float) -> float:
    """Returns the percentage of organizations that the new side answers."""
    return {"new": 100.0, "canary": percent}.get(mode or "", 0.0)


def _hold(route: str, verdict: Verdict, *, despite: bool) -> None:
    against = [f" NO  {each.sentence}" for each in verdict.reasons if not each.ok]
    if not against:
        return
    said = "\n".join([f"the evidence for {route} on the new side is not enough:", *against])
    if not despite:
        raise Failure(f"{said}\nnothing was changed; --despite-evidence changes it anyway")
    click.echo(f"note: {said}", err=True)
