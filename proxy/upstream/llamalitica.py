"""The new Llamalitica API: who a user is, and making a case (llamalitica-integration, steps 1 and 2)."""

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

# What a client can send back in `Authorization: Bearer` (RFC 6750 section 2.1).
_Token = Annotated[str, Field(pattern=r"^[A-Za-z0-9._~+/-]+=*$")]
_Id = Annotated[str, Field(pattern=ID_PATTERN)]


@dataclass(frozen=True, slots=True)
class UserSession:
    """What GET /api/users/me says of a user; `expires_at` is the token's own `exp`, where it has one."""

    access_token: str = field(repr=False)
    expires_at: datetime | None
    user_id: str
    organization_id: str
    organization_name: str = field(repr=False)
    agents: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CreatedCase:
    """What POST /api/cases made; each of `files` is an object with id, name, type, size, status, addedAt."""

    case_id: str
    patient_id: str = field(repr=False)
    title: str = field(repr=False)
    created_at: datetime
    files: tuple[Json, ...] = field(repr=False)


class Llamalitica:
    """The two calls that the proxy makes; `randomness(n)` gives n random bytes."""

    def __init__(self, upstream: Fetches, randomness: Randomness) -> None:
        self._upstream = upstream
        self._randomness = randomness

    def over(self, upstream: Fetches) -> "Llamalitica":
        """The same client, whose calls `upstream` answers."""
        return Llamalitica(upstream, self._randomness)

    async def me(self, identity: Identity) -> UserSession:
        """A fresh access token (GET /api/users/me). Raises UpstreamError."""
        call = Call("GET", "/api/users/me", _ME, _headers(identity), caller=_caller(identity))
        return _user_session(await self._upstream.fetch(call, _Me))

    async def create_case(
        self, identity: Identity, patient_metadata: Content, files: Sequence[OutgoingFile]
    ) -> CreatedCase:
        """A new case (POST /api/cases), sent once, whatever happens (CONTRACT N17). Raises UpstreamError.

        `patient_metadata` is ready JSON.
        """
        parts: list[Part] = [("patientMetadata", patient_metadata), *(("files", file) for file in files)]
        body = form(parts, self._randomness)
        call = Call("POST", "/api/cases", _CREATE, _headers(identity), body=body, caller=_caller(identity))
        made = await self._upstream.fetch(call, _Case)
        return CreatedCase(made.case_id, made.patient_id, made.title, made.created_at, tuple(made.files))


def expiry(access_token: str) -> datetime | None:
    """The `exp` of a JWT, unverified: it says when to renew, never who someone is (CONTRACT G05)."""
    try:
        exp: object = jwt.decode(access_token, options={"verify_signature": False}).get("exp")
        if isinstance(exp, int | float) and not isinstance(exp, bool):
            return datetime.fromtimestamp(exp, UTC)
    except (jwt.InvalidTokenError, RecursionError, ValueError, OverflowError, OSError):
        pass  # no JWT, or no time that a calendar has
    return None


def _headers(identity: Identity) -> dict[str, str]:
    headers = {"X-API-KEY": identity.api_key, "X-USER-EMAIL": identity.user}
    if identity.organization is not None:
        headers["X-ORGANIZATION"] = identity.organization
    return headers


def _caller(identity: Identity) -> bytes:
    """Whose the connections are: the caller's, by all that goes out of them."""
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
    """An ISO 8601 time in UTC. One without a zone is read as UTC: the case exists by then."""
    if not isinstance(value, str):
        raise ValueError("not a time")
    return from_iso8601(value)


class _Shape(BaseModel):
    """A documented answer; keys that the document doesn't have are ignored."""

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
