"""Work on large or hostile input, done in the worker processes, off the event loop."""

from dataclasses import dataclass, field
from typing import Final

import structlog

from proxy import jsons
from proxy.spool import Bytes, SealedFile, Stored
from proxy.text.extract import extract
from proxy.text.tokens import estimate
from proxy.values import Json, pack
from proxy.workers import WorkerCrashed, Workers, WorkerTimeout

# Up to this size, going to a worker costs more than the work.
_INLINE: Final = 64 * 1024
_SECONDS: Final = 20.0

_log: Final = structlog.get_logger("proxy.offload")


@dataclass(frozen=True, slots=True)
class Document:
    """What could be read of a file, its text packed; `outcome` is extract's, or "given-up"."""

    outcome: str
    packed: bytes = field(repr=False)
    tokens: int


async def read_document(workers: Workers, content: Stored, filename: str, content_type: str) -> Document:
    """A file's text and its tokens. A file that hangs or kills its reader has none."""
    try:
        return await workers.run(_read, content.source(), filename, content_type, seconds=_SECONDS)
    except (WorkerTimeout, WorkerCrashed) as error:
        _log.warning("document_given_up", reason=type(error).__name__, size=content.size)
        return Document("given-up", pack(""), 0)


async def load_json(workers: Workers, data: bytes) -> Json:
    """jsons.load, wherever it holds up nobody; BadJson as there."""
    return await load_stored_json(workers, Bytes(data))


async def load_stored_json(workers: Workers, content: Stored) -> Json:
    """The same of what was spooled: a large one is not read by this process at all."""
    if content.size <= _INLINE:
        return _load(content.read())
    try:
        return await workers.run(_load, content.source(), seconds=_SECONDS, raises=jsons.BadJson)
    except (WorkerTimeout, WorkerCrashed):
        raise jsons.BadJson("too-costly") from None


async def load_text(workers: Workers, data: bytes, name: str) -> str | None:
    """The text that an object has under this name, empty if it has none; None for any other value, of the
    object too. What else is in it stays where it was read: to bring it over would hold up everybody."""
    if len(data) <= _INLINE:
        return _text(data, name)
    try:
        return await workers.run(_text, data, name, seconds=_SECONDS, raises=jsons.BadJson)
    except (WorkerTimeout, WorkerCrashed):
        raise jsons.BadJson("too-costly") from None


async def count_tokens(workers: Workers, text: str) -> int:
    if len(text) <= _INLINE:
        return estimate(text)
    return await workers.run(estimate, text, seconds=_SECONDS)


async def count_stored_tokens(workers: Workers, content: Stored) -> int:
    """Of a spooled text in UTF-8."""
    if content.size <= _INLINE:
        return _count(content.read())
    return await workers.run(_count, content.source(), seconds=_SECONDS)


def _load(source: bytes | SealedFile) -> Json:
    return jsons.load(_bytes(source), max_values=jsons.MAX_VALUES)


def _count(source: bytes | SealedFile) -> int:
    return estimate(_bytes(source).decode("utf-8-sig"))


def _bytes(source: bytes | SealedFile) -> bytes:
    if isinstance(source, bytes):
        return source
    with source.open() as file:
        return file.read()


def _read(source: bytes | SealedFile, filename: str, content_type: str) -> Document:
    found = extract(source, filename, content_type)
    return Document(found.outcome, pack(found.text), estimate(found.text))


def _text(data: bytes, name: str) -> str | None:
    value = jsons.load(data, max_values=jsons.MAX_VALUES)
    found = value.get(name, "") if isinstance(value, dict) else None
    return found if isinstance(found, str) else None
