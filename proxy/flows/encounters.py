"""GET /michiQ/encounters: the user's cases, newest first (CONTRACT L)."""

from datetime import datetime
from typing import Final

from proxy.flows.access import authenticate
from proxy.flows.answers import json
from proxy.flows.deps import Deps
from proxy.flows.legacy_list import legacy_list, merged
from proxy.flows.records import FACTS, read_records, record_facts
from proxy.mapping.models import Encounters
from proxy.mapping.table import FlowSpec, Route
from proxy.values import Answer, Case, Inbound, Json

SPEC: Final = FlowSpec(
    name="encounters", model=Encounters, facts=FACTS, errors=frozenset({"unauthorized"}), lists=True
)


async def run(inbound: Inbound, route: Route[Encounters], deps: Deps) -> Answer:
    """The mapping's table shapes one encounter; the answer is the list of them."""
    token, session = await authenticate(inbound, deps)
    cases = await deps.store.cases.of_owner(session.owner)
    if deps.michiq is None or route.mapping.merge == "off":
        return json(200, [shaped for _, shaped in await _shaped(session.owner, cases, route, deps)])
    shadows = await deps.store.homes.candidates(session.owner)
    cases = [case for case in cases if case.id not in shadows]
    own = await _shaped(session.owner, cases, route, deps)
    theirs = await legacy_list(deps.michiq, token, session, route, deps)
    return json(200, merged(own, {case.id for case in cases}, theirs))


async def _shaped(
    owner: str, cases: list[Case], route: Route[Encounters], deps: Deps
) -> list[tuple[datetime, Json]]:
    """The owner's cases in the legacy shape, each with its time; newest first, as they come."""
    records = await read_records(owner, cases, deps)
    return [
        (record.case.created_at, route.answer.over(await record_facts(record, deps))) for record in records
    ]
