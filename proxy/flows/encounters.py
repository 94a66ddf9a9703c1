"""GET /michiQ/encounters: the user's cases, merged with the legacy server's list (CONTRACT L)."""

import asyncio
from collections.abc import Sequence, Set
from dataclasses import dataclass, field
from datetime import UTC, datetime
from operator import attrgetter
from typing import Final

import structlog

from proxy import jsons
from proxy.compressed import Compressed
from proxy.errors import Refusal, UpstreamError
from proxy.flows.answers import JSON
from proxy.flows.deps import Deps
from proxy.flows.shared.access import authenticate
from proxy.flows.shared.facts import FACTS
from proxy.flows.shared.offload import shaped
from proxy.flows.shared.records import read_records
from proxy.mapping.models import Encounters
from proxy.mapping.table import FlowSpec, Route
from proxy.times import from_iso8601
from proxy.upstream.legacy.michiq import Michiq
from proxy.values import Answer, Inbound, Json, Session, folded_id

SPEC: Final = FlowSpec(
    name="encounters", model=Encounters, facts=FACTS, errors=frozenset({"unauthorized"}), lists=True
)
_LONG_AGO: Final = datetime(1970, 1, 1, tzinfo=UTC)

_log: Final = structlog.get_logger("proxy.encounters")


@dataclass(frozen=True, slots=True)
class Listed:
    """An encounter as JSON in the legacy shape, with its id and time."""

    id: str
    at: datetime
    json: bytes | Compressed = field(repr=False)


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


async def legacy_list(
    michiq: Michiq, token: str, session: Session, route: Route[Encounters], deps: Deps
) -> list[dict[str, Json]]:
    """Returns the legacy server's own list for this user, empty if they have no session there (L03)."""
    homes = deps.store.homes
    theirs = (
        token if session.side == "legacy" else await homes.legacy_token(session.owner, deps.effects.clock())
    )
    if theirs is None:
        return []
    try:
        return await michiq.encounters(theirs)
    except UpstreamError as error:
        if error.kind == "upstream_unauthorized":
            return await _session_ended(theirs, session, deps)
        if route.mapping.merge == "required":
            raise Refusal("failed", error.cause) from None
        _log.warning("encounters_not_merged", cause=error.cause)
        return []


async def _session_ended(theirs: str, session: Session, deps: Deps) -> list[dict[str, Json]]:
    """Refuses a client that came with a legacy token, so that it signs in anew; forgets a stored one."""
    if session.side == "legacy":
        raise Refusal("unauthorized", "legacy-session-ended")
    await deps.store.homes.forget_legacy_token(session.owner, theirs)
    _log.warning("legacy_session_ended")
    return []


def merged(own: Sequence[Listed], theirs: Sequence[dict[str, Json]]) -> list[bytes | Compressed]:
    """Returns all encounters, newest first; of a case that both list, ours."""
    own_ids = {folded_id(each.id) for each in own}
    others = [Listed("", _time(each), jsons.dump(each)) for each in theirs if _id(each) not in own_ids]
    return [each.json for each in sorted([*own, *others], key=attrgetter("at"), reverse=True)]


def _id(encounter: dict[str, Json]) -> str:
    value = encounter.get("MichiqUUID")
    return folded_id(value) if isinstance(value, str) else ""


def _time(encounter: dict[str, Json]) -> datetime:
    """Returns the time of a legacy encounter; one without a readable time gets 1970, and so comes last."""
    value = encounter.get("Timestamp")
    try:
        return from_iso8601(value) if isinstance(value, str) else _LONG_AGO
    except ValueError:
        return _LONG_AGO
