"""Answers GET /metrics: one scrape has the samples of all workers, whichever of them answers."""

import asyncio
import math
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final

from aiohttp import web
from prometheus_client import Metric

from proxy.flows.deps import Deps
from proxy.modes import MODES
from proxy.observe.counters import gauge
from proxy.observe.exposition import decoded, joined, written
from proxy.rollout.snapshot import Snapshot
from proxy.server.responses import respond
from proxy.store import Store, StoreError
from proxy.values import Answer
from proxy.web.keys import STATE
from proxy.web.state.process_state import ProcessState

_HEADERS: Final = (("Cache-Control", "no-store"), ("Vary", "Accept"))


async def metrics(request: web.Request) -> web.Response:
    """Answers the metrics for Prometheus, as OpenMetrics for a client that accepts it.

    A worker without an answer within a second is missing, and `michiq_workers_answered` is lower then.
    """
    text, kind = await scraped(request.app[STATE], request.headers.get("Accept", ""))
    return respond(Answer(200, text, kind), _HEADERS)


async def scraped(state: ProcessState, accept: str = "") -> tuple[bytes, str]:
    """Returns the metrics of all workers, and their content type."""
    serving = state.serving
    others, common = await asyncio.gather(
        serving.siblings.samples(),
        _common_values(state.deps, state.live.now, await state.certificate_end()),
    )
    common += [
        gauge("michiq_workers", "Workers that are wanted", serving.workers),
        gauge("michiq_workers_ready", "Workers that serve", serving.ready),
        gauge("michiq_workers_answered", "Workers whose samples are here", 1 + len(others)),
    ]
    make = state.freeze()

    def render(own: str, others: Mapping[str, str]) -> tuple[bytes, str]:
        families = {own: make(), **{name: decoded(text) for name, text in others.items()}}
        return written(joined(families, common), accept)

    # In a thread: with many workers there are thousands of samples.
    return await asyncio.to_thread(render, serving.name, others)


async def _common_values(deps: Deps, snapshot: Snapshot, certificate_end: datetime | None) -> list[Metric]:
    """Returns the shared values; those of the store are missing while it can't be read."""
    now = deps.effects.clock()
    found = [*_modes(snapshot, now)]
    if certificate_end is not None:
        about = "End of the certificate, in seconds since 1970"
        found.append(gauge("michiq_certificate_end_seconds", about, certificate_end.timestamp()))
    try:
        found += await _of_store(deps.store, now)
        readable = True
    except StoreError:
        readable = False
    return [*found, gauge("michiq_store_up", "1 while the store can be read", readable)]


async def _of_store(store: Store, now: datetime) -> list[Metric]:
    pending = await store.pending()
    oldest = max(0.0, (now - pending[0].at).total_seconds()) if pending else 0.0
    space = await store.space()
    return [
        gauge("michiq_ambiguous_calls", "Calls that may have worked or not", len(pending)),
        gauge("michiq_oldest_pending_seconds", "Age of the oldest of them; 0 without any", oldest),
        gauge(
            "michiq_tee_waiting",
            "Webhook deliveries that wait for the consumer",
            await store.deliveries.waiting(),
        ),
        gauge("michiq_store_bytes", "Size of the database", await store.size()),
        gauge(
            "michiq_store_free_bytes",
            "Free on the fuller of the store's disks",
            space.free if space else math.nan,
        ),
        gauge(
            "michiq_store_disk_bytes",
            "Size of the fuller of the store's disks",
            space.total if space else math.nan,
        ),
    ]


def _modes(snapshot: Snapshot, now: datetime) -> Iterable[Metric]:
    in_force = {name: snapshot.in_force(name, None, now) for name in snapshot.table.routes}
    modes = {(name, mode): each.mode == mode for name, each in in_force.items() for mode in MODES}
    percents = {(name,): each.percent if each.mode == "canary" else 0.0 for name, each in in_force.items()}
    ends = snapshot.table.brownout_ends(now)
    brownouts = {(name,): name in ends for name in snapshot.table.routes}
    about = "The newest change of a mode that is in force"
    yield gauge("michiq_revision", about, snapshot.overrides.revision)
    yield gauge("michiq_mode_info", "1 for everyone's mode", modes, ("route", "mode"))
    about = "Of the organizations, in a canary for everyone; else 0"
    yield gauge("michiq_canary_percent", about, percents, ("route",))
    about = "Share of errors or differences at which a canary steps back"
    yield gauge("michiq_step_back_ratio", about, _bounds(snapshot), ("route", "kind"))
    yield gauge("michiq_brownout_active", "1 while a route is in a brownout", brownouts, ("route",))


def _bounds(snapshot: Snapshot) -> dict[tuple[str, str], float]:
    rules = {name: route.mapping.step_back for name, route in snapshot.table.routes.items()}
    errors = {(name, "error"): each.max_error_percent / 100 for name, each in rules.items()}
    return errors | {(name, "difference"): each.max_difference_percent / 100 for name, each in rules.items()}
