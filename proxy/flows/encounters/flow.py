"""GET /michiQ/encounters: the user's cases, newest first (CONTRACT L)."""

import asyncio
from collections.abc import Sequence, Set
from typing import Final

from proxy.compressed import Compressed
from proxy.flows.answers import JSON
from proxy.flows.deps import Deps
from proxy.flows.encounters.legacy_list import Listed, legacy_list, merged
from proxy.flows.shared.access import authenticate
from proxy.flows.shared.facts import FACTS
from proxy.flows.shared.offload import shaped
from proxy.flows.shared.records import read_records
from proxy.mapping.models import Encounters
from proxy.mapping.table import FlowSpec, Route
from proxy.values import Answer, Inbound, folded_id

SPEC: Final = FlowSpec(
    name="encounters", model=Encounters, facts=FACTS, errors=frozenset({"unauthorized"}), lists=True
)


async def run(inbound: Inbound, route: Route[Encounters], deps: Deps) -> Answer:
    """Answers with the list of encounters, each in the shape of the mapping's table."""
    token, session = await authenticate(inbound, deps)
    if deps.upstreams.michiq is None or route.mapping.merge == "off":
        return _list([each.json for each in await _own(session.owner, frozenset(), route, deps)])
    shadows = await deps.store.homes.candidates(session.owner)
    own = await _own(session.owner, shadows, route, deps)
    theirs = await legacy_list(deps.upstreams.michiq, token, session, route, deps)
    # The legacy server's list may have megabytes, too, which would block the event loop.
    return await asyncio.to_thread(lambda: _list(merged(own, theirs)))


async def _own(owner: str, shadows: Set[str], route: Route[Encounters], deps: Deps) -> list[Listed]:
    """Returns the owner's cases in the legacy shape, newest first, without those of shadow runs."""
    own: list[Listed] = []
    async for page in deps.store.cases.pages(owner):
        cases = [case for case in page if folded_id(case.id) not in shadows]
        bodies = await shaped(deps.workers, route.answer, await read_records(owner, cases, deps))
        own += [Listed(case.id, case.created_at, each) for case, each in zip(cases, bodies, strict=True)]
    return own


def _list(encounters: Sequence[bytes | Compressed]) -> Answer:
    """Returns the JSON array, compressed if one encounter is: a user may have thousands."""
    loose = [each for each in encounters if isinstance(each, bytes)]
    if len(loose) == len(encounters):
        return Answer(200, b"[" + b",".join(loose) + b"]", JSON)
    pieces: list[bytes | Compressed] = []
    before = b"["
    for each in encounters:
        pieces += (before, each)
        before = b","
    return Answer(200, Compressed.concat([*pieces, b"]"]), JSON)
