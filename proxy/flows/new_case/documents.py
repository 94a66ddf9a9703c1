"""Reads the files and the ehr of a newCase in isolated processes (CONTRACT N08, N11)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import structlog

from proxy import jsons
from proxy.compressed import Compressed
from proxy.flows.shared.offload import SECONDS, SMALL, of_json
from proxy.flows.shared.patient import Found, find, with_conversation
from proxy.isolated.pool import IsolatedPool, WorkerCrashed, WorkerTimeout
from proxy.mapping.shape import Expression
from proxy.spool import SealedFile, Stored
from proxy.text.extract import extract, kind_of
from proxy.text.tokens import estimate

_BOM: Final = b"\xef\xbb\xbf"
_BLANK: Final = b" \t\r\n"  # RFC 8259, section 2
_log: Final = structlog.get_logger("proxy.offload")


@dataclass(frozen=True, slots=True)
class ReadDocument:
    """The text that was read from a file; `outcome` is extract's, or "given-up"."""

    outcome: str
    text: Compressed = field(repr=False)
    tokens: int


@dataclass(frozen=True, slots=True)
class Ehr:
    """An ehr that was read: `text` is the object as it came, `sent` may have the conversation in it."""

    found: Found
    text: Compressed = field(repr=False)
    sent: Compressed = field(repr=False)
    tokens: int


async def read_document(
    workers: IsolatedPool, content: Stored, filename: str, content_type: str
) -> ReadDocument:
    """Returns a file's text and its tokens; none for a file that hangs or kills its reader.

    Every file that needs a parser goes to a worker, also a small one.
    """
    kind = kind_of(content.head, filename, content_type)
    if kind is None and content.size:
        return ReadDocument("unsupported", Compressed.from_text(""), 0)
    if kind in (None, "text") and content.size <= SMALL:
        return _read(content.read(), filename, content_type)
    try:
        return await workers.run(_read, content.source(), filename, content_type, seconds=SECONDS, long=True)
    except (WorkerTimeout, WorkerCrashed) as error:
        _log.warning("document_given_up", reason=type(error).__name__, size=content.size)
        return ReadDocument("given-up", Compressed.from_text(""), 0)


async def read_ehr(
    workers: IsolatedPool, content: Stored, expressions: Mapping[str, Expression], conversation: str
) -> Ehr:
    """Reads an ehr, by the expressions of `patient`; this process never reads a large one itself.

    `conversation`, unless empty, joins what is sent. Raises BadJson.
    """
    return await of_json(workers, content.size, _read_ehr, content.source(), expressions, conversation)


async def count_tokens(workers: IsolatedPool, text: str) -> int:
    if len(text) <= SMALL:
        return estimate(text)
    return await workers.run(estimate, text, seconds=SECONDS)


def _read_ehr(source: bytes | SealedFile, expressions: Mapping[str, Expression], conversation: str) -> Ehr:
    data = _bytes(source)
    ehr = jsons.load_object(data, rules=jsons.RECORD, max_values=jsons.MAX_VALUES)
    # The reader skips one byte order mark, and refuses a second one as no JSON.
    raw = data.removeprefix(_BOM).strip(_BLANK)
    text = Compressed.from_text(raw)
    sent = Compressed.from_text(with_conversation(raw, ehr, conversation)) if conversation else text
    return Ehr(find(ehr, expressions), text, sent, estimate(raw.decode()))


def _bytes(source: bytes | SealedFile) -> bytes:
    if isinstance(source, bytes):
        return source
    with source.open() as file:
        return file.read()


def _read(source: bytes | SealedFile, filename: str, content_type: str) -> ReadDocument:
    found = extract(source, filename, content_type)
    return ReadDocument(found.outcome, Compressed.from_text(found.text), estimate(found.text))
