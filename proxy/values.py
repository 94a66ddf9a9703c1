"""The frozen values that pass between the layers."""

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from string import ascii_lowercase, ascii_uppercase
from typing import Final, Literal, Protocol, TypeAlias

from proxy.compressed import Compressed

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

# The side that answers a request: the old michiQ server, or this proxy from the new APIs.
Side: TypeAlias = Literal["legacy", "new"]

LEGACY_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_UUID: Final = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}", re.ASCII)

_ASCII_LOWER: Final = str.maketrans(ascii_uppercase, ascii_lowercase)


def folded_id(spelling: str) -> str:
    """Returns the key that an id is looked up by: a UUID in lower case (RFC 9562, section 4; G03)."""
    return spelling.lower() if _UUID.fullmatch(spelling) else spelling


def folded_mail(user: str) -> str:
    """Returns the key that a user is looked up by: a mail address in ASCII lower case (CONTRACT N06)."""
    return user.translate(_ASCII_LOWER) if "@" in user else user


class Content(Protocol):
    """Bytes of fixed length that can be read more than once, from memory, a file or the blob store."""

    @property
    def size(self) -> int: ...

    def chunks(self) -> AsyncIterator[bytes]: ...


@dataclass(frozen=True, slots=True)
class Identity:
    """The caller of the new API; `organization` is sent as X-ORGANIZATION, None leaves it out."""

    api_key: str = field(repr=False)
    user: str = field(repr=False)
    organization: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Session:
    """The session of a legacy token (CONTRACT G05).

    `organization` is the legacy header's value; `owner` the keyed hash of user and organization, under
    which all their data is stored. `side` is the side that issued the token. `ref` names the stored session,
    for writes that must not outlive it.
    """

    identity: Identity
    organization: str = field(repr=False)
    owner: str
    access_token: str = field(repr=False)
    access_expires_at: datetime | None
    expires_at: datetime
    side: Side = "new"
    ref: str | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class OutgoingFile:
    """A `files` part of POST /api/cases."""

    filename: str = field(repr=False)
    content_type: str
    content: Content = field(repr=False)


@dataclass(frozen=True, slots=True)
class Tokens:
    """Estimated token counts of a case's input (CONTRACT N13)."""

    conversation: int
    ehr: int
    documents: int


@dataclass(frozen=True, slots=True)
class CaseFile:
    """A file of a case: its properties as received, and the text found in it."""

    name: str = field(repr=False)
    content_type: str
    size: int
    sha256: str
    text: Compressed = field(repr=False)


