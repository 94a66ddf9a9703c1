"""Chooses the token of a newCase's answer, and prepares its session (CONTRACT N07, N19)."""

from dataclasses import dataclass, field
from datetime import datetime

from proxy.errors import UpstreamError
from proxy.flows.deps import Deps
from proxy.flows.shared.caller import NewCaseCaller
from proxy.mapping.models import NewCase
from proxy.mapping.table import Route
from proxy.store.sql.database import Work
from proxy.upstream.llamalitica import UserSession
from proxy.values import Session


@dataclass(frozen=True, slots=True)
class Grant:
    """The legacy token for the answer, and the writes that must be durable before the answer."""

    token: str = field(repr=False)
    writes: tuple[Work[None], ...] = ()


async def grant(
    user: UserSession | UpstreamError, caller: NewCaseCaller, route: Route[NewCase], deps: Deps
) -> Grant | UpstreamError:
    """Returns the request's token, its access token renewed; else a new session under the new access token.

    If users/me failed without refusing the caller, their newest valid access token replaces the new one. If
    there is none, the error of users/me is returned.
    """
    sessions = deps.store.sessions
    if isinstance(user, UserSession):
        if caller.token is not None:
            renewing = sessions.renewing(caller.token, user.access_token, user.expires_at)
            return Grant(caller.token, (renewing,))
        return _new(user.access_token, user.expires_at, caller, route, deps)
    if caller.token is not None:
        return Grant(caller.token)
    newest = await sessions.newest_access_of(caller.identity, caller.owner, deps.effects.clock())
    if newest is None:
        return user
    return _new(newest.access_token, newest.access_expires_at, caller, route, deps)


def _new(
    access_token: str, expires_at: datetime | None, caller: NewCaseCaller, route: Route[NewCase], deps: Deps
) -> Grant:
    session = Session(
        identity=caller.identity,
        organization=caller.organization,
        owner=caller.owner,
        access_token=access_token,
        access_expires_at=expires_at,
        expires_at=deps.effects.clock() + route.mapping.session_lifetime,
    )
    return Grant(access_token, (deps.store.sessions.putting(access_token, session),))
