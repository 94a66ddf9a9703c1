"""Shows every route with its mode, and reloads the mapping files."""

from datetime import datetime
from hashlib import sha256
from typing import Final

from aiohttp import web

from proxy.flows.answers import json
from proxy.mapping.models import RouteMapping
from proxy.modes import EVERYONE, Override, as_json
from proxy.rollout.operations.system import reload_mappings
from proxy.rollout.snapshot import Snapshot
from proxy.server.responses import respond
from proxy.values import Json
from proxy.web.admin.keys import FOLLOWER
from proxy.web.admin.problems import Problem
from proxy.web.admin.revisions import etag, unchanged
from proxy.web.keys import DEPS, LIVE, SERVING

_DIGITS: Final = 12


async def show(request: web.Request) -> web.StreamResponse:
    await request.app[FOLLOWER].catch_up()
    live, now = request.app[LIVE], request.app[DEPS].effects.clock()
    snapshot = live.now
    answer = json(
        200,
        {
            "revision": snapshot.overrides.revision,
            "mappings": {"digest": live.digest, "rejected": [*live.rejected]},
            "routes": [_route(name, snapshot, now) for name in snapshot.table.routes],
        },
    )
    # The answer also depends on the mapping files and the time.
    tag = etag(snapshot.overrides.revision, sha256(answer.read()).hexdigest()[:_DIGITS])
    return unchanged(request, tag) or respond(answer, [("ETag", tag)])


async def reload(request: web.Request) -> web.StreamResponse:
    """Puts the folder's mapping files in force, all or none of them."""
    live = request.app[LIVE]
    if not live.digest:
        detail = "this process follows no folder of mapping files"
        raise Problem(409, detail, kind="nothing-to-reload")
    await reload_mappings(request.app[FOLLOWER], request.app[SERVING])
    if live.rejected:
        detail = "the files have faults; what was in force stays so"
        members: dict[str, Json] = {"digest": live.digest, "complaints": [*live.rejected]}
        raise Problem(409, detail, kind="mappings-rejected", members=members)
    return respond(json(200, {"digest": live.digest}))


def _route(name: str, snapshot: Snapshot, now: datetime) -> Json:
    mapping, in_force = snapshot.table.routes[name].mapping, snapshot.in_force(name, None, now)
    own = [each for each in snapshot.overrides.all_in_force(now) if each.route == name]
    return {
        "route": name,
        "method": mapping.method,
        "path": mapping.path,
        "mapping": _mode(mapping.mode, mapping.canary_percent),
        "everyone": {**_mode(in_force.mode, in_force.percent), "revision": in_force.revision},
        "organizations": [_organization(each, mapping) for each in own if each.scope != EVERYONE],
    }


def _organization(override: Override, mapping: RouteMapping) -> Json:
    percent = mapping.canary_percent if override.percent is None else override.percent
    return {**as_json(override), **_mode(override.mode, percent)}


def _mode(mode: str | None, percent: float) -> dict[str, Json]:
    """Returns the mode and its percentage, which means something only for a canary."""
    return {"mode": mode, "percent": percent if mode == "canary" else None}
