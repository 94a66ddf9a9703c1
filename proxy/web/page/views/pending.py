"""Shows the calls whose outcome is unknown, and closes them."""

from typing import Final

from aiohttp import web

from proxy.rollout.operations.organization_names import shown_names
from proxy.store.rollout.resolutions import (
    AlreadyResolved,
    BadResolution,
    Resolution,
    UnderWay,
    UnknownCall,
)
from proxy.web.admin.keys import ACTOR
from proxy.web.keys import DEPS, LIVE
from proxy.web.page.access import redirect
from proxy.web.page.keys import FORM
from proxy.web.page.rendering import render

_MADE: Final = "made"
_NOT_MADE: Final = "none"
_FIELDS: Final = ("id", "outcome", "case", "reason")
_STATUS: Final = {BadResolution: 422, UnknownCall: 404, UnderWay: 409, AlreadyResolved: 409}


async def show(request: web.Request) -> web.StreamResponse:
    return await _shown(request)


async def resolve(request: web.Request) -> web.StreamResponse:
    """Closes a call by what the operator found out; nothing is sent."""
    deps, form = request.app[DEPS], request[FORM]
    call_id, outcome = form.get("id", ""), form.get("outcome", "")
    if outcome not in (_MADE, _NOT_MADE):
        return await _shown(request, 422, BadResolution("outcome", "say whether a case was made"))
    made = form.get("case", "").strip() if outcome == _MADE else None
    resolution = Resolution(made, request[ACTOR], form.get("reason", "").strip(), via="page")
    try:
        await deps.store.resolutions.resolve(call_id, resolution, deps.effects.clock())
    except (BadResolution, UnknownCall, UnderWay, AlreadyResolved) as refused:
        return await _shown(request, _STATUS[type(refused)], refused)
    return redirect(f"/pending?closed={outcome}")


async def _shown(
    request: web.Request, status: int = 200, refused: Exception | None = None
) -> web.StreamResponse:
    deps, table = request.app[DEPS], request.app[LIVE].now.table
    calls = await deps.store.pending()
    wanted = (request.get(FORM) or {}).get("id") or request.query.get("call")
    scopes = {each.origin.organization for each in calls if each.origin}
    return await render(
        request,
        "pending.html",
        status,
        calls=calls,
        names=await shown_names(deps.store, scopes, table.organizations.known),
        refused=refused,
        what=type(refused).__name__,
        chosen=next((each for each in calls if each.id == wanted), None),
        form={name: (request.get(FORM) or {}).get(name, "") for name in _FIELDS},
        closed=request.query.get("closed"),
    )
