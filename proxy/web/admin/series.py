"""Shows the series of a route, or of all, for a chart, with each change of a mode in that time."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

from aiohttp import web
from pydantic import BeforeValidator

from proxy.flows.answers import json
from proxy.modes import as_json
from proxy.rollout.evidence.picture import LONGEST, Picture, Step, fitting, picture
from proxy.rollout.evidence.rates import DifferenceRate, percentile
from proxy.server.responses import respond
from proxy.store.rollout.series import Point, SeriesCounts
from proxy.times import from_rfc3339, rfc3339
from proxy.values import Json
from proxy.web.admin.inputs import PageQuery, in_query, read_query
from proxy.web.admin.problems import invalid
from proxy.web.admin.route_names import named_route
from proxy.web.keys import DEPS, LIVE

_FIRST: Final = datetime(2000, 1, 1, tzinfo=UTC)  # a span before the year 1 can't be computed
_DAY: Final = timedelta(days=1)
_STEPS: Final[dict[str, Step]] = {"60": 60, "3600": 3600}


def _moment(text: str) -> datetime:
    with suppress(ValueError):
        if (moment := from_rfc3339(text)) >= _FIRST:
            return moment
    raise ValueError("write a time after 2000 with its time zone, such as 2027-01-31T18:00:00Z")


def _step(text: str) -> Step:
    try:
        return _STEPS[text]
    except KeyError:
        raise ValueError("write 60 or 3600") from None


class _Wanted(PageQuery):
    route: str | None = None
    since: Annotated[datetime, BeforeValidator(_moment)] | None = None
    until: Annotated[datetime, BeforeValidator(_moment)] | None = None
    step: Annotated[Step, BeforeValidator(_step)] | None = None


async def show(request: web.Request) -> web.StreamResponse:
    """Returns the points of the last day, or of the time asked for."""
    wanted, deps = read_query(request, _Wanted), request.app[DEPS]
    route = named_route(request, wanted.route, in_query("route"))
    now = deps.effects.clock()
    until = wanted.until or now
    since = wanted.since or until - _DAY
    if not timedelta() < until - since <= LONGEST:
        said = f"must be before `until`, by at most {LONGEST.days} days"
        raise invalid([{**in_query("since"), "detail": said}])
    routes = [*request.app[LIVE].now.table.routes]
    span = fitting(since, until, now, wanted.step)
    shown = await picture(deps.store, routes, span, route=route)
    # In a thread: thousands of points would hold up clients' requests.
    return respond(json(200, {"route": route, **await asyncio.to_thread(picture_json, shown)}))


def picture_json(shown: Picture) -> dict[str, Json]:
    """Returns a picture for programs; rates are from 0 to 1."""
    span = shown.span
    return {
        "since": rfc3339(span.since),
        "until": rfc3339(span.until),
        "step": span.step,
        "width": span.width,
        "differences_width": shown.differences_width,
        "points": [_point(each) for each in shown.points],
        "sides": [{"at": rfc3339(at), "side": side, **_answers(sums)} for at, side, sums in shown.sides],
        "differences": [{"at": rfc3339(at), **_rate(rate)} for at, rate in shown.differences],
        "changes": [as_json(each) for each in shown.changes],
    }


def _point(point: Point) -> Json:
    key: dict[str, Json] = {"at": rfc3339(point.at), "mode": point.mode, "side": point.side}
    counts = point.counts
    return {**key, **_answers(counts), "compared": counts.compared, "differing": counts.differing}


def _answers(counts: SeriesCounts) -> dict[str, Json]:
    return {
        "count": counts.count,
        "errors": counts.errors,
        "p50_ms": _rounded(counts.latencies, 0.5),
        "p95_ms": _rounded(counts.latencies, 0.95),
    }


def _rounded(latencies: Sequence[int], share: float) -> Json:
    found = percentile(latencies, share)
    return None if found is None else round(found, 1)


def _rate(rate: DifferenceRate) -> dict[str, Json]:
    return {
        "compared": rate.compared,
        "differing": rate.differing,
        "rate": round(rate.rate, 6),
        "bound": round(rate.bound, 6),
    }
