"""Checks access: finds the session of a legacy token, and lets a case be seen by its owner only."""

from dataclasses import replace
from datetime import timedelta
from typing import Final

import structlog

from proxy.errors import Refusal, UpstreamError
from proxy.flows.deps import Deps
from proxy.store.sealing.sealer import short_hash
from proxy.values import Case, Inbound, Session

# The access token of a page must be valid until the user has opened the page.
PAGE_MARGIN: Final = timedelta(minutes=10)

_log: Final = structlog.get_logger("proxy.access")


async def authenticate(inbound: Inbound, deps: Deps) -> tuple[str, Session]:
    """Returns the legacy token of a Bearer route and its session. Raises Refusal for any other (G04).

    An expired access token is renewed (CONTRACT G06). One of unknown expiry is left to the calls that need
    it (`renewed`). An unreachable platform is no error here: records can be read during an outage.
    """
    token, session = inbound.caller.token, inbound.caller.session
    if token is None:
        raise Refusal("unauthorized", inbound.caller.fault or "no-token")
    if session is None:
        raise Refusal("unauthorized", "unknown-token")
    if session.expires_at <= deps.effects.clock():
        raise Refusal("unauthorized", "expired-token")
    name_in_log(session.owner, session.organization, deps)
    if session.access_expires_at is not None:
        try:
            session = await renewed(token, session, deps)
        except UpstreamError as error:
            _log.warning("renewal_failed", cause=error.cause)
    return token, session


def is_owners(session: Session, owner: str, deps: Deps) -> bool:
    """Returns whether the session is this owner's, also under an older hash (CONTRACT N06)."""
    return owner in (session.owner, deps.store.sealer.owner(session.identity.user, session.organization))


def name_in_log(owner: str, organization: str, deps: Deps) -> None:
    """Adds the caller's keyed hashes to every further log line of this request."""
    digest = deps.store.sealer.organization(organization)
    structlog.contextvars.bind_contextvars(user=short_hash(owner), organization=short_hash(digest))


async def renewed(token: str, session: Session, deps: Deps, margin: timedelta = timedelta(0)) -> Session:
    """Returns the session with an access token valid for `margin` from now; calls /api/users/me if needed."""
    if session.access_expires_at is not None and session.access_expires_at > deps.effects.clock() + margin:
        return session
    try:
        user = await deps.upstreams.llamalitica.me(session.identity)
    except UpstreamError as error:
        if error.kind == "upstream_unauthorized":
            deps.confirmed_callers.forget(session.owner)
            raise Refusal("unauthorized", "renewal-refused") from None
        raise
    await deps.store.sessions.renew(token, user.access_token, user.expires_at)
    return replace(session, access_token=user.access_token, access_expires_at=user.expires_at)


async def own_id(inbound: Inbound, session: Session, deps: Deps) -> tuple[str, Case | None]:
    """Returns the path's id, under which audio is stored, and the session's case of that id, if any (U03)."""
    if inbound.valid_id is None:
        raise Refusal("unknown_id", "malformed-id")
    case = await deps.store.cases.get(inbound.valid_id)
    if case is not None and case.owner != session.owner:
        raise Refusal("foreign_id", "foreign-id")
    return inbound.valid_id, case


def as_asked(case: Case, inbound: Inbound) -> Case:
    """Returns the case with its id as spelt in the request: an answer repeats that (CONTRACT G03)."""
    return replace(case, id=inbound.legacy_id)


async def own_case(inbound: Inbound, session: Session, deps: Deps) -> Case:
    """Returns the session's own case of the path's id. Raises Refusal for an unknown or foreign one."""
    case = await deps.store.cases.get(inbound.valid_id) if inbound.valid_id else None
    if case is None:
        # The user may have been erased since the caller was resolved: then the session is gone, too.
        token = inbound.caller.token
        if token is not None and await deps.store.sessions.get(token) is None:
            raise Refusal("unauthorized", "session-gone")
        raise Refusal("unknown_id", "unknown-id")
    if case.owner != session.owner:
        raise Refusal("foreign_id", "foreign-id")
    return case
