"""Shows and changes the overrides: the modes in force, every change of them, and new changes."""

from contextlib import suppress
from datetime import datetime
from typing import Annotated

from aiohttp import web
from pydantic import Field

from proxy.flows.answers import json
from proxy.mapping.base import Model
from proxy.mapping.units import parse_duration
from proxy.modes import NEED_LEGACY, Change, Mode, as_json
from proxy.server.responses import respond
from proxy.times import from_rfc3339
from proxy.values import Json
from proxy.web.admin.changes import make_change
from proxy.web.admin.inputs import WHOLE_BODY, PageQuery, Whole, in_body, in_query, read_body, read_query
from proxy.web.admin.keys import ACTOR, FOLLOWER
from proxy.web.admin.problems import Problem, invalid
from proxy.web.admin.revisions import etag, seen, unchanged
from proxy.web.admin.route_names import named_route, route_in_path
from proxy.web.cursors import Cursor, page_of
from proxy.web.keys import DEPS, LIVE


class _Wanted(Model):
    mode: Mode
    organization: str | None = None
    percent: float | None = None
    reason: str
    until: str | None = None


class _Undo(Model):
    reason: str
    route: str | None = None


class _Clear(PageQuery):
    reason: str
    organization: str | None = None


class _History(PageQuery):
    limit: Annotated[Whole, Field(ge=1, le=1000)] = 100
    cursor: Cursor | None = None
    route: str | None = None


async def show(request: web.Request) -> web.StreamResponse:
    """Returns the overrides in force: at most one for each route and organization."""
    await request.app[FOLLOWER].catch_up()
    now, overrides = request.app[DEPS].effects.clock(), request.app[LIVE].now.overrides
    every = (override for stack in overrides.stacks.values() for override in stack)
    ended = sum(override.until is not None and override.until <= now for override in every)
    # One revision has a new representation each time that an override ends.
    tag = etag(overrides.revision, f"{ended:x}" if ended else "")
    in_force: list[Json] = [as_json(each) for each in overrides.all_in_force(now)]
    body: Json = {"revision": overrides.revision, "overrides": in_force}
    return unchanged(request, tag) or respond(json(200, body), [("ETag", tag)])


async def put(request: web.Request) -> web.StreamResponse:
    deps, route, on = request.app[DEPS], route_in_path(request), seen(request)
    wanted, now = await read_body(request, _Wanted), deps.effects.clock()
    change = Change(
        actor=request[ACTOR],
        route=route,
        organization=stripped(wanted.organization),
        mode=wanted.mode,
        percent=wanted.percent,
        until=end_of(wanted.until, now),
        reason=wanted.reason.strip(),
        via="api",
    )
    if change.mode in NEED_LEGACY and deps.upstreams.michiq is None:
        detail = f"{change.mode} needs the legacy server, and MICHIQ_LEGACY_URL is not set"
        raise Problem(409, detail, kind="no-legacy-server")
    store = deps.store.overrides
    return await make_change(
        request, on, lambda revision: store.change(change, expected=revision, at=now), WHOLE_BODY
    )


async def delete(request: web.Request) -> web.StreamResponse:
    """Gives the route back to its mapping, or an organization back to everyone's mode."""
    deps, route, on = request.app[DEPS], route_in_path(request), seen(request)
    wanted = read_query(request, _Clear)
    change = Change(
        actor=request[ACTOR],
        route=route,
        organization=stripped(wanted.organization),
        mode=None,
        reason=wanted.reason.strip(),
        via="api",
    )
    store = deps.store.overrides
    return await make_change(
        request, on, lambda revision: store.change(change, expected=revision, at=deps.effects.clock()), {}
    )


async def roll_back(request: web.Request) -> web.StreamResponse:
    """Undoes the newest change, of the route if one is named."""
    deps, on = request.app[DEPS], seen(request)
    wanted = await read_body(request, _Undo)
    route = named_route(request, wanted.route, in_body("route"))
    actor, reason = request[ACTOR], wanted.reason.strip()
    store = deps.store.overrides
    return await make_change(
        request,
        on,
        lambda revision: store.roll_back(
            actor=actor, reason=reason, at=deps.effects.clock(), route=route, expected=revision, via="api"
        ),
        WHOLE_BODY,
    )


async def history(request: web.Request) -> web.StreamResponse:
    """Returns every change, newest first."""
    wanted = read_query(request, _History)
    route = named_route(request, wanted.route, in_query("route"))
    store = request.app[DEPS].store.overrides
    found = await store.history(limit=wanted.limit + 1, route=route, before=wanted.cursor)
    changes, following = page_of(found, wanted.limit, lambda each: each.revision)
    return respond(json(200, {"changes": [as_json(each) for each in changes], "next": following}))


def stripped(organization: str | None) -> str | None:
    """Returns the name without blanks around it, as the header's value is read."""
    return None if organization is None else organization.strip(" \t")


def end_of(text: str | None, now: datetime) -> datetime | None:
    """Returns the end of an override; raises Problem when the text is neither a time nor a duration."""
    if text is None:
        return None
    with suppress(ValueError):
        return from_rfc3339(text)
    try:
        return now + parse_duration(text)
    except ValueError:
        said = 'write a time with its time zone, such as 2027-01-31T18:00:00Z, or a duration, such as "2 h"'
        raise invalid([{**in_body("until"), "detail": said}]) from None
