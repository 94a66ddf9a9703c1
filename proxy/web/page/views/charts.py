"""Shows charts of a route: figures for a script that draws them, and tables for everybody."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, TypeAlias

from aiohttp import web

from proxy.flows.answers import json
from proxy.rollout.evidence.picture import MOST_PARTS, Picture, fitting, picture
from proxy.rollout.evidence.rates import DifferenceRate, percentile
from proxy.server.responses import respond
from proxy.store.rollout.series import Span
from proxy.web.admin.series import picture_json
from proxy.web.keys import DEPS, LIVE
from proxy.web.page.errors import PageError

RANGES: Final[Mapping[str, timedelta]] = {
    "1h": timedelta(hours=1),
    "6h": timedelta(hours=6),
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
    "90d": timedelta(days=90),
}
_USUAL: Final = "24h"
_ROWS: Final = 31  # of a table: more is for a program

# A mode and a side; both are "" for a request that was refused before one was chosen.
Flow: TypeAlias = tuple[str, str]


@dataclass(frozen=True, slots=True)
class SideRow:
    """The answers of one side in one part; latencies are in milliseconds."""

    count: int
    errors: int
    p50: float
    p95: float


@dataclass(frozen=True, slots=True)
class Charts:
    """The charts of a route as tables, the newest part first; `range` is the chosen one of `ranges`."""

    route: str
    range: str
    ranges: Sequence[str]
    span: Span
    allowed: float
    flows: Sequence[Flow]
    traffic: Sequence[tuple[datetime, Mapping[Flow, int]]]
    sides: Sequence[str]
    answers: Sequence[tuple[datetime, Mapping[str, SideRow]]]
    differences: Sequence[tuple[datetime, DifferenceRate]]
    differences_width: int


async def show(request: web.Request) -> web.StreamResponse:
    """Returns the figures as JSON, in as many parts as a chart can show."""
    route, chosen = request.query.get("route", ""), range_of(request)
    if route not in request.app[LIVE].now.table.routes:
        raise PageError(404, "nothing")
    shown = await _picture(request, route, chosen, MOST_PARTS)
    # In a thread: thousands of points would hold up clients' requests.
    figures = await asyncio.to_thread(picture_json, shown)
    return respond(json(200, {"route": route, "allowed": _allowed(request, route), **figures}))


async def charts_of(request: web.Request, route: str) -> Charts:
    """Returns the tables behind the charts, for the macro `charts` of charts.html."""
    chosen = range_of(request)
    shown = await _picture(request, route, chosen, _ROWS)
    traffic: dict[datetime, dict[Flow, int]] = {}
    answers: dict[datetime, dict[str, SideRow]] = {}
    for each in shown.points:
        if each.counts.count:
            traffic.setdefault(each.at, {})[each.mode, each.side] = each.counts.count
    for at, side, counts in shown.sides:
        p50, p95 = percentile(counts.latencies, 0.5) or 0.0, percentile(counts.latencies, 0.95) or 0.0
        answers.setdefault(at, {})[side] = SideRow(counts.count, counts.errors, p50, p95)
    return Charts(
        route=route,
        range=chosen,
        ranges=[*RANGES],
        span=shown.span,
        allowed=_allowed(request, route),
        flows=sorted({flow for counts in traffic.values() for flow in counts}),
        traffic=[*reversed(traffic.items())],
        sides=sorted({side for row in answers.values() for side in row}),
        answers=[*reversed(answers.items())],
        differences=[*reversed(shown.differences)],
        differences_width=shown.differences_width,
    )


def range_of(request: web.Request) -> str:
    """Returns the range that the address names; the usual one without."""
    chosen = request.query.get("range", _USUAL)
    return chosen if chosen in RANGES else _USUAL


async def _picture(request: web.Request, route: str, chosen: str, parts: int) -> Picture:
    deps = request.app[DEPS]
    now = deps.effects.clock()
    span = fitting(now - RANGES[chosen], now, now, parts=parts)
    return await picture(deps.store, [route], span, route=route)


def _allowed(request: web.Request, route: str) -> float:
    """Returns the bound of the rate of differences that can-switch asks for, from 0 to 1."""
    return request.app[LIVE].now.table.routes[route].mapping.switch.max_difference_percent / 100