@dataclass(frozen=True, slots=True)
class Case:
    """The durable record of a case (CONTRACT N18).

    `id` is both `michiq_uuid` and the upstream caseId, in the platform's spelling (G03). `ehr` is a JSON
    object
    as it came, without the blanks around it.
    """

    id: str
    owner: str
    user: str = field(repr=False)
    organization: str = field(repr=False)
    patient_id: str = field(repr=False)
    patient_name: str = field(repr=False)
    title: str = field(repr=False)
    created_at: datetime
    runtime_ms: int
    template: str | None
    agent: str | None
    tokens: Tokens
    ehr: Compressed | None = field(repr=False)
    conversation: str = field(repr=False)
    files: tuple[CaseFile, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Chunk:
    """One uploaded piece of a recording, in the blob store under `blob`, sealed with `key`."""

    blob: str
    key: bytes = field(repr=False)
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Recording:
    """An audio file as it was uploaded, in one or more chunks (CONTRACT U04)."""

    id: str
    legacy_id: str
    filename: str = field(repr=False)
    content_type: str
    container: str | None
    created_at: datetime
    chunks: tuple[Chunk, ...]

    @property
    def size(self) -> int:
        return sum(chunk.size for chunk in self.chunks)

    @property
    def digest(self) -> str:
        """Returns the recording's digest: SHA-256 over the chunks' own digests, in order."""
        return self.digests()[-1]

    def digests(self) -> list[str]:
        """Returns the recording's digest after each of its chunks."""
        return digests_of([chunk.sha256 for chunk in self.chunks])


def digests_of(pieces: Sequence[str]) -> list[str]:
    """Returns a recording's digest after each of its chunks; `pieces` are their own digests, in order."""
    running, found = sha256(), []
    for piece in pieces:
        running.update(piece.encode())
        found.append(running.copy().hexdigest())
    return found


@dataclass(frozen=True, slots=True)
class Transcription:
    """The stored transcription of one recording; `digest` is Recording.digest."""

    digest: str
    text: str = field(repr=False)
    seconds: float
    created_at: datetime


@dataclass(frozen=True, slots=True)
class LinkedCase:
    """A second upstream case of the same patient, made for new audio (CONTRACT S05).

    `legacy_id` is folded, `case_id` has the platform's spelling (G03).
    """

    legacy_id: str
    digest: str
    state: str  # pending | intent | done | failed | ambiguous
    case_id: str | None
    cause: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Origin:
    """The request that a call was made for: its id, and the keyed hash of its organization."""

    request_id: str
    organization: str


@dataclass(frozen=True, slots=True)
class PendingCall:
    """A call that may have made a case, or whose case no client learned of (CONTRACT N19).

    The call is never sent again, and is shown to operators. `id` is the intent's, or of a linked case
    (S05) the
    legacy id; `kind` is the flow that made the call; `made` is the case's id, if the case is there for sure.
    `origin` is None for a call of an earlier release.
    """

    id: str
    kind: str
    cause: str | None
    at: datetime
    made: str | None = None
    origin: Origin | None = None


@dataclass(frozen=True, slots=True)
class ReportEvent:
    """A webhook delivery of the new platform (llamalitica-integration, "Event Format")."""

    event: str  # report.created | report.updated | report.deleted
    report_id: str
    case_id: str
    organization_id: str
    at: datetime
    agent_id: str | None
    content: str | None = field(repr=False)
    structured_data: Json = field(repr=False)


@dataclass(frozen=True, slots=True)
class Report:
    """A clinical report as the newest event left it; `size` is its approximate number of bytes."""

    id: str
    case_id: str
    at: datetime
    agent_id: str | None
    content: str = field(repr=False)
    structured_data: Json = field(repr=False)
    size: int = field(compare=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """The client's answer: status, body and headers, ready to send. A large body is packed."""

    status: int
    body: bytes | Compressed = field(repr=False)
    content_type: str
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    @property
    def size(self) -> int:
        return self.body.size if isinstance(self.body, Compressed) else len(self.body)

    def read(self) -> bytes:
        """Returns the whole body."""
        return self.body.read() if isinstance(self.body, Compressed) else self.body


class FormPart(Protocol):
    """One part of an inbound multipart form; bytes that no caller reads are dropped."""

    @property
    def name(self) -> str: ...

    @property
    def filename(self) -> str | None: ...

    @property
    def content_type(self) -> str | None: ...

    def chunks(self) -> AsyncIterator[bytes]: ...


class Body(Protocol):
    """The request's body, read at most once, within the route's limit (CONTRACT N15, N16)."""

    async def read(self) -> bytes: ...

    def parts(self, limit: int | None = None) -> AsyncIterator[FormPart]: ...


@dataclass(frozen=True, slots=True)
class Caller:
    """The sender of a request: its bearer token, and the session that the token stands for, expired or not.

    `fault` is the code of an `Authorization` header that is not one bearer token; `token` is None then.
    `owner` is the keyed hash of user and organization, and `organization` the legacy name: the session's, or
    at newCase those of the headers. `older` are the owner's hashes in earlier releases (CONTRACT N06).
    """

    token: str | None = field(default=None, repr=False)
    fault: str | None = None
    session: Session | None = None
    organization: str | None = field(default=None, repr=False)
    owner: str | None = None
    older: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Inbound:
    """A request without the HTTP library; `headers` are the raw pairs, in order.

    `caller` was resolved once, before it was decided which side answers.
    """

    legacy_id: str
    headers: tuple[tuple[bytes, bytes], ...] = field(repr=False)
    query: Mapping[str, str] = field(repr=False)
    body: Body = field(repr=False)
    request_id: str
    started: float
    caller: Caller = Caller()

    @property
    def valid_id(self) -> str | None:
        """Returns the path's id, or None if it is not a valid id (CONTRACT G03)."""
        return self.legacy_id if LEGACY_ID.fullmatch(self.legacy_id) else None
