"""What the proxy knows of a case, as facts for doc, encounters and query."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Final

from proxy.flows.answers import rfc3339
from proxy.flows.deps import Deps
from proxy.flows.offload import count_tokens
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
    """A case with all that has joined it since: transcriptions in order, reports newest first."""

    case: Case
    transcriptions: Sequence[Transcription] = field(repr=False)
    reports: Sequence[Report] = field(repr=False)

    @property
    def conversation(self) -> str:
        """What was said: the conversation that came with the case, then each transcription (S05)."""
        said = (self.case.conversation, *(each.text for each in self.transcriptions))
        return "\n".join(text for text in said if text)


async def read_record(case: Case, deps: Deps) -> Record:
    [record] = await read_records(case.owner, [case], deps)
    return record


async def read_records(owner: str, cases: Sequence[Case], deps: Deps) -> list[Record]:
    """The records of an owner's cases, in their order; a report on a linked case is one on its main case."""
    ids = [case.id for case in cases]
    links = await deps.store.links.of_cases(ids)
    main_of = {link.case_id: link.legacy_id for link in links if link.case_id} | {id_: id_ for id_ in ids}
    heard = await deps.store.transcriptions.of_ids(owner, ids)
    reports: dict[str, list[Report]] = {id_: [] for id_ in ids}
    for report in await deps.store.reports.of_cases(list(main_of)):
        reports[main_of[report.case_id]].append(report)
    return [Record(case, heard[case.id], reports[case.id]) for case in cases]


async def record_facts(record: Record, deps: Deps) -> dict[str, Json]:
    """The facts of FACTS."""
    case = record.case
    report = record.reports[0] if record.reports else None
    conversation = record.conversation
    spoken = await count_tokens(deps.workers, conversation)
    return {
        "case": {**case_facts(case), "runtime_ms": case.runtime_ms},
        "tokens": {
            "input": spoken + case.tokens.ehr + case.tokens.documents,
            "generated": await count_tokens(deps.workers, report.content) if report else 0,
        },
        "input": {
            "conversation": conversation,
            "ehr": case.ehr,
            "documents": [{"name": file.name, "text": file.text} for file in case.files],
        },
        "report": report_facts(report),
        "files": file_facts(case),
        "file_extension": _extension(case),
    }


def _extension(case: Case) -> str:
    """The first file's; a case without one has that of its ehr (CONTRACT D01)."""
    suffix = PurePath(case.files[0].name).suffix if case.files else ""
    return suffix or ".json"


def case_facts(case: Case) -> dict[str, Json]:
    """Who and what a case is; a flow declares those of them that its mapping may read."""
    return {
        "id": case.id,
        "user": case.user,
        "organization": case.organization,
        "patient_id": case.patient_id,
        "title": case.title,
        "created_at": rfc3339(case.created_at),
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
        "updated_at": rfc3339(report.at),
        "agent": report.agent_id,
    }
