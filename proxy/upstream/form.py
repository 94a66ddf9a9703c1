"""An outgoing multipart/form-data body, built from ready pieces, with a length known beforehand."""

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Final, TypeAlias

from proxy.headers import content_disposition
from proxy.spool import Bytes, Joined
from proxy.upstream.call import Body
from proxy.values import Content, OutgoingFile

Part: TypeAlias = "tuple[str, Content | OutgoingFile]"
Randomness: TypeAlias = Callable[[int], bytes]

# Up to here, copying costs less than a write of its own.
_SMALL: Final = 32 * 1024
_UNSENDABLE: Final = re.compile(r"[\x00-\x1f\x7f]")


def form(parts: Sequence[Part], randomness: Randomness) -> Body:
    """A form of named parts, in their order, as RFC 7578 has it: a field for a content, a file for a file.

    `randomness(n)` gives n random bytes for the boundary, 128 bits that no content will guess.
    """
    boundary = f"michiq-{randomness(16).hex()}"
    pieces: list[Content] = []
    for name, value in parts:
        head, content = _part(name, value)
        pieces += (Bytes(b"--%b\r\n%b\r\n\r\n" % (boundary.encode(), head)), content, Bytes(b"\r\n"))
    pieces.append(Bytes(f"--{boundary}--\r\n".encode()))
    return Body(f"multipart/form-data; boundary={boundary}", Joined(list(_gathered(pieces))))


def _gathered(pieces: Sequence[Content]) -> Iterator[Content]:
    """The pieces, with neighbours that are small and in memory made one."""
    for are_small, run in groupby(pieces, lambda each: isinstance(each, Bytes) and each.size <= _SMALL):
        if are_small:
            yield Bytes(b"".join(each.read() for each in run if isinstance(each, Bytes)))
        else:
            yield from run


def _part(name: str, value: Content | OutgoingFile) -> tuple[bytes, Content]:
    """A part's header lines, and its content."""
    if not isinstance(value, OutgoingFile):
        return b"Content-Disposition: " + content_disposition(name), value
    # A client's content type is kept as it came, unless it would end the header line.
    content_type = value.content_type
    if _UNSENDABLE.search(content_type):
        content_type = "application/octet-stream"
    head = b"Content-Disposition: " + content_disposition(name, value.filename)
    return head + b"\r\nContent-Type: " + content_type.encode(), value.content
