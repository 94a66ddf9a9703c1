"""Runs the work on large or hostile input in the worker processes, off the event loop."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Final, TypeVar

from proxy import jsons
from proxy.compressed import Compressed
from proxy.flows.shared.facts import Record, record_facts
from proxy.isolated.pool import IsolatedPool, WorkerCrashed, WorkerTimeout
from proxy.mapping.shape import Expression, Shape
from proxy.values import Json

T = TypeVar("T")

# Up to this size the work is done in this process, since a worker costs half a millisecond. On one core,
# reading or counting hostile JSON of 12 KiB takes 1 ms each, extracting and counting a text of 12 KiB 1 ms.
SMALL: Final = 12 * 1024
# The limit for several small records, one after the other, with a turn for other tasks between them.
_SMALL_TOGETHER: Final = 64 * 1024
SECONDS: Final = 20.0
_BATCH: Final = 1024 * 1024


async def load_json(workers: IsolatedPool, data: bytes, rules: jsons.Rules = jsons.STRICT) -> Json:
    """Returns the same as jsons.load, without blocking the event loop. Raises BadJson."""
    return await of_json(workers, len(data), _load, data, rules)


async def of_json(workers: IsolatedPool, size: int, task: Callable[..., T], *args: object) -> T:
    """Returns `task(*args)`, which reads JSON of this size, without blocking the event loop.

    Raises BadJson if the task does, and if a worker lacks the memory or time to read it.
    """
    if size <= SMALL:
        return task(*args)
    try:
        return await workers.run(task, *args, seconds=SECONDS, raises=jsons.BadJson)
    except (WorkerTimeout, WorkerCrashed):
        raise jsons.BadJson("too-costly") from None


async def shaped(
    workers: IsolatedPool, shape: Shape | Expression, records: Sequence[Record]
) -> list[bytes | Compressed]:
    """Returns each record's facts as JSON in a mapping's shape; large ones compressed."""
    bodies: list[bytes | Compressed] = []
    for batch in _batches(records):
        if _are_small(batch):
            bodies += [each async for each in _shaped_here(shape, batch)]
        else:
            bodies += await workers.run(_packed, shape, batch, seconds=SECONDS)
    return bodies


def _batches(records: Sequence[Record]) -> Iterator[list[Record]]:
    """Yields the records in batches that fit a worker's memory and time."""
    batch: list[Record] = []
    size = 0
    for record in records:
        batch.append(record)
        size += record.size
        if size > _BATCH:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _are_small(records: Sequence[Record]) -> bool:
    sizes = [record.size for record in records]
    return max(sizes, default=0) <= SMALL and sum(sizes) <= _SMALL_TOGETHER


async def _shaped_here(shape: Shape | Expression, records: Sequence[Record]) -> AsyncIterator[bytes]:
    for record in records:
        yield _shaped(shape, [record])[0]
        await asyncio.sleep(0)


def _shaped(shape: Shape | Expression, records: Sequence[Record]) -> list[bytes]:
    return [jsons.dump(shape.over(record_facts(record))) for record in records]


def _packed(shape: Shape | Expression, records: Sequence[Record]) -> list[Compressed]:
    return [Compressed.from_text(body) for body in _shaped(shape, records)]


def _load(data: bytes, rules: jsons.Rules) -> Json:
    return jsons.load(data, rules=rules, max_values=jsons.MAX_VALUES)
