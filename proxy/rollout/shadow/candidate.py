"""Runs a candidate: the new side's answer to a request that the legacy server has answered already."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import structlog

from proxy import jsons
from proxy.errors import Refusal
from proxy.flows.answers import json
from proxy.flows.deps import Deps
from proxy.flows.refusals import refused
from proxy.flows.registry import FLOWS
from proxy.mapping.table import FlowSpec, Route
from proxy.rollout.lookup import RequestContext
from proxy.rollout.shadow.capture import CapturedRequest
from proxy.rollout.shadow.dry_run import dry_deps
from proxy.rollout.shadow.openapi.description import LateDescriptions
from proxy.rollout.shadow.queue import Dropped, Ran
from proxy.upstream.call_log import CALLS
from proxy.upstream.trace_context import CONTEXT, TraceContext
from proxy.values import LEGACY_ID, Answer, Json, folded_id

# The names of a case's id in newCase's answer and in the list of encounters (michiq-legacy).
_MADE_ID: Final = "michiq_uuid"
_LISTED_ID: Final = "MichiqUUID"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A run of the new side; `control` is the answer that the client got. `trace` is the run's own."""

    spec: FlowSpec
    route: Route[Any]
    captured: CapturedRequest
    context: RequestContext
    control: Answer
    deps: Deps = field(repr=False)
    descriptions: LateDescriptions = field(repr=False)
    trace: TraceContext | None = None

    async def run(self) -> Ran:
        """Runs the new side, and returns both answers. Raises Dropped when no comparison is possible."""
        structlog.contextvars.bind_contextvars(request_id=self.captured.request_id, shadow=True)
        CALLS.set([])
        CONTEXT.set(self.trace)
        live = self.route.mapping.shadow_writes == "live"
        other_id = await self._counterpart(live=live)
        if not self.spec.writes:
            ran = Ran(self.control, await self._answer(self.deps, other_id), self._same(other_id))
            return await self._paired_only(ran) if self.spec.lists else ran
        return await (self._live(other_id) if live else self._dry(other_id))

    async def _dry(self, other_id: str | None) -> Ran:
        dry = dry_deps(self.deps, await self.descriptions.get())
        try:
            answer = await self._answer(dry.deps, other_id)
            await dry.finish(self.route.mapping.shadow.timeout.total_seconds())
        finally:
            await dry.finish(0)
        return Ran(self.control, answer, self._same(other_id), tuple(dry.failures))

    async def _live(self, other_id: str | None) -> Ran:
        """Sends the calls for real, within the daily cap; pairs a case that they make with the client's."""
        store, now = self.deps.store, self.deps.effects.clock()
        cap = self.route.mapping.shadow.daily_cap
        if not await store.evidence.take_budget(now.date().isoformat(), self.spec.name, cap):
            raise Dropped("daily-cap")
        answer = await self._answer(self.deps, other_id)
        if not self.spec.makes_case:
            return Ran(self.control, answer, self._same(other_id))
        mine, theirs = _made_id(self.control), _made_id(answer)
        if mine is None or theirs is None or self.context.owner is None:
            return Ran(self.control, answer)
        await store.homes.pair(mine, theirs, self.context.owner, now)
        return Ran(self.control, answer, ((mine, theirs),))

    async def _counterpart(self, *, live: bool) -> str | None:
        """Returns the id that the case of the path has on the new side."""
        legacy_id = self.context.legacy_id
        if legacy_id is None:
            return None
        other_id = await self.deps.store.homes.candidate_of(legacy_id)
        # A dry run can use the caller's own id for audio of an id that is no case here.
        if other_id is None and (live or not self.spec.claims):
            raise Dropped("unpaired")
        return other_id

    def _same(self, other_id: str | None) -> Sequence[tuple[str, str]]:
        mine = dict.fromkeys((self.context.legacy_id, self.context.spelling))
        return [(each, other_id) for each in mine if each is not None and other_id is not None]

    async def _answer(self, deps: Deps, other_id: str | None) -> Answer:
        """Returns the answer that the client would have got, also a refusal."""
        mapping = self.route.mapping
        route = self.route
        if self.spec.lists:
            route = replace(route, mapping=mapping.model_copy(update={"merge": "off"}))
        inbound = self.captured.inbound(
            self.context.caller, mapping.body_limit, deps.effects.monotonic(), other_id
        )
        try:
            async with asyncio.timeout(mapping.timeout.total_seconds()):
                return await FLOWS[self.spec.name].run(inbound, route, deps)
        except Refusal as refusal:
            return refused(mapping, refusal.kind, refusal.cause)

    async def _paired_only(self, ran: Ran) -> Ran:
        """Reduces both lists to the cases that are on both sides, under the client's ids."""
        # A list may have megabytes: in a thread it does not block the event loop.
        ours = await asyncio.to_thread(_listed, ran.candidate)
        theirs = await asyncio.to_thread(_listed, ran.control)
        if ours is None or theirs is None:
            return ran
        pairs = {mine: await self.deps.store.homes.candidate_of(mine) for mine in theirs}
        spelt = {folded_id(other): other for other in ours}
        paired = {mine: spelt[other] for mine, other in pairs.items() if other is not None and other in spelt}
        if not paired:
            raise Dropped("unpaired")
        control: list[Json] = [each for mine, each in theirs.items() if mine in paired]
        candidate: list[Json] = [each for other, each in ours.items() if other in paired.values()]
        return Ran(
            replace(ran.control, body=jsons.dump(control)),
            replace(ran.candidate, body=json(200, candidate).body),
            tuple(paired.items()),
        )


def _made_id(answer: Answer) -> str | None:
    try:
        made = jsons.load_object(answer.read(), rules=jsons.ANSWER) if answer.status == 200 else {}
    except jsons.BadJson:
        return None
    made_id = made.get(_MADE_ID)
    return made_id if isinstance(made_id, str) and LEGACY_ID.fullmatch(made_id) else None


def _listed(answer: Answer) -> dict[str, Json] | None:
    """Returns the listed cases by id; None for an answer that is not a list."""
    try:
        cases = jsons.load(answer.read(), rules=jsons.ANSWER) if answer.status == 200 else None
    except jsons.BadJson:
        return None
    if not isinstance(cases, list):
        return None
    named = [(each.get(_LISTED_ID), each) for each in cases if isinstance(each, dict)]
    return {name: each for name, each in named if isinstance(name, str)}
