"""Makes a change of `michiq-proxy mode`, waits for those who follow it, and tells what came of it."""

from collections.abc import Awaitable, Callable
from typing import Final

import click

from proxy.cli.common import Failure, Misuse
from proxy.cli.mode_request import Asked
from proxy.cli.mode_tables import meanwhile, sentence, waited
from proxy.cli.store_access import echo_json, with_store
from proxy.cli.waiting import Following, wait_for
from proxy.overrides import NEED_LEGACY, BadChange, Override, as_json
from proxy.settings import Settings
from proxy.store import Store
from proxy.store.overrides import NothingToUndo, OverrideStore, StaleRevision
from proxy.values import Json

_MOST: Final = 20  # of the changes that came between


def apply(asked: Asked, settings: Settings, make: Callable[[OverrideStore], Awaitable[Override]]) -> None:
    """Failure when it was refused, or is not followed in time; Misuse when it can't be meant."""

    async def work(store: Store) -> tuple[Override, Following | None]:
        override = await _made(asked, store.overrides, make)
        if asked.wait is None:
            return override, None
        return override, await wait_for(store.processes, override.revision, asked.wait)

    override, following = with_store(settings, work)
    _tell(asked, override, following)
    if override.mode in NEED_LEGACY and settings.legacy_url is None:  # what a rollback brought back
        click.echo(f"note: {override.mode} needs MICHIQ_LEGACY_URL, which is not set", err=True)
    if following and following.behind:
        behind = ", ".join(f"{each.name} is at revision {each.revision}" for each in following.behind)
        raise Failure(f"revision {override.revision} is not followed after {asked.wait:g} s: {behind}")


async def _made(
    asked: Asked, overrides: OverrideStore, make: Callable[[OverrideStore], Awaitable[Override]]
) -> Override:
    try:
        return await make(overrides)
    except BadChange as bad:
        raise Misuse(str(bad)) from None
    except NothingToUndo:
        of_route = f" of {asked.route}" if asked.route else ""
        raise Failure(f"there is no change{of_route} left to roll back") from None
    except StaleRevision as stale:
        raise Failure(await _stale(asked.expect or 0, stale.current, overrides)) from None


async def _stale(expected: int, current: int, overrides: OverrideStore) -> str:
    if expected > current:
        return f"there is no revision {expected} yet, the newest is {current}; nothing was changed"
    between = await overrides.history(limit=min(current - expected, _MOST))
    told = "\n".join(f"  {line}" for line in meanwhile(between))
    return f"revision {expected} is not the newest any more; nothing was changed. Since then:\n{told}"


def _tell(asked: Asked, override: Override, following: Following | None) -> None:
    if asked.as_json:
        told: dict[str, Json] = {"override": as_json(override)}
        if following is not None:
            told["following"] = [each.name for each in following.following]
            told["behind"] = [{"name": each.name, "revision": each.revision} for each in following.behind]
        echo_json(told)
        return
    click.echo(sentence(override))
    if following is not None and not following.behind:
        click.echo(waited(following))
