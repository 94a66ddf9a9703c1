"""Reads the caller of newCase from the legacy identity headers, and admits or refuses them (N02–N06)."""

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

import structlog

from proxy.errors import Refusal
from proxy.flows.deps import Deps
from proxy.flows.shared.access import is_owners, name_in_log
from proxy.headers import Malformed, RawHeaders, bearer, identity_value
from proxy.mapping.models import NewCase
from proxy.mapping.table import Organizations, Route
from proxy.values import Caller, Identity, Inbound, Session

_HEADERS: Final = {"API_KEY": "no-api-key", "user_mail": "no-user", "organization": "no-organization"}

_MANGLED: Final = frozenset("?\N{REPLACEMENT CHARACTER}")
# Categories of invisible characters: BOM, zero width, soft hyphen, and every space but the common one.
_INVISIBLE: Final = frozenset({"Cf", "Zl", "Zp", "Zs"})

_log: Final = structlog.get_logger("proxy.caller")


@dataclass(frozen=True, slots=True)
class NewCaseCaller:
    """The caller of newCase, with the session of their token if they sent one.

    `older` are the hashes under which an earlier release stored this user's rows. `ref` is the session's.
    `fingerprint` differs for each key, user and organization (CONTRACT N19).
    """

    identity: Identity = field(repr=False)
    organization: str = field(repr=False)
    owner: str
    older: tuple[str, ...]
    fingerprint: str
    token: str | None = field(repr=False)
    ref: str | None = field(repr=False)
    agent: str | None
    template: str | None
    idempotency: str | None = field(repr=False)


async def resolve(headers: RawHeaders, deps: Deps, *, makes_case: bool) -> Caller:
    """Returns the sender of these headers, as far as the store can tell; refuses nobody.

    `makes_case` is True for newCase, whose request has the user and the organization.
    """
    sent = bearer(headers)
    token, fault = (None, sent.cause) if isinstance(sent, Malformed) else (sent, None)
    session = None if token is None else await deps.store.sessions.get(token, deps.effects.clock())
    if not makes_case:
        if session is None:
            return Caller(token, fault)
        return Caller(token, fault, session, session.organization, session.owner)
    user, organization = readable(headers, "user_mail"), readable(headers, "organization")
    if not user or not organization:
        return Caller(token, fault, session, organization)
    owner = deps.store.sealer.owner(user, organization)
    older = older_owners(owner, user, organization, [session], deps)
    return Caller(token, fault, session, organization, owner, older)


def readable(headers: RawHeaders, name: str) -> str | None:
    """Returns an identity header; None for an ambiguous one, which the answering side refuses."""
    try:
        return identity_value(headers, name)
    except Refusal:
        return None


async def read_caller(inbound: Inbound, route: Route[NewCase], deps: Deps) -> NewCaseCaller:
    """Returns the caller. Raises their Refusal before a byte of the body is read."""
    identity, organization = identity_of(inbound.headers, route.organizations)
    _admit(identity.user, organization, route)
    if organization not in route.organizations.known and any(map(_is_mangled, organization)):
        # The platform would create a new organization of this name.
        _log.warning("organization_mangled")
    owner = inbound.caller.owner
    assert owner is not None, "the headers were read the same way"
    name_in_log(owner, organization, deps)
    template = identity_value(inbound.headers, "template")
    token, session = _given_token(inbound.caller, owner, deps)
    older = inbound.caller.older
    return NewCaseCaller(
        identity=identity,
        organization=organization,
        owner=owner,
        older=older,
        fingerprint=_fingerprint(identity, organization, older, deps),
        token=token,
        ref=session.ref if session else None,
        template=template,
        agent=_agent(template, organization, route),
        idempotency=identity_value(inbound.headers, "Idempotency-Key"),
    )


def _fingerprint(identity: Identity, organization: str, older: Iterable[str], deps: Deps) -> str:
    # An organization left out on purpose must differ from one with an empty name (N02).
    sent = () if identity.organization is None else (identity.organization,)
    return deps.store.sealer.digest(
        "caller", identity.api_key, identity.user, organization, *older, "as", *sent
    )


def _is_mangled(character: str) -> bool:
    """Returns whether it replaces an accent that an HTTP library lost, or is invisible in a copied name."""
    return character in _MANGLED or (character != " " and unicodedata.category(character) in _INVISIBLE)


def older_owners(
    owner: str, user: str, organization: str, sessions: Iterable[Session | None], deps: Deps
) -> tuple[str, ...]:
    """Returns the older hashes of this user's rows: of the present spelling, and in their sessions (N06)."""
    spelt = deps.store.sealer.spelt_owner(user, organization)
    mine = [each.owner for each in sessions if each is not None and is_owners(each, owner, deps)]
    return tuple(sorted({spelt, *mine} - {owner}))


def _given_token(caller: Caller, owner: str, deps: Deps) -> tuple[str | None, Session | None]:
    """Returns the request's token and its session. Raises Refusal for a token of anybody else (N07)."""
    session = caller.session
    if caller.fault is not None:
        raise Refusal("bad_token", caller.fault)
    if caller.token is None:
        return None, None
    if session is None or not is_owners(session, owner, deps) or session.expires_at <= deps.effects.clock():
        raise Refusal("bad_token", "token-not-valid")
    return caller.token, session


def _agent(template: str | None, organization: str, route: Route[NewCase]) -> str | None:
    if template is None:
        return None
    own = route.mapping.organizations.get(organization)
    agent = (own.templates if own else {}).get(template) or route.mapping.templates.get(template)
    if agent is None:
        if route.mapping.strict_templates:
            raise Refusal("unknown_template", "unknown-template")
        _log.warning("unknown_template")
    return agent


def identity_of(headers: RawHeaders, organizations: Organizations) -> tuple[Identity, str]:
    """Returns the identity for the new API, and the organization's legacy name. Raises Refusal."""
    values: list[str] = []
    for name, cause in _HEADERS.items():
        value = identity_value(headers, name)
        if value is None:
            raise Refusal("unauthorized", cause)
        values.append(value)
    api_key, user, organization = values
    return Identity(api_key, user, organizations.send_as(organization)), organization


def _admit(user: str, organization: str, route: Route[NewCase]) -> None:
    """Refuses callers that `provision` excludes: the new platform creates every user that it lacks (N05)."""
    provision = route.mapping.provision
    if provision == "any":
        return
    if organization not in route.organizations.known:
        raise Refusal("not_provisioned", "unknown-organization")
    if provision == "domains" and not _of_domain(user, organization, route.organizations):
        raise Refusal("not_provisioned", "foreign-domain")


def _of_domain(user: str, organization: str, organizations: Organizations) -> bool:
    domain = user.rpartition("@")[2].lower()
    return domain in (each.lower() for each in organizations.known[organization].domains)
