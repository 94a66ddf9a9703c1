"""Plans the messages of a question over a case, in isolated processes if it is large (CONTRACT Q04)."""

import asyncio
from collections.abc import Generator, Iterator, Set
from typing import Final

from proxy.flows.query.prompt import Prompt, QuestionTooLong, plan, planning
from proxy.flows.query.readings import Readings
from proxy.flows.shared.facts import Record, ehr_of
from proxy.flows.shared.offload import T
from proxy.isolated.pool import IsolatedPool
from proxy.text.index import Index
from proxy.text.passages import Passage, PassageTooLong, from_json, split
from proxy.values import Case, Json

# A larger record is read anew for each question: moving its index over would block the event loop.
_CACHED: Final = 1024 * 1024
_PLANNING_SECONDS: Final = 60.0
# Measured on one core: 12 KiB of a record of average values take 1.5 ms, hostile ones 2.5 ms.
SMALL: Final = 12 * 1024
_SMALL_WRITTEN: Final = 3 * SMALL  # with the path before each value
_SMALL_PAGES: Final = 60


async def planned(
    workers: IsolatedPool,
    readings: Readings,
    question: str,
    record: Record,
    sent: Set[str],
    instruction: str,
    part_instruction: str,
) -> Prompt:
    """Returns the same as prompt.plan, over the record of a case. Raises QuestionTooLong."""
    texts = sent, instruction, part_instruction
    if record.size > _CACHED:
        return await workers.run(
            _planned, question, record, *texts, seconds=_PLANNING_SECONDS, raises=QuestionTooLong, long=True
        )
    index = readings.get(record)
    if index is None:
        index = await _read_case(workers, record)
        readings.put(record, index)
    return await _in_turns(planning(question, index, *texts))


async def _read_case(workers: IsolatedPool, record: Record) -> Index:
    if (index := index_if_small(record)) is not None:
        return index
    return await workers.run(index_of, record, seconds=_PLANNING_SECONDS, long=True)


async def _in_turns(steps: Generator[None, None, T]) -> T:
    """Returns the result of the steps; other tasks have their turn after each step."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            value: T = end.value
            return value
        await asyncio.sleep(0)


def _planned(
    question: str, record: Record, sent: Set[str], instruction: str, part_instruction: str
) -> Prompt:
    return plan(question, index_of(record), sent, instruction, part_instruction)


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
