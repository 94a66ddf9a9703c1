"""Answers probes: /livez (or /healthz) for a running process, /readyz for a ready one."""

from typing import Final

from aiohttp import web

from proxy.flows.answers import json
from proxy.server.responses import respond
from proxy.store import StoreError
from proxy.times import rfc3339
from proxy.values import Json
from proxy.web.keys import DEPS, LIVE, SERVING

_NO_STORE: Final = (("Cache-Control", "no-store"),)


async def livez(_request: web.Request) -> web.Response:
    return respond(json(200, {"status": "ok"}), _NO_STORE)


async def readyz(request: web.Request) -> web.Response:
    """Answers 200 when the process is ready, else 503; both with the process's state.

    It is not ready while it drains, while the store takes no write (the reason is the store's cause, such as
    `store-full`), and while the store has values under a key that this process lacks (`keys`).

    The state has the modes for everyone; why files in the mapping folder are not in force, and whether a
    folder is followed; the number of workers; why the retention is on hold; and the upstreams' circuit
    breakers. An upstream that is down does not make this process less ready.
    """
    reasons = [] if request.app[SERVING].accepting else ["draining"]
    try:
        await request.app[DEPS].store.check()
        reasons += ["keys"] if await request.app[DEPS].store.keys.missing() else []
    except StoreError as error:
        reasons.append(error.cause)
    live = request.app[LIVE]
    now = request.app[DEPS].effects.clock()
    status: Json = {
        "status": "not ready" if reasons else "ready",
        "reasons": [*reasons],
        "routes": {name: live.now.in_force(name, None, now).mode for name in sorted(live.now.table.routes)},
        "brownouts": {name: rfc3339(end) for name, end in live.now.table.brownout_ends(now).items()},
        "revision": live.now.overrides.revision,
        "mappings": live.digest,
        "rejected": [*live.rejected],
        "watched": live.watched,
        "upstreams": {**request.app[DEPS].upstreams.states()},
        "retention": request.app[SERVING].held or "ok",
        "workers": {"ready": request.app[SERVING].ready, "of": request.app[SERVING].workers},
    }
    return respond(json(503 if reasons else 200, status), _NO_STORE)
