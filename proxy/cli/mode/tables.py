"""Writes the overrides for `michiq-proxy mode`, for people and for programs."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Final

from proxy.cli.shared.console import columns, show
from proxy.mapping.models import RouteMapping
from proxy.modes import EVERYONE, Mode, Override, Overrides, as_json
from proxy.rollout.following import Following
from proxy.store.sealing.sealer import shown_hash
from proxy.values import Json

_WRAPS: Final = ("actor", "scope", "mode", "reason")


def state_json(mappings: Mapping[str, RouteMapping], overrides: Overrides, now: datetime) -> Json:
    return {
        "revision": overrides.revision,
        "mappings": {
            name: {"mode": each.mode, "canary_percent": each.canary_percent}
            for name, each in mappings.items()
        },
        "in_force": [as_json(each) for each in overrides.all_in_force(now) if each.route in mappings],
    }


def print_state(mappings: Mapping[str, RouteMapping], overrides: Overrides, now: datetime) -> None:
    table = columns("rev", "route", "mapping", "scope", "mode", "until", "actor", "reason", wraps=_WRAPS)
    for name, mapping in mappings.items():
        own = [each for each in overrides.all_in_force(now) if each.route == name]
        if not any(each.scope == EVERYONE for each in own):
            table.add_row("", name, mapping.mode, "everyone", _mode(mapping.mode, mapping.canary_percent))
        for each in own:
            percent = mapping.canary_percent if each.percent is None else each.percent
            cells = (_mode(each.mode, percent), stacked(each.until), each.actor, each.reason)
            table.add_row(str(each.revision), name, mapping.mode, whom(each), *cells)
    show(table)


def print_history(overrides: Iterable[Override]) -> None:
    table = columns("rev", "at", "actor", "route", "scope", "mode", "until", "reason", wraps=_WRAPS)
    for each in overrides:
        reason = each.reason if each.undoes is None else f"undoes {each.undoes}: {each.reason}"
        cells = (each.route, whom(each), _mode(each.mode, each.percent), stacked(each.until), reason)
        table.add_row(str(each.revision), stacked(each.at), each.actor, *cells)
    show(table)


def sentence(override: Override, before: Override | None = None) -> str:
    """Returns one change in words; a rollback, and a change of a canary, also name the mode `before`."""
    back = "its mapping" if override.scope == EVERYONE else "what everyone has"
    mode = _mode(override.mode, override.percent) if override.mode else back
    until = f" until {_minute(override.until)}" if override.until else ""
    undoes = f", undoes {override.undoes}" if override.undoes else ""
    where = f"{override.route} for {whom(override)}"
    was = f"{_was(before)} → " if override.undoes or (before and before.mode == "canary") else ""
    return f"{where}: {was}{mode}{until} (revision {override.revision}{undoes})"


def unchanged(route: str, override: Override | None) -> str:
    """Returns the sentence about a change that was in force already."""
    if override is None:
        return f"{route}: unchanged, there was nothing to clear"
    until = f" until {_minute(override.until)}" if override.until else ""
    where = f"{override.route} for {whom(override)}"
    return (
        f"{where}: unchanged, {_mode(override.mode, override.percent)}{until} (revision {override.revision})"
    )


def _was(before: Override | None) -> str:
    return "its mapping" if before is None else _mode(before.mode, before.percent)


def meanwhile(overrides: Iterable[Override]) -> Iterator[str]:
    """Returns a line for each change, with its actor and reason."""
    return (f"{sentence(each)}, by {each.actor} at {_minute(each.at)}: {each.reason}" for each in overrides)


def waited(following: Following) -> str:
    """Returns the sentence about a wait after which no process is behind."""
    names = ", ".join(each.name for each in following.following)
    return f"followed by {names}"


def whom(override: Override) -> str:
    if override.scope == EVERYONE:
        return "everyone"
    return override.organization or f"organization {shown_hash(override.scope)}"


def stacked(moment: datetime | None) -> str:
    """Returns a time in two lines, for a narrow column."""
    return f"{moment.astimezone(UTC):%Y-%m-%d\n%H:%M:%SZ}" if moment else ""


def _mode(mode: Mode | None, percent: float | None) -> str:
    if mode == "canary" and percent is not None:
        return f"canary {percent:g} %"
    return mode or "cleared"


def _minute(moment: datetime | None) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%MZ}" if moment else ""
