"""Computes the facts about a case for doc, encounters and query: pure, so that a worker may do it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Final

from proxy import jsons
from proxy.text.tokens import estimate
from proxy.times import rfc3339_exact
from proxy.values import Case, Json, Report, Transcription

FACTS: Final = frozenset(
    {
        "case.id",
        "case.user",
        "case.organization",
        "case.patient_id",
        "case.title",
        "case.created_at",
        "case.runtime_ms",
        "case.template",
        "case.agent",
        "tokens.input",
        "tokens.generated",
        "input.conversation",
        "input.ehr.*",
        "input.documents.*",
        "report.content",
        "report.structured_data.*",
        "report.updated_at",
        "report.agent",
        "files.*",
        "file_extension",
    }
)


@dataclass(frozen=True, slots=True)
class Record:
    """A case with all that was added to it later: transcriptions in order, reports newest first."""

    case: Case
    transcriptions: Sequence[Transcription] = field(repr=False)
    reports: Sequence[Report] = field(repr=False)

    @property
    def size(self) -> int:
        """Returns about how many bytes the record has."""
        case = self.case
        packed = [file.text.size for file in case.files] + ([case.ehr.size] if case.ehr else [])
        added = [len(each.text) for each in self.transcriptions] + [each.size for each in self.reports]
        return sum(packed) + sum(added) + len(case.conversation)

    @property
    def conversation(self) -> str:
        """Returns the conversation that came with the case, and then each transcription (CONTRACT S05)."""
        said = (self.case.conversation, *(each.text for each in self.transcriptions))
        return "\n".join(text for text in said if text)


def record_facts(record: Record) -> dict[str, Json]:
    """Returns the facts named in FACTS."""
    case = record.case
    report = record.reports[0] if record.reports else None
    conversation = record.conversation
    return {
        "case": {**case_facts(case), "runtime_ms": case.runtime_ms},
        "tokens": {
            "input": estimate(conversation) + case.tokens.ehr + case.tokens.documents,
            "generated": estimate(report.content) if report else 0,
        },
        "input": {
            "conversation": conversation,
            "ehr": ehr_of(case),
            "documents": [{"name": file.name, "text": file.text.text()} for file in case.files],
        },
        "report": report_facts(report),
        "files": file_facts(case),
        "file_extension": _extension(case),
    }


def ehr_of(case: Case) -> Json:
    """Returns the ehr's object, or None for a case without an ehr."""
    return jsons.load(case.ehr.read(), rules=jsons.RECORD) if case.ehr else None


def _extension(case: Case) -> str:
    """Returns the first file's extension, or the ehr's for a case without files (CONTRACT D01)."""
    suffix = PurePath(case.files[0].name).suffix if case.files else ""
    return suffix or ".json"


def case_facts(case: Case) -> dict[str, Json]:
    """Returns the identifying facts of a case; each flow declares those that its mapping may read."""
    return {
        "id": case.id,
        "user": case.user,
        "organization": case.organization,
        "patient_id": case.patient_id,
        "title": case.title,
        "created_at": rfc3339_exact(case.created_at),
        "template": case.template,
        "agent": case.agent,
    }


def file_facts(case: Case) -> list[Json]:
    return [{"name": file.name, "content_type": file.content_type, "size": file.size} for file in case.files]


def report_facts(report: Report | None) -> Json:
    if report is None:
        return None
    return {
        "content": report.content,
        "structured_data": report.structured_data,
        "updated_at": rfc3339_exact(report.at),
        "agent": report.agent_id,
    }
