"""Runs the work on large or hostile input in the worker processes, off the event loop."""

import asyncio
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Final, TypeVar

import structlog

from proxy import jsons
from proxy.compressed import Packed
from proxy.flows.query.knowledge import index_if_small, index_of
from proxy.flows.query.prompt import Prompt, QuestionTooLong, plan, planning
from proxy.flows.query.readings import Readings
from proxy.flows.shared.facts import Record, record_facts
from proxy.flows.shared.patient import Found, find, with_conversation
from proxy.isolated.pool import WorkerCrashed, Workers, WorkerTimeout
from proxy.mapping.shape import Expression, Shape
from proxy.spool import SealedFile, Stored
from proxy.text.extract import extract, kind_of
from proxy.text.index import Index
from proxy.text.tokens import estimate
from proxy.values import Json

T = TypeVar("T")

# Up to this size the work is done in this process, since a worker costs half a millisecond. On one core,
# reading or counting hostile JSON of 12 KiB takes 1 ms each, extracting and counting a text of 12 KiB 1 ms.
_SMALL: Final = 12 * 1024
# The limit for several small records, one after the other, with a turn for other tasks between them.
_SMALL_TOGETHER: Final = 64 * 1024
# A larger record is read anew for each question: moving its index over would block the event loop.
_CACHED: Final = 1024 * 1024
_SECONDS: Final = 20.0
_PLANNING_SECONDS: Final = 60.0
_BATCH: Final = 1024 * 1024
_BOM: Final = b"\xef\xbb\xbf"
_BLANK: Final = b" \t\r\n"  # RFC 8259, section 2

_log: Final = structlog.get_logger("proxy.offload")


@dataclass(frozen=True, slots=True)
class Document:
    """The text that was read from a file; `outcome` is extract's, or "given-up"."""

    outcome: str
    text: Packed = field(repr=False)
    tokens: int


@dataclass(frozen=True, slots=True)
class Ehr:
    """An ehr that was read: `text` is the object as it came, `sent` may have the conversation in it."""

    found: Found
    text: Packed = field(repr=False)
    sent: Packed = field(repr=False)
    tokens: int


async def read_document(workers: Workers, content: Stored, filename: str, content_type: str) -> Document:
    """Returns a file's text and its tokens; none for a file that hangs or kills its reader.

    Every file that needs a parser goes to a worker, also a small one.
    """
    kind = kind_of(content.head, filename, content_type)
    if kind is None and content.size:
        return Document("unsupported", Packed.of(""), 0)
    if kind in (None, "text") and content.size <= _SMALL:
        return _read(content.read(), filename, content_type)
    try:
        return await workers.run(_read, content.source(), filename, content_type, seconds=_SECONDS, long=True)
    except (WorkerTimeout, WorkerCrashed) as error:
        _log.warning("document_given_up", reason=type(error).__name__, size=content.size)
        return Document("given-up", Packed.of(""), 0)


async def read_ehr(
    workers: Workers, content: Stored, expressions: Mapping[str, Expression], conversation: str
) -> Ehr:
    """Reads an ehr, by the expressions of `patient`; this process never reads a large one itself.

    `conversation`, unless empty, joins what is sent. Raises BadJson.
    """
    return await of_json(workers, content.size, _read_ehr, content.source(), expressions, conversation)


async def load_json(workers: Workers, data: bytes, rules: jsons.Rules = jsons.STRICT) -> Json:
    """Returns the same as jsons.load, without blocking the event loop. Raises BadJson."""
    return await of_json(workers, len(data), _load, data, rules)


async def of_json(workers: Workers, size: int, task: Callable[..., T], *args: object) -> T:
    """Returns `task(*args)`, which reads JSON of this size, without blocking the event loop.

    Raises BadJson if the task does, and if a worker lacks the memory or time to read it.
    """
    if size <= _SMALL:
        return task(*args)
    try:
        return await workers.run(task, *args, seconds=_SECONDS, raises=jsons.BadJson)
    except (WorkerTimeout, WorkerCrashed):
        raise jsons.BadJson("too-costly") from None


async def count_tokens(workers: Workers, text: str) -> int:
    if len(text) <= _SMALL:
        return estimate(text)
    return await workers.run(estimate, text, seconds=_SECONDS)


async def shaped(
    workers: Workers, shape: Shape | Expression, records: Sequence[Record]
) -> list[bytes | Packed]:
    """Returns each record's facts as JSON in a mapping's shape; large ones compressed."""
    bodies: list[bytes | Packed] = []
    for batch in _batches(records):
        if _are_small(batch):
            bodies += [each async for each in _shaped_here(shape, batch)]
        else:
            bodies += await workers.run(_packed, shape, batch, seconds=_SECONDS)
    return bodies


async def planned(
    workers: Workers,
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


async def _read_case(workers: Workers, record: Record) -> Index:
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
    return max(sizes, default=0) <= _SMALL and sum(sizes) <= _SMALL_TOGETHER


async def _shaped_here(shape: Shape | Expression, records: Sequence[Record]) -> AsyncIterator[bytes]:
    for record in records:
        yield _shaped(shape, [record])[0]
        await asyncio.sleep(0)


def _shaped(shape: Shape | Expression, records: Sequence[Record]) -> list[bytes]:
    return [jsons.dump(shape.over(record_facts(record))) for record in records]


def _packed(shape: Shape | Expression, records: Sequence[Record]) -> list[Packed]:
    return [Packed.of(body) for body in _shaped(shape, records)]


def _planned(
    question: str, record: Record, sent: Set[str], instruction: str, part_instruction: str
) -> Prompt:
    return plan(question, index_of(record), sent, instruction, part_instruction)


def _index_of(record: Record) -> Index:
    return index_of(record)


def _read_ehr(source: bytes | SealedFile, expressions: Mapping[str, Expression], conversation: str) -> Ehr:
    data = _bytes(source)
    ehr = jsons.load_object(data, rules=jsons.RECORD, max_values=jsons.MAX_VALUES)
    # The reader skips one byte order mark, and refuses a second one as no JSON.
    raw = data.removeprefix(_BOM).strip(_BLANK)
    text = Packed.of(raw)
    sent = Packed.of(with_conversation(raw, ehr, conversation)) if conversation else text
    return Ehr(find(ehr, expressions), text, sent, estimate(raw.decode()))


def _load(data: bytes, rules: jsons.Rules) -> Json:
    return jsons.load(data, rules=rules, max_values=jsons.MAX_VALUES)


def _bytes(source: bytes | SealedFile) -> bytes:
    if isinstance(source, bytes):
        return source
    with source.open() as file:
        return file.read()


def _read(source: bytes | SealedFile, filename: str, content_type: str) -> Document:
    found = extract(source, filename, content_type)
    return Document(found.outcome, Packed.of(found.text), estimate(found.text))
