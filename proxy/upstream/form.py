"""Builds an outgoing multipart/form-data body from ready pieces, with its exact length."""

import re
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from proxy.headers import content_disposition
from proxy.spool import Bytes, Joined
from proxy.upstream.call import OutgoingBody
from proxy.values import Content, OutgoingFile

Part: TypeAlias = "tuple[str, Content | OutgoingFile]"
Randomness: TypeAlias = Callable[[int], bytes]

# Up to this size a copy costs less than a write of its own.
_SMALL: Final = 32 * 1024
_UNSENDABLE: Final = re.compile(r"[\x00-\x1f\x7f]")


def form(parts: Sequence[Part], randomness: Randomness) -> OutgoingBody:
    """Returns a form of named parts in their order (RFC 7578): a content is a field, a file is a file.

    `randomness(n)` returns n random bytes. The boundary has 128 random bits, so no content contains it.
    """
    boundary = f"michiq-{randomness(16).hex()}"
    delimiter = f"--{boundary}".encode()
    pieces: list[Content] = []
    small: list[bytes] = []
    for name, value in parts:
        head, content = _part(name, value)
        small += (delimiter, b"\r\n", head, b"\r\n\r\n")
        if isinstance(content, Bytes) and content.size <= _SMALL:
            small.append(content.read())
        else:
            pieces += (Bytes(b"".join(small)), content)
            small.clear()
        small.append(b"\r\n")
    small += (delimiter, b"--\r\n")
    pieces.append(Bytes(b"".join(small)))
    content_type = f"multipart/form-data; boundary={boundary}"
    return OutgoingBody(content_type, pieces[0] if len(pieces) == 1 else Joined(pieces))


def _part(name: str, value: Content | OutgoingFile) -> tuple[bytes, Content]:
    """Returns a part's header lines, and its content."""
    if not isinstance(value, OutgoingFile):
        return b"Content-Disposition: " + content_disposition(name), value
    # A client's content type is sent unchanged, unless it would end the header line.
    content_type = value.content_type
    if _UNSENDABLE.search(content_type):
        content_type = "application/octet-stream"
    head = b"Content-Disposition: " + content_disposition(name, value.filename)
    return head + b"\r\nContent-Type: " + content_type.encode(), value.content
