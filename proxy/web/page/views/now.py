"""Shows what is wrong now, and for each route which side answers, how well, and whether it can switch."""

from collections.abc import Sequence
from typing import Final

from aiohttp import web

from proxy.modes import MODES
from proxy.rollout.operations.overview import routes_now, switches_now, traffic_now
from proxy.rollout.operations.troubles import condition, troubles
from proxy.web.keys import DEPS, LIVE, SERVING, STATE
from proxy.web.page.rendering import render

# From the old server to the new side, and nobody at all.
LADDER: Final = tuple(sorted(MODES, key=("legacy", "shadow", "canary", "new", "off").index))
_SPARK_WIDTH: Final = 120
_SPARK_HEIGHT: Final = 24


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
        switches=await switches_now(deps.store, snapshot.table, now),
        is_idle=not any(each.count for each in traffic.values()),
        ladder=LADDER,
    )


def spark(counts: Sequence[int]) -> str:
    """Returns the points of an SVG line through the counts, which fills a picture of 120 × 24."""
    most, step = max([*counts, 1]), _SPARK_WIDTH / max(len(counts) - 1, 1)
    height = _SPARK_HEIGHT - 2  # a line at the very edge would be cut in half
    return " ".join(
        f"{number * step:.1f},{1 + height * (1 - count / most):.1f}" for number, count in enumerate(counts)
    )
