"""Values to store, each with small differences on demand."""

import base64
import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from proxy.compressed import Compressed
from proxy.store import JournalEntry, Store, open_store
from proxy.values import (
    Case,
    CaseFile,
    Chunk,
    Identity,
    ReportEvent,
    Session,
    Tokens,
    Transcription,
)
from tests.stores import ENGINES

NOW: Final = datetime(2026, 3, 21, 10, 0, 0, 123456, tzinfo=UTC)
OWNER: Final = "a" * 64
OTHER: Final = "b" * 64


def fernet_key(seed: int) -> str:
    return base64.urlsafe_b64encode(bytes([seed]) * 32).decode()


KEY: Final = fernet_key(1)


@asynccontextmanager
async def opened(folder: Path, keys: Sequence[str] = (KEY,)) -> AsyncIterator[Store]:
    """Opens the folder's store, on the engine of the test that runs."""
    async with open_store(await ENGINES.options(folder), keys) as store:
        yield store


def ago(**units: float) -> datetime:
    return NOW - timedelta(**units)


def session(**changes: Any) -> Session:
    values: dict[str, Any] = {
        "identity": Identity(api_key="key-1", user="ana@clinic.example", organization="Clínica"),
        "organization": "Clinica (legacy)",
        "owner": OWNER,
        "access_token": "access-1",
        "access_expires_at": NOW + timedelta(minutes=15),
        "expires_at": NOW + timedelta(hours=8),
    }
    return Session(**{**values, **changes})


def case(case_id: str = "case-1", **changes: Any) -> Case:
    values: dict[str, Any] = {
        "id": case_id,
        "owner": OWNER,
        "user": "ana@clinic.example",
        "organization": "Clínica",
        "patient_id": "NHC-4711",
        "patient_name": "Pérez",
        "title": "Pérez, 21 March",
        "created_at": NOW,
        "runtime_ms": 740,
        "template": "1",
        "agent": "agent-1",
        "tokens": Tokens(conversation=10, ehr=20, documents=30),
        "ehr": Compressed.from_text('{"nhc": "NHC-4711", "vitals": [36.60, null, true, 1e30]}'),
        "conversation": "Buenos días \U0001f642",
        "files": (
            CaseFile("informe \ud800.pdf", "application/pdf", 3, "0" * 64, Compressed.from_text("texto")),
        ),
    }
    return Case(**{**values, **changes})


def entry(entry_id: str = "intent-1", **changes: Any) -> JournalEntry:
    values: dict[str, Any] = {
        "id": entry_id,
        "owner": OWNER,
        "kind": "new_case",
        "idempotency": "idempotency-1",
        "body_digest": "body-1",
        "created_at": NOW,
    }
    return JournalEntry(**{**values, **changes})


def chunk(content: bytes, *, blob: str | None = None) -> Chunk:
    digest = hashlib.sha256(content).hexdigest()
    return Chunk(blob=blob or digest[:32], key=b"k" * 32, size=len(content), sha256=digest)


def transcription(digest: str = "audio-1", **changes: Any) -> Transcription:
    values: dict[str, Any] = {"digest": digest, "text": "Hola", "seconds": 12.5, "created_at": NOW}
    return Transcription(**{**values, **changes})


def event(kind: str = "created", **changes: Any) -> ReportEvent:
    values: dict[str, Any] = {
        "event": f"report.{kind}",
        "report_id": "report-1",
        "case_id": "case-1",
        "organization_id": "organization-1",
        "at": NOW,
        "agent_id": "agent-1",
        "content": f"{kind} content",
        "structured_data": {"diagnosis": [kind]},
    }
    return ReportEvent(**{**values, **changes})


async def record(store: Store, recorded: Case, answer: bytes = b"{}") -> None:
    """Makes the case's record as a flow does: an intent, then the case."""
    intent = entry(f"intent-{recorded.id}", idempotency=None, created_at=recorded.created_at)
    assert await store.journal.begin(intent) is None
    await store.journal.record(intent.id, recorded, answer)


async def cases_of(store: Store, owner: str) -> list[Case]:
    """Returns all of an owner's cases, newest first."""
    return [each async for page in store.cases.pages(owner) for each in page]


async def add_chunk(
    store: Store, content: bytes, *, owner: str = OWNER, opens: bool = False, **more: Any
) -> bool:
    return await store.recordings.add_chunk(
        owner,
        "case-1",
        chunk(content),
        opens=opens,
        filename="consulta de Pérez.webm",
        content_type="audio/webm",
        container="webm",
        at=NOW,
        **more,
    )
