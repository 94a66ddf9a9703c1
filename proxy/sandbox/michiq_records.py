"""The records of the legacy michiQ server: encounters and recordings, with their owners."""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import PurePath
from typing import BinaryIO, Final, NamedTuple

from proxy.jsons import dump
from proxy.times import rfc3339
from proxy.values import Json

COPY_SIZE: Final = 64 * 1024


class Owner(NamedTuple):
    """A user of an organization, as `user_mail` and `organization` name them."""

    user: str
    organization: str


class Document(NamedTuple):
    """A file of an encounter with the text that could be read in it."""

    name: str
    text: str


@dataclass(slots=True)
class Encounter:
    """A case; `transcriptions` (by audio digest) grow while it lives."""

    id: str
    owner: Owner = field(repr=False)
    created_at: datetime
    runtime_ms: int
    conversation: str = field(repr=False)
    ehr: Json = field(repr=False)
    documents: tuple[Document, ...] = field(repr=False)
    template: str | None
    transcriptions: dict[str, str] = field(default_factory=dict, repr=False)

    @property
    def counts(self) -> dict[str, int]:
        """Returns the token counts of newCase's answer; here they are simply words."""
        return {
            "voice": words(self.conversation),
            "ehr": words(self._ehr_text),
            "documents": sum(words(document.text) for document in self.documents),
        }

    @property
    def generated_text(self) -> str | None:
        """Returns the summary that a template asks for; None without a template."""
        if self.template is None:
            return None
        return f"Resumen según la plantilla {self.template}: {self.text[:200]}"

    @property
    def text(self) -> str:
        """Returns all the text that may answer a query."""
        documents = (document.text for document in self.documents)
        return "\n".join([self.conversation, *self.transcriptions.values(), self._ehr_text, *documents])

    @property
    def _ehr_text(self) -> str:
        return "" if self.ehr is None else "\n".join(flattened(self.ehr))

    def fields(self) -> dict[str, Json]:
        """Returns the encounter as MichiqDocument (michiq-legacy, "Estructura del tipo MichiqDocument")."""
        documents: list[Json] = [
            {"name": document.name, "text": document.text} for document in self.documents
        ]
        optional = {"GeneratedText": self.generated_text} if self.generated_text is not None else {}
        return {
            "MichiqUUID": self.id,
            "Timestamp": rfc3339(self.created_at),
            "Username": self.owner.user,
            "OrganizationID": self.owner.organization,
            "TokensGenerated": words(self.generated_text or ""),
            "TokensInput": sum(self.counts.values()),
            "Cost": 0,
            "RuntimeMs": self.runtime_ms,
            "Temperature": 0,
            "Input": {"conversation": self.conversation, "ehr": self.ehr, "documents": documents},
            "StructuredData": None,
            **optional,
        }

    @property
    def file_extension(self) -> str:
        """Returns the first file's extension with its dot, `.json` when there is none (CONTRACT D01)."""
        suffix = PurePath(self.documents[0].name).suffix if self.documents else ""
        return suffix.lower() or ".json"


@dataclass(slots=True)
class Recording:
    """An uploaded recording in an open temporary file; `sha256` is that of all its chunks together."""

    filename: str = field(repr=False)
    container: str | None
    file: BinaryIO = field(repr=False)
    last_chunk: str = ""
    digest: "hashlib._Hash" = field(default_factory=hashlib.sha256, repr=False)

    @property
    def sha256(self) -> str:
        return self.digest.hexdigest()

    def append(self, chunk: BinaryIO, sha256: str) -> None:
        """Adds the bytes of `chunk`; the same chunk sent again right after adds nothing (CONTRACT U04)."""
        if sha256 == self.last_chunk:
            return
        chunk.seek(0)
        self.file.seek(0, 2)
        while piece := chunk.read(COPY_SIZE):
            self.file.write(piece)
            self.digest.update(piece)
        self.last_chunk = sha256


def words(text: str) -> int:
    return len(text.split())


def flattened(value: Json, path: str = "") -> list[str]:
    """Returns a line `path: value` for every leaf of `value`."""
    if isinstance(value, dict):
        return [line for key, item in value.items() for line in flattened(item, f"{path} {key}".strip())]
    if isinstance(value, list):
        return [line for item in value for line in flattened(item, path)]
    return [f"{path}: {value if isinstance(value, str) else dump(value).decode()}"]
