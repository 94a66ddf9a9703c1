"""Clinical reports and the webhook events that tell of them (llamalitica-integration, "Event Format")."""

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

_TICK: Final = timedelta(milliseconds=1)  # what the events' times resolve


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
    """The report that the first agent writes from the case."""
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
    """The report after a change; later than before also where the clock has not moved."""
    at = max(now, report.at + _TICK)
    return replace(report, at=at, content=content, structured_data=structured_data)


def event_body(event: EventType, report: Report) -> bytes:
    """The bytes of one webhook delivery."""
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
    """X-Webhook-Signature of a delivery: HMAC-SHA-256 of its bytes in lower-case hex."""
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
