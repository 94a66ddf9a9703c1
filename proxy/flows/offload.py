"""Work on large or hostile input, done in the worker processes, off the event loop."""

import asyncio
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Final, TypeVar

import structlog

from proxy import jsons
from proxy.flows.facts import Record, record_facts
from proxy.flows.knowledge import index_if_small, index_of
from proxy.flows.patient import Found, find, with_conversation
from proxy.flows.prompt import Prompt, QuestionTooLong, plan, planning
from proxy.flows.readings import Readings
from proxy.packed import Packed
from proxy.shape import Expression, Shape
from proxy.spool import SealedFile, Stored
from proxy.text.extract import extract, kind_of
from proxy.text.index import Index
from proxy.text.tokens import estimate
from proxy.values import Json
from proxy.workers import WorkerCrashed, Workers, WorkerTimeout

T = TypeVar("T")

# Up to these sizes the work is done here, since a worker costs half a millisecond. Measured on one core:
# hostile JSON of 12 KiB is read in 1 ms and counted in 1 ms, a text of 12 KiB is tidied and counted in 1 ms.
_SMALL: Final = 12 * 1024
# Several small things, one after the other, with a pause for others between them.
_SMALL_TOGETHER: Final = 64 * 1024
# Larger ones are read for each question anew: to bring over what was read would hold up everybody.
_KEPT: Final = 1024 * 1024
_SECONDS: Final = 20.0
_PLANNING_SECONDS: Final = 60.0
_BATCH: Final = 1024 * 1024
_BOM: Final = b"\xef\xbb\xbf"
_BLANK: Final = b" \t\r\n"  # RFC 8259, section 2

_log: Final = structlog.get_logger("proxy.offload")


@dataclass(frozen=True, slots=True)
class Document:
    """What could be read of a file; `outcome` is extract's, or "given-up"."""

    outcome: str
    text: Packed = field(repr=False)
    tokens: int


@dataclass(frozen=True, slots=True)
class Ehr:
    """What was read of an ehr. `text` is the object as it came; `sent` has the conversation in it, too,
    where it was to join."""

    found: Found
    text: Packed = field(repr=False)
    sent: Packed = field(repr=False)
    tokens: int


async def read_document(workers: Workers, content: Stored, filename: str, content_type: str) -> Document:
    """A file's text and its tokens. A file that hangs or kills its reader has none.

    Whatever needs a parser goes to a worker, however small it is.
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
    """What there is in an ehr, by the expressions of `patient`; a large one is not read by this process at
    all. `conversation`, unless empty, joins what is sent. Raises BadJson."""
    return await of_json(workers, content.size, _read_ehr, content.source(), expressions, conversation)


async def load_json(workers: Workers, data: bytes, rules: jsons.Rules = jsons.STRICT) -> Json:
    """jsons.load, wherever it holds up nobody; BadJson as there."""
    return await of_json(workers, len(data), _load, data, rules)


async def of_json(workers: Workers, size: int, task: Callable[..., T], *args: object) -> T:
    """What `task(*args)` makes of JSON of this size, wherever that holds up nobody.

    Raises BadJson as the task does, and for what a worker can't read in its memory or time.
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
    """Each record's facts in a mapping's shape, as JSON; large ones packed."""
    told: list[bytes | Packed] = []
    for batch in _batches(records):
        if _are_small(batch):
            told += [each async for each in _shaped_here(shape, batch)]
        else:
            told += await workers.run(_packed, shape, batch, seconds=_SECONDS)
    return told


async def planned(
    workers: Workers,
    readings: Readings,
    question: str,
    record: Record,
    sent: Set[str],
    instruction: str,
    part_instruction: str,
) -> Prompt:
    """prompt.plan over all that is known of a case; QuestionTooLong as there."""
    texts = sent, instruction, part_instruction
    if record.size > _KEPT:
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
    """What the steps return; others have their turn after each."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            value: T = end.value
            return value
        await asyncio.sleep(0)


def _batches(records: Sequence[Record]) -> Iterator[list[Record]]:
    """The records in runs that a worker can have in memory and be done with in time."""
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
    return [Packed.of(told) for told in _shaped(shape, records)]


def _planned(
    question: str, record: Record, sent: Set[str], instruction: str, part_instruction: str
) -> Prompt:
    return plan(question, index_of(record), sent, instruction, part_instruction)


def _index_of(record: Record) -> Index:
    return index_of(record)


def _read_ehr(source: bytes | SealedFile, expressions: Mapping[str, Expression], conversation: str) -> Ehr:
    data = _bytes(source)
    ehr = jsons.load_object(data, rules=jsons.RECORD, max_values=jsons.MAX_VALUES)
    # One mark was read past; a second one would have been no JSON.
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
