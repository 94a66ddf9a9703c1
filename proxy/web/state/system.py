"""Shows the processes, the store, the certificate and the settings in force."""

from json import dumps
from typing import Final

from aiohttp import web

from proxy.flows.answers import json
from proxy.rollout.operations.system import StoreFacts, System, system_of
from proxy.server.responses import respond
from proxy.store.rollout.processes import Process
from proxy.times import rfc3339
from proxy.values import Json
from proxy.web.admin.records.trail import process_json
from proxy.web.keys import DEPS, SETTINGS, STATE
from proxy.web.state.scrape import scraped

_ROWS: Final = 200


async def show(request: web.Request) -> web.StreamResponse:
    return respond(json(200, as_json(await gathered(request))))


async def gathered(request: web.Request) -> System:
    """Returns the system as this process sees it. Raises StoreError."""
    state = request.app[STATE]
    end = await state.certificate_end()
    return await system_of(state.deps, state.live, state.serving, request.app[SETTINGS], end)


async def bundle(request: web.Request) -> bytes:
    """Returns a support bundle as JSON: the system, the metrics, and when who did what.

    An audit row's subject and detail stay here: an operator's reason may say anything. Raises StoreError.
    """
    system, rows = await gathered(request), await request.app[DEPS].store.audit.newest(_ROWS)
    metrics, _ = await scraped(request.app[STATE])
    whole: Json = {
        "system": as_json(system),
        "audit": [
            {"id": number, "at": rfc3339(each.at), "actor": each.actor, "action": each.action}
            for number, each in rows
        ],
        "metrics": [*metrics.decode().splitlines()],
    }
    return dumps(whole, ensure_ascii=False, indent=1).encode()


def as_json(system: System) -> dict[str, Json]:
    """Returns the system for programs: no secret, and nothing of a patient."""
    return {
        "at": rfc3339(system.at),
        "revision": system.revision,
        "mappings": {
            "digest": system.digest,
            "rejected": [*system.rejected],
            "watched": system.watched,
            "read_at": rfc3339(system.read_at) if system.read_at else None,
        },
        "processes": [_process(each) for each in system.processes],
        "workers": {"ready": system.ready, "of": system.workers},
        "keys": {"fingerprints": [*system.keys], "missing": system.keys_missing},
        "store": _store(system.store),
        "webhooks_waiting": system.store.waiting,
        "certificate_end": rfc3339(system.certificate_end) if system.certificate_end else None,
        "retention": system.held or "ok",
        "settings": [
            {"name": each.name, "value": each.value, "source": each.source} for each in system.settings
        ],
    }


def _store(store: StoreFacts) -> Json:
    return {
        "kind": store.kind,
        "bytes": store.size,
        "free_bytes": store.space.free if store.space else None,
        "disk_bytes": store.space.total if store.space else None,
        "blobs": {
            "kind": store.blobs_kind,
            "count": store.blobs.count if store.blobs else None,
            "bytes": store.blobs.size if store.blobs else None,
        },
    }


def _process(process: Process) -> Json:
    return {
        **process_json(process),
        "keys": [*process.keys],
        "about": None if process.about is None else {**process.about},
    }
