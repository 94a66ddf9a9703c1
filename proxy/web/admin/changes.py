"""Changes the overrides under If-Match; the change is in force in this process before the answer."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeAlias

import structlog
from aiohttp import web

from proxy.flows.answers import json
from proxy.modes import NEED_LEGACY, BadChange, Override, as_json
from proxy.server.responses import respond
from proxy.store import StoreError
from proxy.store.rollout.overrides import NothingToUndo, OverrideStore, StaleRevision
from proxy.values import Json
from proxy.web.admin.inputs import Location
from proxy.web.admin.keys import FOLLOWER
from proxy.web.admin.problems import Problem, invalid
from proxy.web.admin.revisions import etag, stale
from proxy.web.keys import DEPS, LIVE

# Makes the change on this revision, or on any.
Make: TypeAlias = Callable[[int | None], Awaitable[Override]]

_log: Final = structlog.get_logger("proxy.admin")


async def make_change(
    request: web.Request, seen: frozenset[int] | None, make: Make, location: Location
) -> web.Response:
    """Makes a change, and returns the answer to it.

    The change may be made on the revisions `seen`; `location` is the location in the request of what may be
    wrong.
    """
    try:
        override = await make(await _expected(request.app[DEPS].store.overrides, seen))
    except StaleRevision as error:
        raise stale(error) from None
    except NothingToUndo:
        raise Problem(409, "there is no change left to roll back", kind="nothing-to-undo") from None
    except BadChange as bad:  # its text is meant for the caller
        raise invalid([{**location, "detail": str(bad)}]) from None
    await follow(request)
    body: Json = {"override": as_json(override), "notes": [*_notes(request, override)]}
    return respond(json(200, body), [("ETag", etag(override.revision))])


async def _expected(overrides: OverrideStore, seen: frozenset[int] | None) -> int | None:
    if seen is None:
        return None
    current = await overrides.revision()
    if current not in seen:
        raise StaleRevision(current)
    return current


async def follow(request: web.Request) -> None:
    """Puts a change, which is durable already, into force in this process.

    If the store can't be read now, the change is loaded a little later.
    """
    follower = request.app[FOLLOWER]
    try:
        await follower.catch_up()
    except StoreError:
        _log.exception("change_not_followed_yet")
    follower.look()


def _notes(request: web.Request, override: Override) -> Sequence[str]:
    """Returns notes on what an operator may not have meant."""
    notes = []
    named = request.app[LIVE].now.table.organizations.known
    if override.organization is not None and override.organization not in named:
        notes.append("organizations.toml does not name this organization")
    if override.mode in NEED_LEGACY and request.app[DEPS].upstreams.michiq is None:  # after a rollback
        notes.append(f"{override.mode} needs the legacy server, and MICHIQ_LEGACY_URL is not set")
    return notes
