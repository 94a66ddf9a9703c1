"""Shows the calls whose outcome is unknown, and closes them."""

from typing import Final

from aiohttp import web

from proxy.flows.answers import json
from proxy.mapping.base import Model
from proxy.rollout.operations.pending_calls import organizations_of, pending_json
from proxy.server.responses import respond
from proxy.store.rollout.resolutions import (
    AlreadyResolved,
    BadResolution,
    Resolution,
    UnderWay,
    UnknownCall,
)
from proxy.values import Json
from proxy.web.admin.inputs import WHOLE_BODY, read_body
from proxy.web.admin.keys import ACTOR
from proxy.web.admin.problems import Problem, invalid
from proxy.web.keys import DEPS, LIVE

_NOT_GIVEN: Final = "no client is given the case by this; only whoever looks on the platform sees it"


class _Resolution(Model):
    made: str | None
    reason: str


async def show(request: web.Request) -> web.StreamResponse:
    """Returns calls that may have made a case that no client learned of; they are never sent again."""
    store, table = request.app[DEPS].store, request.app[LIVE].now.table
    found = await store.pending()
    names = await organizations_of(store, found, table.organizations.known)
    calls: list[Json] = [pending_json(each, names) for each in found]
    return respond(json(200, {"pending": calls}))


async def resolve(request: web.Request) -> web.StreamResponse:
    """Closes a call by what the operator found out; nothing is sent."""
    deps, call_id = request.app[DEPS], request.match_info["call_id"]
    wanted = await read_body(request, _Resolution)
    resolution = Resolution(wanted.made, request[ACTOR], wanted.reason.strip(), via="api")
    try:
        await deps.store.resolutions.resolve(call_id, resolution, deps.effects.clock())
    except BadResolution as bad:
        raise invalid([{**WHOLE_BODY, "detail": str(bad)}]) from None
    except UnknownCall as unknown:
        raise Problem(404, str(unknown)) from None
    except UnderWay as early:
        raise Problem(409, str(early), kind="under-way") from None
    except AlreadyResolved as late:
        raise Problem(409, str(late), kind="already-resolved") from None
    notes: list[Json] = [_NOT_GIVEN] if wanted.made else []
    return respond(json(200, {"id": call_id, "made": wanted.made, "notes": notes}))
