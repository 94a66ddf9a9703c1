"""Looks up a request's caller and the id in its path, before the side that answers is chosen."""

import hmac
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from proxy.flows.deps import Deps
from proxy.flows.shared.caller import readable, resolve
from proxy.headers import HeaderFields, RawHeaders
from proxy.mapping.table import FlowSpec
from proxy.rollout.decide import Asked
from proxy.store.records.homes import Home
from proxy.values import LEGACY_ID, Caller, Session, Side

TESTER: Final = "X-Michiq-Tester"
_TESTER: Final = TESTER.lower().encode()


@dataclass(frozen=True, slots=True)
class RequestContext:
    """The caller and the case of a request, as the store has them.

    `legacy_token` is the caller's token on the legacy server, `key` a fingerprint of the API key. `legacy_id`
    is the path's id if it is a valid one, `spelling` the same id as its own side spells it (CONTRACT G03).
    """

    asked: Asked
    caller: Caller
    legacy_token: str | None = field(repr=False)
    legacy_id: str | None
    key: str | None = None
    spelling: str | None = None

    @property
    def session(self) -> Session | None:
        return self.caller.session

    @property
    def owner(self) -> str | None:
        return self.caller.owner


class CallerLookup:
    """A look-up of callers and cases; with `tester_secret` None no tester can choose a side."""

    def __init__(self, deps: Deps, tester_secret: str | None) -> None:
        self._deps = deps
        self._secret = tester_secret

    async def look_up(self, headers: RawHeaders, path_id: str, spec: FlowSpec) -> RequestContext:
        """Looks up the caller and the case; never refuses, because the side that answers does."""
        store, now = self._deps.store, self._deps.effects.clock()
        caller = await resolve(headers, self._deps, makes_case=spec.makes_case)
        session, owner, organization = caller.session, caller.owner, caller.organization
        legacy_id = path_id if LEGACY_ID.fullmatch(path_id) else None
        legacy_token = await self._legacy_token(caller, now)
        home = await self._home(owner, legacy_id)
        asked = Asked(
            organization=organization,
            scope=None if organization is None else store.sealer.organization(organization),
            token="none" if caller.token is None else "unknown" if session is None else "known",
            at_legacy=legacy_token is not None,
            both_sides=spec.lists and legacy_token is not None and await self._has_cases(owner),
            has_id=legacy_id is not None,
            home=home.side if home else None,
            forced=self.forced(headers),
            makes_case=spec.makes_case,
        )
        key, spelling = self._key(headers, session), home.spelling if home else None
        return RequestContext(asked, caller, legacy_token, legacy_id, key, spelling)

    def _key(self, headers: RawHeaders, session: Session | None) -> str | None:
        key = session.identity.api_key if session is not None else readable(headers, "API_KEY")
        return None if key is None else self._deps.store.sealer.digest("client_key", key)

    async def _legacy_token(self, caller: Caller, now: datetime) -> str | None:
        """Returns the caller's token on the legacy server: the one that was sent, else their newest one."""
        if self._deps.upstreams.michiq is None or caller.owner is None:
            return None
        if caller.session is not None and caller.session.side == "legacy":
            return caller.token
        for owner in (caller.owner, *caller.older):
            if stored := await self._deps.store.homes.legacy_token(owner, now):
                return stored
        return None

    async def _home(self, owner: str | None, legacy_id: str | None) -> Home | None:
        if self._deps.upstreams.michiq is None or legacy_id is None:
            return None
        return await self._deps.store.homes.find(owner, legacy_id)

    async def _has_cases(self, owner: str | None) -> bool:
        return owner is not None and await self._deps.store.homes.has_new_cases(owner)

    def forced(self, headers: RawHeaders) -> Side | None:
        """Returns the side that a tester chose: `X-Michiq-Tester: new SECRET`."""
        if self._secret is None:
            return None
        given = HeaderFields.of(headers).values(_TESTER)
        if len(given) != 1:
            return None
        side, _, secret = given[0].partition(b" ")
        if not hmac.compare_digest(secret.strip(), self._secret.encode()):
            return None
        return {b"new": "new", b"legacy": "legacy"}.get(side)  # type: ignore[return-value]
