"""Handles all legacy routes: chooses the side that answers, and calls the flow or the legacy server."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from aiohttp import web

from proxy.errors import Refusal
from proxy.flows.deps import Deps
from proxy.flows.refusals import allowed
from proxy.flows.registry import FLOWS
from proxy.headers import HeaderFields
from proxy.inbound.body import RequestBody
from proxy.mapping.models import RouteMapping
from proxy.mapping.table import FlowSpec, Route
from proxy.rollout.decide import Asked, Decision, decide
from proxy.rollout.lookup import RequestContext
from proxy.rollout.snapshot import Snapshot
from proxy.server.receiving import arriving
from proxy.server.responses import empty, respond
from proxy.store import StoreError
from proxy.store.records.sessions import SessionGone
from proxy.values import Caller, Inbound
from proxy.web.cors import granted, preflight
from proxy.web.exchange import DRAFT
from proxy.web.expect import go_on, go_on_later
from proxy.web.keys import DEPS, LEARNER, LIVE, LOOKUP
from proxy.web.legacy.relay import Asker, answer_from_legacy, pass_options
from proxy.web.legacy.time_limit import untimed
from proxy.web.notices import notice_headers


def add_legacy_routes(app: web.Application) -> None:
    """Adds every path of the table; a path with an id is also added without it (CONTRACT Q02)."""
    for name, route in app[LIVE].now.table.routes.items():
        path = route.mapping.path
        handler = _handler(name)
        bare = path.removesuffix("/{id}")
        # aiohttp's own pattern for an id excludes braces, but an id may have them (CONTRACT G03).
        paths = [path] if bare == path else [f"{bare}/{{id:[^/]+}}", bare]
        for each in paths:
            app.router.add_route("*", each, handler, expect_handler=go_on_later)


def _handler(name: str) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    spec = FLOWS[name].spec

    async def handle(request: web.Request) -> web.StreamResponse:
        # One snapshot for the whole request: a reload must not change it halfway.
        draft, snapshot = request[DRAFT], request.app[LIVE].now
        draft.name, route = name, snapshot.table.routes[name]
        draft.route = route
        try:
            context = draft.context = await _context(request, route, spec)
            decision = draft.decision = await _decided(request, context, snapshot, spec)
        except (Refusal, SessionGone, StoreError):
            # The legacy server may refuse before a body is sent; the proxy always reads it.
            await go_on(request)
            raise
        michiq = request.app[DEPS].upstreams.michiq
        if decision.side == "new" or michiq is None:
            await go_on(request)
            return await _answer_from_new(request, route, spec, context)
        if context is None:
            return await pass_options(request, michiq, route)
        return await answer_from_legacy(request, michiq, spec, Asker(route, context, shadow=decision.shadow))

    return handle


async def _context(request: web.Request, route: Route[Any], spec: FlowSpec) -> RequestContext | None:
    """Looks up the caller and the case; None for OPTIONS, which has neither."""
    if request.method == "OPTIONS":
        return None
    if request.method not in allowed(route.mapping):
        raise Refusal("wrong_method", "wrong-method")
    path_id = request.match_info.get("id", "")
    return await request.app[LOOKUP].look_up(HeaderFields.of(request.raw_headers), path_id, spec)


async def _decided(
    request: web.Request, context: RequestContext | None, snapshot: Snapshot, spec: FlowSpec
) -> Decision:
    deps = request.app[DEPS]
    if context is None:
        asked = Asked(None, None, forced=request.app[LOOKUP].forced(request.raw_headers), options=True)
    else:
        asked = context.asked
    now = deps.effects.clock()
    in_force = snapshot.in_force(spec.name, asked.scope, now)
    mapping = snapshot.table.routes[spec.name].mapping
    decision = decide(asked, in_force, mapping, now, has_legacy=deps.upstreams.michiq is not None)
    return decision if context is None else await _claimed(decision, context, spec, deps)


async def _claimed(decision: Decision, context: RequestContext, spec: FlowSpec, deps: Deps) -> Decision:
    """Claims a new id for the decided side; returns the decision with the side of the first claim.

    A new id stays on the side that its first audio went to, also if two requests come at once.
    """
    if not spec.claims or decision.why in ("home", "only-new") or context.session is None:
        return decision
    if context.legacy_id is None:
        return decision
    session, now = context.session, deps.effects.clock()
    side = await deps.store.homes.claim(session.owner, context.legacy_id, decision.side, now, session.ref)
    return decision if side == decision.side else replace(decision, side=side, why="home", shadow=False)


async def _answer_from_new(
    request: web.Request, route: Route[Any], spec: FlowSpec, context: RequestContext | None
) -> web.Response:
    mapping: RouteMapping = route.mapping
    if context is None:
        return empty(204, (*notice_headers(mapping.notice), *preflight(request.headers, mapping)))
    async with asyncio.timeout(mapping.timeout.total_seconds()) as limit:
        inbound = _inbound(request, context.caller, mapping, limit)
        answer = await FLOWS[spec.name].run(inbound, route, request.app[DEPS])
    request.app[LEARNER].learn(spec.name, "new", answer)
    return respond(answer, (*notice_headers(mapping.notice), *granted(request.headers, mapping)))


def _inbound(request: web.Request, caller: Caller, mapping: RouteMapping, limit: asyncio.Timeout) -> Inbound:
    pieces = untimed(arriving(request, mapping.body_pause.total_seconds()), limit, mapping.timeout)
    body = request[DRAFT].body = RequestBody(request.headers, pieces, mapping.body_limit)
    return Inbound(
        legacy_id=request.match_info.get("id", ""),
        headers=request.raw_headers,
        query=dict(request.rel_url.query),
        body=body,
        request_id=request[DRAFT].request_id,
        started=request[DRAFT].started,
        caller=caller,
    )
