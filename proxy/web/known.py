"""Looks up a request's caller and the id in its path, before the side that answers is chosen."""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from proxy.dispatch.decide import Asked
from proxy.errors import Refusal
from proxy.flows.caller import older_owners
from proxy.flows.deps import Deps
from proxy.headers import HeaderFields, RawHeaders, bearer, identity_value
from proxy.mapping.table import FlowSpec
from proxy.store.homes import Home
from proxy.values import LEGACY_ID, Session, Side

TESTER: Final = "X-Michiq-Tester"
_TESTER: Final = TESTER.lower().encode()


@dataclass(frozen=True, slots=True)
class Known:
    """The caller and the case of a request, as the store has them.

    `token` is the token that was sent, `session` its session here, `legacy_token` the caller's token on the
    legacy server. `owner` is the keyed hash of user and organization, `key` a fingerprint of the API key.
    `legacy_id` is the path's id if it is a valid one, `spelling` the same id as its own side spells it
    (CONTRACT G03). At newCase, `older` are the owner's hashes in earlier releases (N06).
    """

    asked: Asked
    token: str | None = field(repr=False)
    session: Session | None
    legacy_token: str | None = field(repr=False)
    legacy_id: str | None
    owner: str | None = None
    key: str | None = None
    spelling: str | None = None
    older: tuple[str, ...] = ()


class Lookup:
    """A look-up of callers and cases; with `tester_secret` None no tester can choose a side."""

    def __init__(self, deps: Deps, tester_secret: str | None) -> None:
        self._deps = deps
        self._secret = tester_secret

    async def know(self, headers: RawHeaders, path_id: str, spec: FlowSpec) -> Known:
        """Looks up the caller and the case; never refuses, because the side that answers does."""
        store, now = self._deps.store, self._deps.clock()
        token = _token(headers)
        session = await store.sessions.get(token, now) if token is not None else None
        owner, older, organization = _who(headers, session, spec, self._deps)
        legacy_id = path_id if LEGACY_ID.fullmatch(path_id) else None
        legacy_token = await self._legacy_token(token, session, (owner, *older), now)
        home = await self._home(owner, legacy_id)
        asked = Asked(
            organization=organization,
            scope=None if organization is None else store.sealer.organization(organization),
            token="none" if token is None else "unknown" if session is None else "known",
            at_legacy=legacy_token is not None,
            both_sides=spec.lists and legacy_token is not None and await self._has_cases(owner),
            has_id=legacy_id is not None,
            home=home.side if home else None,
            forced=self.forced(headers),
            makes_case=spec.makes_case,
        )
        key, spelling = self._key(headers, session), home.spelling if home else None
        return Known(asked, token, session, legacy_token, legacy_id, owner, key, spelling, older)

    def _key(self, headers: RawHeaders, session: Session | None) -> str | None:
        key = session.identity.api_key if session is not None else _value(headers, "API_KEY")
        return None if key is None else self._deps.store.sealer.digest("client_key", key)

    async def _legacy_token(
        self, token: str | None, session: Session | None, owners: Sequence[str | None], now: datetime
    ) -> str | None:
        """Returns the caller's token on the legacy server: the one that was sent, else their newest one."""
        if self._deps.michiq is None or owners[0] is None:
            return None
        if session is not None and session.side == "legacy":
            return token
        for owner in filter(None, owners):
            if stored := await self._deps.store.homes.legacy_token(owner, now):
                return stored
        return None

    async def _home(self, owner: str | None, legacy_id: str | None) -> Home | None:
        if self._deps.michiq is None or legacy_id is None:
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


def _token(headers: RawHeaders) -> str | None:
    token = bearer(headers)
    return token if isinstance(token, str) else None


def _who(
    headers: RawHeaders, session: Session | None, spec: FlowSpec, deps: Deps
) -> tuple[str | None, tuple[str, ...], str | None]:
    """Returns the owner, their older hashes, and the organization by its legacy name.

    They are the session's; at newCase they are from the headers.
    """
    if not spec.makes_case:
        return (session.owner, (), session.organization) if session is not None else (None, (), None)
    user, organization = _value(headers, "user_mail"), _value(headers, "organization")
    if not user or not organization:
        return None, (), organization
    older = older_owners(user, organization, [session], deps)
    return deps.store.sealer.owner(user, organization), older, organization


def _value(headers: RawHeaders, name: str) -> str | None:
    """Returns an identity header; None also for an ambiguous one, which the side that answers refuses."""
    try:
        return identity_value(headers, name)
    except Refusal:
        return None
