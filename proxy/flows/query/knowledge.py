"""Cuts the record of a case into passages, from which a question can be answered (CONTRACT Q04)."""

from collections.abc import Iterator
from typing import Final

from proxy.flows.shared.facts import Record, ehr_of
from proxy.text.index import Index
from proxy.text.passages import Passage, PassageTooLong, from_json, split
from proxy.values import Case, Json

# Measured on one core: 12 KiB of a record of average values take 1.5 ms, hostile ones 2.5 ms.
SMALL: Final = 12 * 1024
_SMALL_WRITTEN: Final = 3 * SMALL  # with the path before each value
_SMALL_PAGES: Final = 60


def index_of(record: Record) -> Index:
    """Returns the index of a record of any size; slow for a large one."""
    return Index.of(_passages(record, None))


def index_if_small(record: Record) -> Index | None:
    """Returns the index of a record within about two milliseconds, or None if it would take longer."""
    if record.size > SMALL or _pages(record) > _SMALL_PAGES:
        return None
    try:
        return Index.of(_passages(record, _SMALL_WRITTEN))
    except PassageTooLong:
        return None


def _passages(record: Record, most: int | None) -> Iterator[Passage]:
    """Yields the passages of the ehr, the conversation, the files, the transcriptions and the reports."""
    case = record.case
    yield from _of_json("ehr", ehr_of(case), most)
    yield from split("conversación", case.conversation)
    for file in case.files:
        yield from split(file.name, file.text.text())
    for transcription in record.transcriptions:
        yield from split("transcripción", transcription.text)
    for report in record.reports:
        yield from split("informe", report.content)
        yield from _of_json("informe", report.structured_data, most)


def _of_json(source: str, value: Json, most: int | None) -> list[Passage]:
    """Returns the passages of a value; none for null or an empty object, which would say nothing."""
    return from_json(source, value, most) if value else []


def _pages(record: Record) -> int:
    """Returns the number of pages; each has a passage of its own, even a short one."""
    texts = [*_texts(record.case), *(each.text for each in record.transcriptions)]
    return sum(1 + text.count("\f") for text in texts + [each.content for each in record.reports])


def _texts(case: Case) -> Iterator[str]:
    yield case.conversation
    yield from (file.text.text() for file in case.files)
