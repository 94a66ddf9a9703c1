"""Plans the messages of a question in isolated processes where the case is large (CONTRACT Q04)."""

import asyncio
from collections.abc import Generator, Set
from typing import Final

from proxy.flows.query.knowledge import index_if_small, index_of
from proxy.flows.query.prompt import Prompt, QuestionTooLong, plan, planning
from proxy.flows.query.readings import Readings
from proxy.flows.shared.facts import Record
from proxy.flows.shared.offload import T
from proxy.isolated.pool import IsolatedPool
from proxy.text.index import Index

# A larger record is read anew for each question: moving its index over would block the event loop.
_CACHED: Final = 1024 * 1024
_PLANNING_SECONDS: Final = 60.0


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
    return await workers.run(_index_of, record, seconds=_PLANNING_SECONDS, long=True)


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


def _index_of(record: Record) -> Index:
    return index_of(record)
