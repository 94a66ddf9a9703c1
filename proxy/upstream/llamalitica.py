"""The client of the new Llamalitica API: users and cases (llamalitica-integration, steps 1 and 2)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import jwt
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

from proxy.times import from_iso8601
from proxy.upstream.call import ID_PATTERN, Budget, Call, Fetches
from proxy.upstream.form import Part, Randomness, form
from proxy.upstream.http1.callers import hashed
from proxy.values import Content, Identity, Json, OutgoingFile

_ME: Final = Budget(total=15, connect=5, read=10)
_CREATE: Final = Budget(total=60, connect=5, read=45)

# A client must be able to send the token in `Authorization: Bearer` (RFC 6750, section 2.1).
_Token = Annotated[str, Field(pattern=r"^[A-Za-z0-9._~+/-]+=*$")]
_Id = Annotated[str, Field(pattern=ID_PATTERN)]


@dataclass(frozen=True, slots=True)
class UserSession:
    """The answer of GET /api/users/me; `expires_at` is the token's own `exp`, None if it has none."""

    access_token: str = field(repr=False)
    expires_at: datetime | None
    user_id: str
    organization_id: str
    organization_name: str = field(repr=False)
    agents: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CreatedCase:
    """The answer of POST /api/cases; each of `files` has id, name, type, size, status and addedAt."""

    case_id: str
    patient_id: str = field(repr=False)
    title: str = field(repr=False)
    created_at: datetime
    files: tuple[Json, ...] = field(repr=False)


class Llamalitica:
    """A client with the two calls that the proxy makes; `randomness(n)` returns n random bytes."""

    def __init__(self, upstream: Fetches, randomness: Randomness) -> None:
        self._upstream = upstream
        self._randomness = randomness

    def over(self, upstream: Fetches) -> "Llamalitica":
        """Returns the same client, but its calls go to `upstream`."""
        return Llamalitica(upstream, self._randomness)

    async def me(self, identity: Identity) -> UserSession:
        """Returns the user, with a fresh access token (GET /api/users/me). Raises UpstreamError."""
        call = Call("GET", "/api/users/me", _ME, _headers(identity), caller=_caller(identity))
        return _user_session(await self._upstream.fetch(call, _Me))

    async def create_case(
        self, identity: Identity, patient_metadata: Content, files: Sequence[OutgoingFile]
    ) -> CreatedCase:
        """Makes a new case (POST /api/cases). Raises UpstreamError.

        The request is never sent twice (CONTRACT N17). `patient_metadata` is ready JSON.
        """
        parts: list[Part] = [("patientMetadata", patient_metadata), *(("files", file) for file in files)]
        body = form(parts, self._randomness)
        call = Call("POST", "/api/cases", _CREATE, _headers(identity), body=body, caller=_caller(identity))
        made = await self._upstream.fetch(call, _Case)
        return CreatedCase(made.case_id, made.patient_id, made.title, made.created_at, tuple(made.files))


def expiry(access_token: str) -> datetime | None:
    """Returns the `exp` of a JWT, unverified: only to know when to renew the token (CONTRACT G05)."""
    try:
        exp: object = jwt.decode(access_token, options={"verify_signature": False}).get("exp")
        if isinstance(exp, int | float) and not isinstance(exp, bool):
            return datetime.fromtimestamp(exp, UTC)
    except (jwt.InvalidTokenError, RecursionError, ValueError, OverflowError, OSError):
        pass  # not a JWT, or a time outside the calendar
    return None


def _headers(identity: Identity) -> dict[str, str]:
    headers = {"X-API-KEY": identity.api_key, "X-USER-EMAIL": identity.user}
    if identity.organization is not None:
        headers["X-ORGANIZATION"] = identity.organization
    return headers


def _caller(identity: Identity) -> bytes:
    """Returns the hash of all identity headers: a connection is shared only by calls with the same hash."""
    return hashed(f"{name}:{value}".encode() for name, value in _headers(identity).items())


def _user_session(me: "_Me") -> UserSession:
    user = me.user
    return UserSession(
        access_token=user.access_token,
        expires_at=expiry(user.access_token),
        user_id=user.id,
        organization_id=user.organization.id,
        organization_name=user.organization.name,
        agents=tuple(agent.id for agent in user.agents),
    )


def _moment(value: object) -> datetime:
    """Returns an ISO 8601 time in UTC.

    A time without a zone counts as UTC, because the case exists by then and must not be lost.
    """
    if not isinstance(value, str):
        raise ValueError("not a time")
    return from_iso8601(value)


class _Shape(BaseModel):
    """A documented answer; keys that are not in the document are ignored."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel)


class _Agent(_Shape):
    id: str


class _Organization(_Shape):
    id: str
    name: str


class _User(_Shape):
    access_token: _Token
    id: str
    organization: _Organization
    agents: list[_Agent] = []


class _Me(_Shape):
    user: _User


class _Case(_Shape):
    case_id: _Id
    patient_id: str
    title: str
    created_at: Annotated[datetime, BeforeValidator(_moment)]
    files: list[Any] = []
