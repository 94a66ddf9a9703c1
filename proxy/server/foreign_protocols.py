"""Finds RTSP and ICE requests: llhttp accepts them like HTTP, with the same versions."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

_NAMES: Final = (b" RTSP/", b" ICE/")
_VERSION: Final = re.compile(rb" (?:RTSP|ICE)/\d\.\d\r?\n")
_FIELD: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:")
# The remembered end of a line that arrives in pieces: the longest version, with room for a field's name.
_REMEMBERED: Final = 64


@dataclass(slots=True)
class Foreign:
    """A detector in a connection's input: aiohttp gives the version of a request, but not its protocol."""

    _line: bytes = b""  # the end of a line that is not complete yet

    def cut(self, data: bytes) -> Iterator[tuple[bytes, bool]]:
        """Splits the data after each foreign version; yields the pieces in order, with a mark.

        A piece marked True ends a request line, unless it is within a body: only the parser can decide that,
        once it has the pieces before.
        """
        known, seen, start = len(self._line), self._line + data, 0
        self._line = seen[seen.rfind(b"\n", -_REMEMBERED) + 1 :][-_REMEMBERED:]
        for match in _VERSION.finditer(seen) if any(name in seen for name in _NAMES) else ():
            begin = max(match.start() - known, 0)
            if not _is_field(seen[: match.start()]):
                yield data[start:begin], False
                yield data[begin : match.end() - known], True
                start = match.end() - known
        yield data[start:], False

    def forget(self) -> None:
        """Starts a new line with the next data."""
        self._line = b""


def _is_field(before: bytes) -> bool:
    """Returns whether the last line of these bytes is a header field."""
    return _FIELD.match(before, before.rfind(b"\n") + 1) is not None
