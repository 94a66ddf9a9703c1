"""Parses multipart/form-data by the grammar of RFC 2046 section 5.1.1, without any I/O (CONTRACT N16)."""

import re
from collections.abc import Callable
from typing import Final, TypeAlias

from proxy.inbound.part_headers import PartHeaders, broken, read_headers, too_much

MAX_PARTS: Final = 64
MAX_HEADERS_SIZE: Final = 4096

_CRLF: Final = b"\r\n"
_BLANKS: Final = re.compile(rb"[ \t]*")
# In a preamble such a line is a delimiter, or the rest of a part that would be lost without notice.
_PART_LINES: Final = (b"\n--", b"\ncontent-")
_PART_LINE_SIZE: Final = len(b"\r\ncontent-")
_PLAIN: Final = bytes(range(256)).lower().replace(b"\r", b"\n")

# The headers that open a part, bytes of its content, and None for its end.
Event: TypeAlias = PartHeaders | bytes | None
# Reads on from the parser's position; returns False if it needs more bytes.
Step: TypeAlias = Callable[["MultipartParser", list[Event]], bool]


class MultipartParser:
    """A parser of a form: `feed` takes its bytes in any pieces, `close` says that there are no more.

    Takes linear time, and holds no more than a delimiter or the headers of one part. Both methods raise
    Refusal for a form that could lose a part.
    """

    def __init__(self, boundary: str) -> None:
        self._delimiter = b"\r\n--" + boundary.encode("ascii")
        # Every delimiter begins with a line end; the first one of a form comes without it.
        self._data = _CRLF
        self._at = 0
        # Not a bound method: with one the parser would hold itself, and its data, until the next collection.
        self._step: Step = MultipartParser._read_preamble
        self._parts = 0
        self._of_headers = 0
        self._left: int | None = None

    def feed(self, data: bytes) -> list[Event]:
        """Returns the events that `data` completes."""
        self._data += data
        events: list[Event] = []
        while self._step(self, events):
            pass
        # Used bytes are released at once: a client may pause for long.
        self._data, self._at = self._data[self._at :], 0
        return events

    def close(self) -> None:
        """Raises Refusal if the form is not complete."""
        if self._step is not MultipartParser._read_epilogue:
            raise broken()

    def _read_preamble(self, _: list[Event]) -> bool:
        if self._data.startswith(self._delimiter, self._at):
            return self._go_on(MultipartParser._read_delimiter, len(self._delimiter))
        plain = self._data.translate(_PLAIN)
        found = [at for line in _PART_LINES if (at := plain.find(line, self._at)) >= 0]
        if not found:
            self._at = max(self._at, len(self._data) - _PART_LINE_SIZE)
            return False
        self._at = min(found) - 1
        seen = self._data[self._at : self._at + len(self._delimiter)]
        if not self._delimiter.startswith(seen):
            raise broken()
        if len(seen) < len(self._delimiter):
            return False
        return self._go_on(MultipartParser._read_delimiter, len(seen))

    def _read_delimiter(self, _: list[Event]) -> bool:
        tail = self._data[self._at : self._at + 2]
        if tail == b"--":
            return self._end_form()
        if tail in (b"", b"-"):
            return False
        return self._go_on(MultipartParser._read_padding)

    def _read_padding(self, _: list[Event]) -> bool:
        """Skips blanks behind a delimiter, which mail gateways added (RFC 2046, transport-padding)."""
        blanks = _BLANKS.match(self._data, self._at)
        self._at = blanks.end() if blanks else self._at
        tail = self._data[self._at : self._at + 2]
        if not _CRLF.startswith(tail):
            raise broken()
        if tail != _CRLF:
            return False
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise too_much()
        return self._go_on(MultipartParser._read_headers)

    def _read_headers(self, events: list[Event]) -> bool:
        """Reads from the line end of the delimiter to the blank line."""
        end = self._data.find(b"\r\n\r\n", self._at)
        # Without an end, the last three bytes may belong to it.
        size = (end if end >= 0 else len(self._data) - 3) - self._at
        if size > MAX_HEADERS_SIZE:
            raise too_much()
        if end < 0:
            return False
        headers = read_headers(self._data[self._at + len(_CRLF) : end])
        events.append(headers)
        self._left = headers.length()
        # The blank line may also be the line end of a delimiter: then the part is empty.
        self._of_headers = len(_CRLF)
        return self._go_on(MultipartParser._read_content, end + len(_CRLF) - self._at)

    def _read_content(self, events: list[Event]) -> bool:
        end = self._data.find(self._delimiter, self._at)
        if end < 0:
            self._take_content(self._certain_end(), events)
            return False
        self._take_content(end, events)
        if self._left:
            raise broken()
        events.append(None)
        return self._go_on(MultipartParser._read_delimiter, end + len(self._delimiter) - self._at)

    def _certain_end(self) -> int:
        """Returns the end of the content in which no delimiter can begin."""
        start = self._data.rfind(b"\r", max(self._at, len(self._data) - len(self._delimiter) + 1))
        possible = start >= 0 and self._delimiter.startswith(self._data[start:])
        return start if possible else len(self._data)

    def _take_content(self, end: int, events: list[Event]) -> None:
        start = self._at + self._of_headers
        if end <= start:
            return
        if self._left is not None:
            self._left -= end - start
            if self._left < 0:
                raise broken()
        events.append(self._data[start:end])
        self._at, self._of_headers = end, 0

    def _end_form(self) -> bool:
        # Bytes right behind the end count as the start of a line, too.
        self._data, self._at = b"\n" + self._data[self._at + 2 :], 0
        return self._go_on(MultipartParser._read_epilogue)

    def _read_epilogue(self, _: list[Event]) -> bool:
        dashes = self._delimiter.removeprefix(_CRLF)
        if any(self._data.find(end + dashes, self._at) >= 0 for end in (b"\r", b"\n")):
            raise broken()
        self._at = max(self._at, len(self._data) - len(self._delimiter))
        return False

    def _go_on(self, step: Step, size: int = 0) -> bool:
        self._step, self._at = step, self._at + size
        return True
