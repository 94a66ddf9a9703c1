"""Asks before a route's newest change is rolled back, and rolls it back."""

from aiohttp import web

from proxy.modes import BadChange, Override
from proxy.store.rollout.overrides import NothingToUndo, StaleRevision
from proxy.web.admin.changes import follow
from proxy.web.admin.keys import ACTOR, FOLLOWER
from proxy.web.admin.route_names import route_in_path
from proxy.web.keys import DEPS, LIVE
from proxy.web.page.access import redirect
from proxy.web.page.errors import PageError
from proxy.web.page.keys import FORM
from proxy.web.page.rendering import render


async def show(request: web.Request) -> web.StreamResponse:
    """Shows what would be undone, and what would be in force then, for a reason to be given."""
    return await _ask(request, 200)


async def roll_back(request: web.Request) -> web.StreamResponse:
    """Rolls back, if nobody made a change since the form was shown."""
    deps, route, form = request.app[DEPS], route_in_path(request), request[FORM]
    revision = form.get("revision", "")
    try:
        made = await deps.store.overrides.roll_back(
            actor=request[ACTOR],
            reason=form.get("reason", "").strip(),
            at=deps.effects.clock(),
            route=route,
            expected=int(revision) if revision.isascii() and revision.isdecimal() else 0,
            via="page",
        )
    except StaleRevision:
        return await _ask(request, 412, is_stale=True)
    except BadChange as bad:
        return await _ask(request, 422, fault=str(bad))
    except NothingToUndo:
        return await _ask(request, 409)
    await follow(request)
    return redirect(f"/?done={made.revision}")


async def _ask(
    request: web.Request, status: int, *, fault: str = "", is_stale: bool = False
) -> web.StreamResponse:
    deps, route = request.app[DEPS], route_in_path(request)
    await request.app[FOLLOWER].catch_up()
    now, snapshot = deps.effects.clock(), request.app[LIVE].now
    undone, then = await _plan(request, route)
    return await render(
        request,
        "rollback.html",
        status,
        route=route,
        undone=undone,
        then=then,
        mapping=snapshot.table.routes[route].mapping,
        everyone=snapshot.in_force(route, None, now),
        fault=fault,
        is_stale=is_stale,
        reason=request[FORM].get("reason", "") if FORM in request else "",
    )


async def _plan(request: web.Request, route: str) -> tuple[Override | None, Override | None]:
    """Returns the change that a rollback would undo, and the one that it would write; None without one."""
    deps = request.app[DEPS]
    store = deps.store.overrides
    try:
        then = await store.planned_rollback(
            actor=request[ACTOR], reason="-", at=deps.effects.clock(), route=route
        )
    except NothingToUndo:
        return None, None
    except BadChange as bad:
        raise PageError(409, "refused", str(bad)) from None
    changes = await store.history(limit=1000, route=route)
    return next((each for each in changes if each.revision == then.undoes), None), then
