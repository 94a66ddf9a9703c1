"""Reads the form of newCase (CONTRACT N08, N10, N11, N16)."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from hashlib import sha256
from mimetypes import MimeTypes
from pathlib import PurePath
from typing import Final

import structlog

from proxy import charsets
from proxy.errors import Refusal
from proxy.headers import media_type
from proxy.spool import MEMORY_LIMIT, Bytes, Spool, Stored
from proxy.values import Body, FormPart

_ONCE: Final = ("ehr", "conversation")
# The memory of all parts of a form together: many small files are as heavy as one large file.
_FORM_MEMORY: Final = 2 * MEMORY_LIMIT
_UTF_8: Final = ("utf-8", "utf8")
_UNKNOWN_TYPE: Final = "application/octet-stream"
_OFFICE: Final = "application/vnd.openxmlformats-officedocument"

# Python's own table and additions to it, not the machine's table: a slim image has none.
_TYPES: Final = MimeTypes()
_FURTHER_TYPES: Final = {
    ".dcm": "application/dicom",
    ".docx": f"{_OFFICE}.wordprocessingml.document",
    ".md": "text/markdown",
    ".odt": "application/vnd.oasis.opendocument.text",
    ".pptx": f"{_OFFICE}.presentationml.presentation",
    ".webp": "image/webp",
    ".xlsx": f"{_OFFICE}.spreadsheetml.sheet",
}

_log: Final = structlog.get_logger("proxy.intake")


@dataclass(frozen=True, slots=True)
class Upload:
    """A received `files` part."""

    filename: str = field(repr=False)
    content_type: str
    content: Stored = field(repr=False)


@dataclass(frozen=True, slots=True)
class NewCaseForm:
    """The parts of a newCase form; None for a part that is absent."""

    ehr: Stored | None = field(repr=False)
    conversation: str = field(repr=False)
    files: tuple[Upload, ...] = field(repr=False)

    def digest(self) -> str:
        """Returns a hash of the content, the same for any boundary and any order of the fields."""
        whole = sha256(bytes.fromhex(self.ehr.sha256) if self.ehr else sha256(b"").digest())
        for piece in (self.conversation.encode(), *map(_identity, self.files)):
            whole.update(sha256(piece).digest())
        return whole.hexdigest()


@dataclass(frozen=True, slots=True)
class _Text:
    """A text part, and the charset that it declares."""

    content: Stored = field(repr=False)
    charset: str | None


async def read_form(body: Body, new_spool: Callable[[int], Spool], stack: ExitStack) -> NewCaseForm:
    """Spools the form's parts; `new_spool` takes the memory that a part may use, `stack` closes them."""
    memory = _FORM_MEMORY
    single: dict[str, _Text] = {}
    files: list[Upload] = []
    parts = unknown = 0
    async for part in body.parts():
        parts += 1
        if part.name not in (*_ONCE, "files"):
            unknown += 1
            continue
        if part.name in single:
            raise Refusal("malformed", "repeated-part")
        content = await _received(part, new_spool(min(memory, MEMORY_LIMIT)), stack)
        memory -= content.size if isinstance(content, Bytes) else 0
        if part.name in _ONCE:
            single[part.name] = _Text(content, media_type(part.content_type or "")[1].get("charset"))
        elif part.filename or content.size:
            # A browser sends a part without a name and without bytes if its user has chosen no file.
            files.append(_upload(part, content))
    if not parts:
        raise Refusal("malformed", "no-part")
    if unknown:
        _log.info("unknown_parts", count=unknown)
    ehr, conversation = single.get("ehr"), single.get("conversation")
    return NewCaseForm(
        _in_utf_8(ehr, new_spool(min(memory, MEMORY_LIMIT)), stack) if ehr else None,
        charsets.decode(conversation.content.read(), conversation.charset) if conversation else "",
        tuple(files),
    )


def _in_utf_8(ehr: _Text, spool: Spool, stack: ExitStack) -> Stored:
    """Returns the ehr in UTF-8; unchanged if its declared charset can't decode it."""
    stack.callback(spool.close)
    if ehr.charset is None or ehr.charset.lower() in _UTF_8:
        return ehr.content
    try:
        spool.write(charsets.decode_strictly(ehr.content.read(), ehr.charset).encode())
    except (LookupError, UnicodeDecodeError):
        return ehr.content
    return spool.finish()


async def _received(part: FormPart, spool: Spool, stack: ExitStack) -> Stored:
    stack.callback(spool.close)
    async for chunk in part.chunks():
        spool.write(chunk)
    return spool.finish()


def _upload(part: FormPart, content: Stored) -> Upload:
    filename = part.filename or "document"
    return Upload(filename, part.content_type or _guessed_type(filename), content)


def _guessed_type(filename: str) -> str:
    kind, compression = _TYPES.guess_type(filename)
    if compression:
        return _UNKNOWN_TYPE
    return kind or _FURTHER_TYPES.get(PurePath(filename).suffix.lower(), _UNKNOWN_TYPE)


def _identity(upload: Upload) -> bytes:
    return "\0".join((upload.filename, upload.content_type, upload.content.sha256)).encode()
