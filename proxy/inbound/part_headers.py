"""Reads the header lines of a form's part (RFC 2046 section 5.1, RFC 7578 section 4; CONTRACT N16)."""

import re
from dataclasses import dataclass, field
from typing import Final

from proxy.errors import Refusal

MAX_LINES: Final = 8  # RFC 7578 defines three

# No dash in front: that would be a delimiter whose part has lost its blank line.
_NAME: Final = re.compile(rb"[A-Za-z0-9_][A-Za-z0-9_-]*")
_FOLD: Final = re.compile(rb"\r\n[ \t]")
_EMPTY_FOLD: Final = re.compile(rb"(?:^|\r\n)[ \t]+(?:\r\n|$)")
_LENGTH: Final = re.compile(rb"0|[1-9][0-9]{0,15}")


@dataclass(frozen=True, slots=True)
class PartHeaders:
    """The header lines of a part, in order: lower-case names, values as bytes without blanks around."""

    lines: tuple[tuple[str, bytes], ...] = field(repr=False)

    def last(self, name: str) -> bytes | None:
        """Returns the value of this header, the last one where it comes twice."""
        return next((value for key, value in reversed(self.lines) if key == name), None)

    def one(self, name: str) -> bytes | None:
        """Returns the value of this header; raises Refusal where it comes twice."""
        values = [value for key, value in self.lines if key == name]
        if len(values) > 1:
            raise broken()
        return values[0] if values else None

    def length(self) -> int | None:
        """Returns the number of bytes that the part declares; raises Refusal if that is no number."""
        value = self.one("content-length")
        if value is None:
            return None
        if not _LENGTH.fullmatch(value):
            raise broken()
        return int(value)


def read_headers(block: bytes) -> PartHeaders:
    """Returns the header lines of `block`, which is everything before a part's blank line.

    Folded lines are joined (RFC 5322 section 2.2.3). Raises Refusal for anything that is no header line.
    """
    # A line end that isn't one of the framing: two readers would find different lines.
    without_ends = block.replace(b"\r\n", b"")
    # A NUL: some readers end a value there (RFC 9110, section 5.5).
    if any(sign in without_ends for sign in b"\r\n\0") or block.startswith((b" ", b"\t")):
        raise broken()
    if b"\r\n " in block or b"\r\n\t" in block:
        if _EMPTY_FOLD.search(block):
            raise broken()
        block = _FOLD.sub(b" ", block)
    lines = block.split(b"\r\n") if block else []
    if len(lines) > MAX_LINES:
        raise too_much()
    return PartHeaders(tuple(_header(line) for line in lines))


def _header(line: bytes) -> tuple[str, bytes]:
    name, colon, value = line.partition(b":")
    name = name.strip(b" \t")
    if not colon or not _NAME.fullmatch(name):
        raise broken()
    return name.decode("ascii").lower(), value.strip(b" \t")


def broken() -> Refusal:
    """Returns the refusal of a form whose framing can be read in more than one way, or in none."""
    return Refusal("malformed", "broken-form")


def too_much() -> Refusal:
    """Returns the refusal of a form with more parts or header lines than any client sends."""
    return Refusal("malformed", "form-limit")
