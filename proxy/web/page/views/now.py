"""Shows what is wrong now, and for each route which side answers, how well, and whether it can switch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from aiohttp import web

from proxy.rollout.operations.overview import LADDER, SwitchNow, routes_now, switches_now, traffic_now
from proxy.rollout.operations.troubles import condition, troubles
from proxy.web.keys import DEPS, LIVE, SERVING, STATE
from proxy.web.page.keys import PAGE
from proxy.web.page.rendering import render

_SWITCH_SECONDS: Final = 15.0  # the evidence of days changes little meanwhile
_SPARK_WIDTH: Final = 120
_SPARK_HEIGHT: Final = 24


@dataclass(frozen=True, slots=True)
class SwitchesShown:
    """can-switch's decisions by route: what they are based on, and when (monotonic) they were asked for."""

    basis: tuple[int, str]
    at: float
    switches: Mapping[str, SwitchNow]


async def show(request: web.Request) -> web.StreamResponse:
    deps, live = request.app[DEPS], request.app[LIVE]
    now, snapshot = deps.effects.clock(), live.now
    certificate_end = await request.app[STATE].certificate_end()
    found = await condition(deps, live, request.app[SERVING], certificate_end, now)
    traffic = await traffic_now(deps.store, [*snapshot.table.routes], now)
    return await render(
        request,
        "now.html",
        troubles=troubles(found, now),
        routes=routes_now(snapshot, now),
        traffic=traffic,
        # The current minute is not over: its count would look like a fall.
        sparks={route: spark(each.minutes[:-1]) for route, each in traffic.items()},
        switches=await _switches(request, now),
        is_idle=not any(each.count for each in traffic.values()),
        ladder=LADDER,
    )


async def _switches(request: web.Request, now: datetime) -> Mapping[str, SwitchNow]:
    """Returns can-switch's decisions, which are asked for again only after a while, or after a change."""
    page, live, deps = request.app[PAGE], request.app[LIVE], request.app[DEPS]
    basis, at = (live.now.overrides.revision, live.digest), deps.effects.monotonic()
    held = page.switches
    if held is None or held.basis != basis or at - held.at >= _SWITCH_SECONDS:
        found = await switches_now(deps.store, live.now.table, now)
        page.switches = held = SwitchesShown(basis, at, found)
    return held.switches


def spark(counts: Sequence[int]) -> str:
    """Returns the points of an SVG line through the counts, which fills a picture of 120 × 24."""
    most, step = max([*counts, 1]), _SPARK_WIDTH / max(len(counts) - 1, 1)
    height = _SPARK_HEIGHT - 2  # a line at the very edge would be cut in half
    return " ".join(
        f"{number * step:.1f},{1 + height * (1 - count / most):.1f}" for number, count in enumerate(counts)
    )
