"""Clinical reports and their webhook events (llamalitica-integration, "Event Format")."""

import hashlib
import hmac
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final, Literal, TypeAlias

from proxy.jsons import dump
from proxy.sandbox.cases import Case
from proxy.sandbox.config import Agent, SandboxConfig
from proxy.times import rfc3339
from proxy.values import Json

EventType: TypeAlias = Literal["report.created", "report.updated", "report.deleted"]

_TICK: Final = timedelta(milliseconds=1)  # the resolution of the events' times


@dataclass(frozen=True, slots=True)
class Report:
    """A report of a case as the last event left it; `at` is that event's time."""

    id: str
    case: Case
    agent: Agent
    at: datetime
    content: str = field(repr=False)
    structured_data: Json = field(repr=False)


def first_report(config: SandboxConfig, case: Case) -> Report:
    """Returns the report that the first agent writes from the case."""
    return Report(
        id=config.new_uuid(),
        case=case,
        agent=config.agents[0],
        at=config.clock(),
        content=f"Informe de {case.patient_name}: {len(case.files)} archivos recibidos.",
        structured_data={
            "paciente": case.patient_name,
            "identificador": case.patient_metadata["id"],
            "archivos": [file.name for file in case.files],
        },
    )


def changed(report: Report, now: datetime, content: str, structured_data: Json) -> Report:
    """Returns the report after a change; its time rises even when the clock has not moved."""
    at = max(now, report.at + _TICK)
    return replace(report, at=at, content=content, structured_data=structured_data)


def event_body(event: EventType, report: Report) -> bytes:
    """Returns the bytes of one webhook delivery."""
    value: Json = {
        "event": event,
        "organizationId": report.case.user.organization.id,
        "timestamp": rfc3339(report.at),
        "data": {
            "id": report.id,
            "caseId": report.case.id,
            "agent": {"id": report.agent.id, "name": report.agent.name},
            "content": report.content,
            "structuredData": report.structured_data,
        },
    }
    return dump(value)


def signature(secret: str, body: bytes) -> str:
    """Returns X-Webhook-Signature of a delivery: HMAC-SHA-256 of its bytes in lower-case hex."""
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
