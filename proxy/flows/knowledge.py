"""All that is known of a case, cut into passages: what a question can be answered from (CONTRACT Q04)."""

from collections.abc import Sequence

from proxy.flows.facts import Record, ehr_of
from proxy.text.passages import Passage, from_json, split
from proxy.values import Json


def passages(record: Record) -> Sequence[Passage]:
    """Those of the ehr first, then what was said, the files, the transcriptions and the reports."""
    case = record.case
    found = [*_of_json("ehr", ehr_of(case)), *split("conversación", case.conversation)]
    for file in case.files:
        found += split(file.name, file.text.text())
    for transcription in record.transcriptions:
        found += split("transcripción", transcription.text)
    for report in record.reports:
        found += [*split("informe", report.content), *_of_json("informe", report.structured_data)]
    return found


def _of_json(source: str, value: Json) -> Sequence[Passage]:
    """Nothing, rather than the word null or an empty pair of braces, where there is nothing."""
    return from_json(source, value) if value else []
