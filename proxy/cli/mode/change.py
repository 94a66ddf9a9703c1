"""Makes a change of `michiq-proxy mode`, waits for the processes that follow it, and prints the result."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import click

from proxy.cli.common import Failure, Misuse
from proxy.cli.mode.request import ModeRequest
from proxy.cli.mode.tables import meanwhile, sentence, unchanged, waited
from proxy.cli.shared.store_access import echo_json, name_store, with_store
from proxy.modes import EVERYONE, NEED_LEGACY, BadChange, Override, Overrides, as_json
from proxy.rollout.following import Following, wait_for
from proxy.settings import Settings
from proxy.store import Store
from proxy.store.rollout.overrides import NothingToUndo, OverrideStore, StaleRevision, Unchanged
from proxy.values import Json

_MOST: Final = 20  # changes that are shown to a stale one

Make = Callable[[Store], Awaitable[Override]]


@dataclass(frozen=True, slots=True)
class _Made:
    """The result of a change: `override` is in force now, `before` was until then; None is the mapping."""

    revision: int
    override: Override | None
    before: Override | None
    is_new: bool


def apply(asked: ModeRequest, settings: Settings, make: Make, now: datetime) -> None:
    """Makes the change, and prints the result.

    Raises Failure when it is refused or not followed in time, and Misuse when it can't be meant.
    """

    async def work(store: Store) -> tuple[_Made, Following | None]:
        made = await _made(asked, store, make, now)
        if asked.wait is None:
            return made, None
        return made, await wait_for(store.processes, made.revision, asked.wait)

    made, following = with_store(settings, work)
    _print(asked, made, following)
    name_store(settings)
    override = made.override
    if (
        override and override.mode in NEED_LEGACY and settings.legacy_url is None
    ):  # what a rollback brought back
        click.echo(f"note: {override.mode} needs MICHIQ_LEGACY_URL, which is not set", err=True)
    if following is not None:
        _refuse_unfollowed(made.revision, following, asked.wait or 0)


def _refuse_unfollowed(revision: int, following: Following, seconds: float) -> None:
    if following.behind:
        behind = ", ".join(f"{each.name} is at revision {each.revision}" for each in following.behind)
        raise Failure(f"revision {revision} is not followed after {seconds:g} s: {behind}")
    if not following.following:
        raise Failure(
            f"revision {revision} is in the store, but no process is live there to follow it; the next one "
            "to start will. Is this the store of the running proxy?"
        )


async def _made(asked: ModeRequest, store: Store, make: Make, now: datetime) -> _Made:
    before = await store.overrides.load()
    try:
        override = await make(store)
    except Unchanged as same:
        return _Made(same.revision, same.override, same.override, is_new=False)
    except BadChange as bad:
        raise Misuse(str(bad)) from None
    except NothingToUndo:
        of_route = f" of {asked.route}" if asked.route else ""
        raise Failure(f"there is no change{of_route} left to roll back") from None
    except StaleRevision as stale:
        raise Failure(await _stale(asked.expect or 0, stale.current, store.overrides)) from None
    return _Made(override.revision, override, _before(before, override, now), is_new=True)


def _before(overrides: Overrides, override: Override, now: datetime) -> Override | None:
    scope = None if override.scope == EVERYONE else override.scope
    return overrides.in_force(override.route, scope, now)


async def _stale(expected: int, current: int, overrides: OverrideStore) -> str:
    if expected > current:
        return f"there is no revision {expected} yet, the newest is {current}; nothing was changed"
    between = await overrides.history(limit=min(current - expected, _MOST))
    lines = "\n".join(f"  {line}" for line in meanwhile(between))
    return (
        f"revision {expected} is not the newest any more; nothing was changed. Changes since then:\n{lines}"
    )


def _print(asked: ModeRequest, made: _Made, following: Following | None) -> None:
    if asked.as_json:
        echo_json(_as_json(made, following))
        return
    if made.override is None or not made.is_new:
        click.echo(unchanged(asked.route or "", made.override))
    else:
        click.echo(sentence(made.override, made.before))
    if following is not None and following.following and not following.behind:
        click.echo(waited(following))


def _as_json(made: _Made, following: Following | None) -> Json:
    report: dict[str, Json] = {
        "override": None if made.override is None else as_json(made.override),
        "unchanged": not made.is_new,
        "before": None if made.before is None else as_json(made.before),
    }
    if following is not None:
        report["following"] = [each.name for each in following.following]
        report["behind"] = [{"name": each.name, "revision": each.revision} for each in following.behind]
    return report
