"""Decodes Content-Transfer-Encoding piece by piece (RFC 2045 section 6; CONTRACT N10, N11)."""

import re
from binascii import Error, a2b_base64, a2b_qp
from collections.abc import Callable, Mapping
from typing import Final, Protocol

from proxy.errors import Refusal

_NO_ESCAPE: Final = re.compile(rb"=(?![0-9A-Fa-f]{2}|\r?\n)")
_UNFINISHED: Final = re.compile(rb"=[0-9A-Fa-f\r]?\Z")
_BLANKS: Final = b" \t\r\n"


class Decoder(Protocol):
    """A decoder of a part, in any pieces; both methods raise Refusal for broken bytes."""

    def feed(self, data: bytes) -> bytes:
        """Returns the bytes that can be decoded by now."""
        ...

    def end(self) -> bytes:
        """Returns the rest at the end of the part."""
        ...


def decoder(name: str) -> Decoder:
    """Returns the decoder of this encoding; raises Refusal for one that RFC 2045 does not define.

    Encoded bytes that were passed on as the file would alter it without notice.
    """
    try:
        return _DECODERS[name.lower()]()
    except KeyError:
        raise broken() from None


def broken() -> Refusal:
    """Returns the refusal of a part that cannot be decoded."""
    return Refusal("malformed", "part-encoding")


class _Plain:
    """The decoder of 7bit, 8bit and binary, which encode nothing."""

    def feed(self, data: bytes) -> bytes:
        return data

    def end(self) -> bytes:
        return b""


class _QuotedPrintable:
    """A strict decoder of quoted-printable: text behind a broken escape would not be the sender's."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> bytes:
        data = self._rest + data
        unfinished = _UNFINISHED.search(data, max(0, len(data) - 2))
        end = unfinished.start() if unfinished else len(data)
        self._rest = data[end:]
        return _unquoted(data[:end])

    def end(self) -> bytes:
        # The line end of a final soft break belongs to the delimiter.
        if self._rest not in (b"", b"="):
            raise broken()
        return b""


def _unquoted(data: bytes) -> bytes:
    # binascii alone reads any text behind "=\r" as a soft break, and drops it.
    if _NO_ESCAPE.search(data):
        raise broken()
    return a2b_qp(data)


class _Base64:
    """A strict decoder of base64: another alphabet, a missing end or bytes behind it mean a damaged file."""

    def __init__(self) -> None:
        self._rest = b""
        self._padded = False

    def feed(self, data: bytes) -> bytes:
        text = self._rest + data.translate(None, _BLANKS)
        whole = len(text) - len(text) % 4
        if self._padded and text:
            raise broken()
        self._rest = text[whole:]
        self._padded = text.endswith(b"=") and whole == len(text)
        try:
            return a2b_base64(text[:whole], strict_mode=True)
        except Error:
            raise broken() from None

    def end(self) -> bytes:
        if self._rest:
            raise broken()
        return b""


_DECODERS: Final[Mapping[str, Callable[[], Decoder]]] = {
    "": _Plain,
    "7bit": _Plain,
    "8bit": _Plain,
    "binary": _Plain,
    "quoted-printable": _QuotedPrintable,
    "base64": _Base64,
}
