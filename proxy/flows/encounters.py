"""GET /michiQ/encounters: the user's cases, newest first (CONTRACT L)."""

from typing import Final

from proxy.flows.access import authenticate
from proxy.flows.answers import json
from proxy.flows.deps import Deps
from proxy.flows.records import FACTS, read_records, record_facts
from proxy.mapping.models import Encounters
from proxy.mapping.table import FlowSpec, Route
from proxy.values import Answer, Inbound

SPEC: Final = FlowSpec(name="encounters", model=Encounters, facts=FACTS, errors=frozenset({"unauthorized"}))


async def run(inbound: Inbound, route: Route[Encounters], deps: Deps) -> Answer:
    """The mapping's table shapes one encounter; the answer is the list of them."""
    _, session = await authenticate(inbound, deps)
    cases = await deps.store.cases.of_owner(session.owner)
    records = await read_records(session.owner, cases, deps)
    return json(200, [route.answer.over(await record_facts(record, deps)) for record in records])
