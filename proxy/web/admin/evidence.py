"""Shows the evidence for moving a route: comparisons, differences, learned structure; no answer's value."""

from datetime import timedelta
from typing import Annotated

from aiohttp import web
from pydantic import Field

from proxy.flows.answers import json
from proxy.server.responses import respond
from proxy.store.rollout.evidence import DifferenceCount, LeafCount
from proxy.times import rfc3339
from proxy.values import Json
from proxy.web.admin.inputs import PageQuery, Whole, in_query, read_query
from proxy.web.admin.route_names import named_route
from proxy.web.keys import DEPS


class _Comparisons(PageQuery):
    route: str
    days: Annotated[Whole, Field(ge=1, le=3650)] = 14


class _OfRoute(PageQuery):
    route: str | None = None


async def comparisons(request: web.Request) -> web.StreamResponse:
    """Returns the counts by day, organization (its keyed hash) and outcome."""
    wanted, deps = read_query(request, _Comparisons), request.app[DEPS]
    named_route(request, wanted.route, in_query("route"))
    since = (deps.effects.clock() - timedelta(days=wanted.days)).date()
    counts: list[Json] = [
        {
            "day": each.day.isoformat(),
            "organization": each.organization,
            "outcome": each.outcome,
            "count": each.count,
        }
        for each in await deps.store.evidence.comparisons(wanted.route, since)
    ]
    body: Json = {"route": wanted.route, "since": since.isoformat(), "comparisons": counts}
    return respond(json(200, body))


async def differences(request: web.Request) -> web.StreamResponse:
    """Returns the differences, the most frequent first; of the latest one its lengths and salted hashes."""
    found = await request.app[DEPS].store.evidence.differences(_route(request))
    return respond(json(200, {"differences": [_difference(each) for each in found]}))


async def learned(request: web.Request) -> web.StreamResponse:
    """Returns the structure of both sides' answers."""
    found = await request.app[DEPS].store.evidence.learned(_route(request))
    return respond(json(200, {"learned": [_leaf(each) for each in found]}))


def _route(request: web.Request) -> str | None:
    return named_route(request, read_query(request, _OfRoute).route, in_query("route"))


def _difference(found: DifferenceCount) -> Json:
    return {
        "route": found.route,
        "path": found.path,
        "kind": found.kind,
        "control_type": found.control_type,
        "candidate_type": found.candidate_type,
        "count": found.count,
        "sample": found.sample,
        "first_seen": rfc3339(found.first_seen),
        "last_seen": rfc3339(found.last_seen),
    }


def _leaf(found: LeafCount) -> Json:
    return {
        "route": found.route,
        "side": found.side,
        "status": found.status,
        "content_type": found.content_type,
        "path": found.path,
        "type": found.type,
        "count": found.count,
        "first_seen": rfc3339(found.first_seen),
        "last_seen": rfc3339(found.last_seen),
    }
