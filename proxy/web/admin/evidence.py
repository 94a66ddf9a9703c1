"""Shows the evidence for moving a route, and notes explanations of it; no answer's value is in it."""

from dataclasses import asdict
from datetime import timedelta
from typing import Annotated

from aiohttp import web
from pydantic import Field

from proxy.flows.answers import json
from proxy.mapping.base import Model
from proxy.rollout.evidence.differing import CURRENT, BadCursor, ShownDifference, find_differences
from proxy.server.responses import respond
from proxy.store.rollout.difference_groups import Explanation
from proxy.store.rollout.evidence import LeafCount
from proxy.store.rollout.explanations import BadReason, DifferenceKey, NoSuchDifference
from proxy.times import rfc3339
from proxy.values import Json
from proxy.web.admin.inputs import PageQuery, Whole, in_body, in_query, read_body, read_query
from proxy.web.admin.keys import ACTOR
from proxy.web.admin.problems import Problem, invalid
from proxy.web.admin.route_names import named_route
from proxy.web.keys import DEPS, LIVE


class _Comparisons(PageQuery):
    route: str
    days: Annotated[Whole, Field(ge=1, le=3650)] = 14


class _OfRoute(PageQuery):
    route: str | None = None


class _Differences(_OfRoute):
    mapping: Annotated[str, Field(pattern="^(current|all|[0-9a-f]{12})$")] = CURRENT
    limit: Annotated[Whole, Field(ge=1, le=1000)] = 100
    cursor: str | None = None


class _Explained(Model):
    route: str
    path: str
    kind: str
    control_type: str
    candidate_type: str
    reason: str


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
    wanted, table = read_query(request, _Differences), request.app[LIVE].now.table
    route = named_route(request, wanted.route, in_query("route"))
    try:
        found = await find_differences(
            request.app[DEPS].store,
            table,
            route=route,
            mapping=wanted.mapping,
            limit=wanted.limit,
            after=wanted.cursor,
        )
    except BadCursor:
        raise invalid([{**in_query("cursor"), "detail": "take it from `next` of the page before"}]) from None
    body: Json = {
        "routes": [
            {
                "route": name,
                "mapping": table.routes[name].digest,
                "comparisons": sums.comparisons,
                "differing": sums.differing,
                "control_failed": sums.control_failed,
            }
            for name, sums in found.routes.items()
        ],
        "differences": [_difference(each) for each in found.differences],
        "next": found.after,
    }
    return respond(json(200, body))


async def explain_difference(request: web.Request) -> web.StreamResponse:
    """Notes an operator's reason for a difference; no figure and no verdict changes."""
    deps, wanted = request.app[DEPS], await read_body(request, _Explained)
    named_route(request, wanted.route, in_body("route"))
    explained = DifferenceKey(
        wanted.route, wanted.path, wanted.kind, wanted.control_type, wanted.candidate_type
    )
    at = deps.effects.clock()
    try:
        await deps.store.explanations.explain_difference(
            request[ACTOR], explained, wanted.reason, at, via="api"
        )
    except BadReason as error:
        raise invalid([{**in_body("reason"), "detail": str(error)}]) from None
    except NoSuchDifference:
        raise Problem(404, "no such difference is stored") from None
    told = Explanation(wanted.reason.strip(), request[ACTOR], at)
    return respond(json(200, {"difference": asdict(explained), "explanation": _explanation(told)}))


async def learned(request: web.Request) -> web.StreamResponse:
    """Returns the structure of both sides' answers."""
    found = await request.app[DEPS].store.evidence.learned(_route(request))
    return respond(json(200, {"learned": [_leaf(each) for each in found]}))


def _route(request: web.Request) -> str | None:
    return named_route(request, read_query(request, _OfRoute).route, in_query("route"))


def _difference(shown: ShownDifference) -> Json:
    found = shown.group
    return {
        "route": found.route,
        "path": found.path,
        "kind": found.kind,
        "control_type": found.control_type,
        "candidate_type": found.candidate_type,
        "mapping": found.mapping,
        "count": found.count,
        "comparisons": shown.comparisons,
        "percent": shown.percent,
        "at_most_percent": shown.at_most_percent,
        "organizations": [*found.organizations],
        "sample": found.sample,
        "first_seen": rfc3339(found.first_seen),
        "last_seen": rfc3339(found.last_seen),
        "explanation": _explanation(found.explanation) if found.explanation else None,
    }


def _explanation(found: Explanation) -> Json:
    return {"reason": found.reason, "actor": found.actor, "at": rfc3339(found.at)}


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
