"""Cases of the new API: POST /api/cases checks, stores and answers them."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from proxy.jsons import RECORD, BadJson, load
from proxy.sandbox.accounts import Caller, User
from proxy.sandbox.answers import Refused
from proxy.sandbox.config import SandboxConfig
from proxy.sandbox.forms import Part
from proxy.times import rfc3339
from proxy.values import Json

_FIELDS: Final = frozenset({"patientMetadata", "files"})
_MAX_DEPTH: Final = 128  # the document sets none; a caller may wrap a value of 64 levels


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of a case: its name, and the digest of its bytes, which are not stored."""

    id: str
    name: str = field(repr=False)
    content_type: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Case:
    """A case as it was made; `organization_header` are the bytes of X-ORGANIZATION as they came in."""

    id: str
    user: User
    organization_header: bytes | None = field(repr=False)
    patient_id: str
    patient_metadata: dict[str, Json] = field(repr=False)
    files: tuple[StoredFile, ...] = field(repr=False)
    title: str = field(repr=False)
    created_at: datetime

    @property
    def patient_name(self) -> str:
        return str(self.patient_metadata["name"])

    def answer(self) -> dict[str, Json]:
        """Returns the body of POST /api/cases (llamalitica-integration, "Step 2", TypeScript example)."""
        files: list[Json] = [
            {
                "id": file.id,
                "name": file.name,
                "type": file.content_type,
                "size": file.size,
                "status": "uploaded",
                "addedAt": rfc3339(self.created_at),
            }
            for file in self.files
        ]
        return {
            "caseId": self.id,
            "patientId": self.patient_id,
            "title": self.title,
            "createdAt": rfc3339(self.created_at),
            "files": files,
        }


def make_case(config: SandboxConfig, caller: Caller, parts: list[Part]) -> Case:
    """Returns a case of a form's parts. Raises Refused 400 when they are not as documented."""
    metadata = _patient_metadata(parts)
    return Case(
        id=config.new_uuid(),
        user=caller.user,
        organization_header=caller.organization_header,
        patient_id=config.new_uuid(),
        patient_metadata=metadata,
        files=tuple(_stored(config, part) for part in parts if part.name == "files"),
        title=f"Caso de {metadata['name']}",
        created_at=config.clock(),
    )


def _patient_metadata(parts: list[Part]) -> dict[str, Json]:
    unknown = {part.name for part in parts} - _FIELDS
    given = [part for part in parts if part.name == "patientMetadata"]
    if unknown:
        raise Refused(400, "The form holds parts that are neither patientMetadata nor files")
    if len(given) != 1 or given[0].filename is not None:
        raise Refused(400, "patientMetadata is required, exactly once, as a field")
    try:
        metadata = load(given[0].body, rules=RECORD, max_depth=_MAX_DEPTH)
    except BadJson as bad:
        raise Refused(400, f"patientMetadata is not JSON ({bad.cause})") from None
    if not isinstance(metadata, dict):
        raise Refused(400, "patientMetadata is not a JSON object")
    for key in ("id", "name"):
        value = metadata.get(key)
        if not isinstance(value, str) or not value.strip():
            raise Refused(400, f"patientMetadata.{key} must be a string that is not empty")
    return metadata


def _stored(config: SandboxConfig, part: Part) -> StoredFile:
    if not part.filename:
        raise Refused(400, "Each of files needs a filename")
    content_type = part.content_type or "application/octet-stream"
    return StoredFile(config.new_uuid(), part.filename, content_type, part.size, part.sha256)
