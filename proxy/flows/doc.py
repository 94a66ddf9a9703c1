"""GET /michiQ/doc/{id}: one case, with its transcriptions and reports (CONTRACT D)."""

from typing import Final

from proxy.flows.answers import ready
from proxy.flows.deps import Deps
from proxy.flows.shared.access import as_asked, authenticate, own_case
from proxy.flows.shared.facts import FACTS
from proxy.flows.shared.offload import shaped
from proxy.flows.shared.records import read_record
from proxy.mapping.models import Doc
from proxy.mapping.table import FlowSpec, Route
from proxy.values import Answer, Inbound

SPEC: Final = FlowSpec(
    name="doc",
    model=Doc,
    facts=FACTS,
    errors=frozenset({"unauthorized", "unknown_id", "foreign_id"}),
)


async def run(inbound: Inbound, route: Route[Doc], deps: Deps) -> Answer:
    _, session = await authenticate(inbound, deps)
    case = as_asked(await own_case(inbound, session, deps), inbound)
    [body] = await shaped(deps.workers, route.answer, [await read_record(case, deps)])
    return ready(route, body)
