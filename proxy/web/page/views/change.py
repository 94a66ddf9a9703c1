"""The one dialog of every change: shows what it would do, makes it, and undoes it for a while."""

from datetime import datetime, timedelta
from typing import Any, Final

from aiohttp import web

from proxy.modes import NEED_LEGACY, BadChange, Override
from proxy.rollout.following import wait_for
from proxy.rollout.preview.effects import Missing, Preview
from proxy.rollout.preview.membership import Roster
from proxy.rollout.preview.planning import plan, roster_of
from proxy.store.rollout.overrides import NothingToUndo, StaleRevision
from proxy.web.admin.changes import follow
from proxy.web.admin.keys import ACTOR, FOLLOWER
from proxy.web.admin.route_names import route_in_path
from proxy.web.keys import DEPS, LIVE
from proxy.web.page.access import redirect
from proxy.web.page.change_form import BOXES, CHOICES, ROLLBACK, BadForm, ChangeForm, prefilled
from proxy.web.page.keys import FORM
from proxy.web.page.rendering import render

UNDO_SECONDS: Final = 10
_WAIT_SECONDS: Final = 2.0
_SHORTEST: Final = 0.1  # of the seconds that are shown
_LOOKED_THROUGH: Final = 1000
_MOST_CHANGES: Final = 20  # that are shown to whoever was too late
_UNDONE: Final = "undone at the page, right after the change"


async def show(request: web.Request) -> web.StreamResponse:
    """Shows what a change would do; makes none."""
    await request.app[FOLLOWER].catch_up()
    return await _show(request, ChangeForm.of(request.query))


async def make(request: web.Request) -> web.StreamResponse:
    """Makes the change, if nobody has made another one since it was shown, and nothing speaks against it."""
    await request.app[FOLLOWER].catch_up()
    deps, route, fields = request.app[DEPS], route_in_path(request), request[FORM]
    form = ChangeForm.of(fields)
    now, revision = deps.effects.clock(), request.app[LIVE].now.overrides.revision
    if form.revision != revision:
        return await _stale(request, form)
    if not form.reason:
        return await _show(request, form, 422, fault="reason")
    roster = await roster_of(deps.store, route, request.app[LIVE].now, now)
    try:
        found = await _previewed(request, form, roster, now)
    except BadForm:
        return await _show(request, form, 422)
    missing = found.missing(despite=form.despite, typed=form.typed)
    if missing or found.unchanged or _lacks_legacy(request, found):
        return await _show(request, form, 422, missing=missing)
    try:
        made = await _make(request, form, roster, revision, now)
    except StaleRevision:
        await request.app[FOLLOWER].catch_up()
        return await _stale(request, form)
    except BadChange as bad:
        return await _show(request, form, 422, detail=str(bad))
    return await _made(request, route, made)


async def undo(request: web.Request) -> web.StreamResponse:
    """Undoes exactly the change that was just made; later, or after another change, it shows the dialog."""
    deps, route, fields = request.app[DEPS], route_in_path(request), request[FORM]
    form = ChangeForm.of(fields)
    now, later = deps.effects.clock(), redirect(f"/routes/{route}/change?mode={ROLLBACK}")
    newest = await deps.store.overrides.history(limit=1)
    if not newest or not undoable(newest[0], form.revision, route, now):
        return later
    try:
        made = await deps.store.overrides.undo(
            newest[0].revision, actor=request[ACTOR], reason=_UNDONE, at=now, via="page"
        )
    except (StaleRevision, NothingToUndo, BadChange):
        return later
    return await _made(request, route, made)


def undoable(newest: Override, revision: int | None, route: str, now: datetime) -> bool:
    """Returns whether the newest change of all is this one, of this route, and young enough to be undone."""
    is_same = (newest.revision, newest.route) == (revision, route)
    return is_same and now - newest.at < timedelta(seconds=UNDO_SECONDS)


async def _make(
    request: web.Request, form: ChangeForm, roster: Roster, revision: int, now: datetime
) -> Override:
    store, route, actor = request.app[DEPS].store, route_in_path(request), request[ACTOR]
    if form.mode == ROLLBACK:
        return await store.overrides.roll_back(
            actor=actor, reason=form.reason, at=now, route=route, expected=revision, via="page"
        )
    change = form.change(route, roster, actor, form.reason, now)
    return await store.overrides.change(change, expected=revision, at=now)


async def _made(request: web.Request, route: str, made: Override) -> web.StreamResponse:
    """Waits a moment for the processes to follow, and shows the route with the outcome."""
    deps = request.app[DEPS]
    began = deps.effects.monotonic()
    await follow(request)
    await wait_for(deps.store.processes, made.revision, _WAIT_SECONDS, clock=deps.effects.clock)
    took = max(deps.effects.monotonic() - began, _SHORTEST)
    return redirect(f"/routes/{route}?made={made.revision}&took={took:.1f}")


async def _stale(request: web.Request, form: ChangeForm) -> web.StreamResponse:
    """Says who changed what since the form was shown, with the preview made anew."""
    current = request.app[LIVE].now.overrides.revision
    count = min(max(current - (form.revision or 0), 1), _MOST_CHANGES)
    since = await request.app[DEPS].store.overrides.history(limit=count)
    return await _show(request, form, 412, meanwhile=since)


async def _previewed(request: web.Request, form: ChangeForm, roster: Roster, now: datetime) -> Preview:
    deps, route, snapshot = request.app[DEPS], route_in_path(request), request.app[LIVE].now
    draft = await form.drafted(deps.store, route, roster, request[ACTOR], now)
    has_legacy = deps.upstreams.michiq is not None
    return await plan(deps.store, snapshot, draft, now, has_legacy=has_legacy, roster=roster)


async def _show(
    request: web.Request,
    form: ChangeForm,
    status: int = 200,
    *,
    missing: tuple[Missing, ...] = (),
    **notes: Any,
) -> web.StreamResponse:
    deps, route, snapshot = request.app[DEPS], route_in_path(request), request.app[LIVE].now
    now = deps.effects.clock()
    form, roster = prefilled(form, route, snapshot, now), await roster_of(deps.store, route, snapshot, now)
    found, bad = None, None
    if form.mode:
        try:
            found = await _previewed(request, form, roster, now)
        except BadForm as error:
            bad = error
    return await render(
        request,
        "change.html",
        status,
        route=route,
        form=form,
        found=found,
        missing=missing,
        fault=notes.get("fault") or (bad.fault if bad else None),
        detail=notes.get("detail") or (bad.detail if bad else ""),
        lacks_legacy=found is not None and _lacks_legacy(request, found),
        meanwhile=notes.get("meanwhile"),
        undone=await _undone_by(request, route, found),
        choices=CHOICES,
        boxes=BOXES,
        roster=roster.organizations,
        snapshot_revision=snapshot.overrides.revision,
    )


async def _undone_by(request: web.Request, route: str, found: Preview | None) -> Override | None:
    """Returns the change that a rollback would undo."""
    if found is None or found.change.undoes is None:
        return None
    changes = await request.app[DEPS].store.overrides.history(limit=_LOOKED_THROUGH, route=route)
    return next((each for each in changes if each.revision == found.change.undoes), None)


def _lacks_legacy(request: web.Request, found: Preview) -> bool:
    return found.after.mode in NEED_LEGACY and request.app[DEPS].upstreams.michiq is None
