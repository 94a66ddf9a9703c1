"""The frozen values that pass between the layers."""

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from string import ascii_lowercase, ascii_uppercase
from typing import Final, Literal, Protocol, TypeAlias

from proxy.packed import Packed

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

# Who answers a request: the old michiQ server, or this proxy from the new APIs.
Side: TypeAlias = Literal["legacy", "new"]

LEGACY_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_UUID: Final = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}", re.ASCII)

_ASCII_LOWER: Final = str.maketrans(ascii_uppercase, ascii_lowercase)


def folded_id(spelling: str) -> str:
    """Returns what an id is looked up by: in UUID form its case says nothing (RFC 9562, section 4; G03)."""
    return spelling.lower() if _UUID.fullmatch(spelling) else spelling


def folded_mail(user: str) -> str:
    """Returns what a user is known by: a mail address without regard to the case of ASCII letters (N06)."""
    return user.translate(_ASCII_LOWER) if "@" in user else user


class Content(Protocol):
    """Bytes of known length that can be read more than once, from memory, a file or the blob store."""

    @property
    def size(self) -> int: ...

    def chunks(self) -> AsyncIterator[bytes]: ...


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the new API is called as. `organization` is what goes out as X-ORGANIZATION; None leaves it out."""

    api_key: str = field(repr=False)
    user: str = field(repr=False)
    organization: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Session:
    """What a legacy token stands for (CONTRACT G05).

    `organization` is the legacy header's value; `owner` the keyed hash of user and organization, under
    which everything of theirs is stored. `side` is who gave the token out. `ref` names the stored session,
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
    """A file of a case: what was received, and the text found in it."""

    name: str = field(repr=False)
    content_type: str
    size: int
    sha256: str
    text: Packed = field(repr=False)


@dataclass(frozen=True, slots=True)
class Case:
    """The durable record of a case (CONTRACT N18). `id` is both `michiq_uuid` and the upstream caseId, as the
    platform spelt it (G03).

    `ehr` is a JSON object as it came, without the blanks around it.
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
    ehr: Packed | None = field(repr=False)
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
        """What its bytes are known by: SHA-256 over the chunks' own digests, in order."""
        return self.digests()[-1]

    def digests(self) -> list[str]:
        """What the recording was known by after each of its chunks."""
        return digests_of([chunk.sha256 for chunk in self.chunks])


def digests_of(pieces: Sequence[str]) -> list[str]:
    """What a recording is known by after each of its chunks, whose own digests these are, in order."""
    running, known = sha256(), []
    for piece in pieces:
        running.update(piece.encode())
        known.append(running.copy().hexdigest())
    return known


@dataclass(frozen=True, slots=True)
class Transcription:
    """The kept result of transcribing one recording; `digest` is Recording.digest."""

    digest: str
    text: str = field(repr=False)
    seconds: float
    created_at: datetime


@dataclass(frozen=True, slots=True)
class LinkedCase:
    """A second upstream case of the same patient, made for new audio (CONTRACT S05).

    `legacy_id` is folded, `case_id` as the platform spelt it (G03).
    """

    legacy_id: str
    digest: str
    state: str  # pending | intent | done | failed | ambiguous
    case_id: str | None
    cause: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class PendingCall:
    """A call of which nobody knows whether it made a case, or whose case nobody was told of (CONTRACT N19):
    it is never sent again, and shown to operators.

    `id` is the intent's, or of a linked case (S05) the legacy id; `kind` the flow that made the call;
    `made` the case's, where it is known to be there.
    """

    id: str
    kind: str
    cause: str | None
    at: datetime
    made: str | None = None


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
    """A clinical report as the newest event left it; `size` is about how many bytes it has."""

    id: str
    case_id: str
    at: datetime
    agent_id: str | None
    content: str = field(repr=False)
    structured_data: Json = field(repr=False)
    size: int = field(compare=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the client gets: status, body and headers, ready to send. A large body is packed."""

    status: int
    body: bytes | Packed = field(repr=False)
    content_type: str
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    @property
    def size(self) -> int:
        return self.body.size if isinstance(self.body, Packed) else len(self.body)

    def read(self) -> bytes:
        """The body, whole."""
        return self.body.read() if isinstance(self.body, Packed) else self.body


class FormPart(Protocol):
    """One part of an inbound multipart form. Bytes that nobody reads are read and dropped."""

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
class Inbound:
    """What came in, freed of the HTTP library. `headers` are the raw pairs, in order."""

    legacy_id: str
    headers: tuple[tuple[bytes, bytes], ...] = field(repr=False)
    query: Mapping[str, str] = field(repr=False)
    body: Body = field(repr=False)
    request_id: str
    started: float

    @property
    def known_id(self) -> str | None:
        """The path's id where it is one at all (CONTRACT G03)."""
        return self.legacy_id if LEGACY_ID.fullmatch(self.legacy_id) else None
