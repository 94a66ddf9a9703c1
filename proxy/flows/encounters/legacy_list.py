"""Fetches the legacy server's own list of encounters, and merges it with ours (CONTRACT L03)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from operator import attrgetter
from typing import Final

import structlog

from proxy import jsons
from proxy.compressed import Compressed
from proxy.errors import Refusal, UpstreamError
from proxy.flows.deps import Deps
from proxy.mapping.models import Encounters
from proxy.mapping.table import Route
from proxy.times import from_iso8601
from proxy.upstream.legacy.michiq import Michiq
from proxy.values import Json, Session, folded_id

_LONG_AGO: Final = datetime(1970, 1, 1, tzinfo=UTC)

_log: Final = structlog.get_logger("proxy.encounters")


@dataclass(frozen=True, slots=True)
class Listed:
    """An encounter as JSON in the legacy shape, with its id and time."""

    id: str
    at: datetime
    json: bytes | Compressed = field(repr=False)


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
