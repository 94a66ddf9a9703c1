"""Shows processes, store and settings; reloads the mapping files, and restarts the workers one by one."""

import json
from typing import Final

from aiohttp import web

from proxy.rollout.operations.system import reload_mappings
from proxy.server.responses import respond
from proxy.values import Answer
from proxy.web.admin.keys import ACTOR, FOLLOWER
from proxy.web.keys import DEPS, LIVE, SERVING
from proxy.web.page.access import redirect
from proxy.web.page.errors import PageError
from proxy.web.page.rendering import render
from proxy.web.state.system import bundle, gathered

_DONE: Final = ("reload", "roll")


async def show(request: web.Request) -> web.StreamResponse:
    done = request.query.get("done")
    return await render(
        request, "system.html", system=await gathered(request), done=done if done in _DONE else None
    )


async def reload(request: web.Request) -> web.StreamResponse:
    """Reads the mapping files again; what is wrong with them shows on the page."""
    if not request.app[LIVE].digest:
        raise PageError(409, "refused", "this process follows no folder of mapping files")
    await _note(request, "mappings_reloaded")
    await reload_mappings(request.app[FOLLOWER], request.app[SERVING])
    return redirect("/system?done=reload")


async def roll(request: web.Request) -> web.StreamResponse:
    """Begins a rolling restart: the parent replaces one worker after the other."""
    serving = request.app[SERVING]
    if serving.workers == 1:
        raise PageError(409, "refused", "a rolling restart needs MICHIQ_WORKERS above 1")
    if request.app[LIVE].rejected:
        raise PageError(409, "refused", "the mapping files have faults: a new worker could not start")
    await _note(request, "workers_rolled")
    serving.siblings.roll()
    return redirect("/system?done=roll")


async def download(request: web.Request) -> web.StreamResponse:
    """Sends the support bundle as a file."""
    made = await bundle(request)
    at = request.app[DEPS].effects.clock().strftime("%Y%m%dT%H%M%SZ")
    name = f'attachment; filename="michiq-support-{at}.json"'
    return respond(Answer(200, made, "application/json"), [("Content-Disposition", name)])


async def _note(request: web.Request, action: str) -> None:
    deps = request.app[DEPS]
    detail = json.dumps({"via": "page"})
    await deps.store.audit.add(request[ACTOR], action, "", deps.effects.clock(), detail)
