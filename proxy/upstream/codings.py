"""Undoes the content codings of an answer: gzip and deflate; br and zstd where a library is installed."""

import zlib
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from types import ModuleType
from typing import Final, TypeAlias

_GZIP: Final = 16 + zlib.MAX_WBITS
_RAW: Final = -zlib.MAX_WBITS
# No honest server sends more of either, and more would cost far more time than its size suggests.
_MAX_CODINGS: Final = 3
_MAX_MEMBERS: Final = 64
_ZSTD_WINDOW: Final = 23  # 8 MB, the most that a sender may use on the web (RFC 9659, section 3)

# Returns at most one byte more than the limit: that byte says that the text is too long.
_Undo: TypeAlias = Callable[[bytes, int], bytes]


class BadCoding(Exception):
    """A body in an unknown coding, or not in the coding that its header names."""


class TooLong(Exception):
    """A body that is longer than the limit once it is unpacked."""


def unpacked(body: bytes, values: Iterable[str], limit: int) -> bytes:
    """Returns the body without the codings that the values of Content-Encoding name.

    A text that is not in the named coding comes back as it is: some servers write `utf-8` there, or do not
    remove the field from a copy that they unpacked. Raises BadCoding or TooLong; `limit` is in bytes, and
    no more than that is ever unpacked.
    """
    codings = _codings(values)
    if len(codings) > _MAX_CODINGS:
        raise BadCoding
    for coding in reversed(codings):  # listed in the order of their application (RFC 9110, section 8.4)
        body = _without(body, coding, limit)
    return body


def _codings(values: Iterable[str]) -> list[str]:
    named = (each.strip(" \t").lower() for value in values for each in value.split(","))
    return [each for each in named if each not in ("", "identity")]


def _without(body: bytes, coding: str, limit: int) -> bytes:
    undo = _UNDO.get(coding)
    try:
        if undo is None:
            raise BadCoding
        found = undo(body, limit)
    except BadCoding:
        if _is_text(body):
            return body
        raise
    if len(found) > limit:
        raise TooLong
    return found


def _is_text(body: bytes) -> bool:
    """Returns whether a body was never compressed: gzip's second byte begins no UTF-8 character."""
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return b"\0" not in body


def _gunzip(data: bytes, limit: int) -> bytes:
    """Unpacks gzip members; several one after the other are one text (RFC 1952, section 2.2)."""
    found = bytearray()
    for _ in range(_MAX_MEMBERS):
        piece, data = _inflate(data, limit - len(found), _GZIP)
        found += piece
        if not data or len(found) > limit:
            return bytes(found)
    raise BadCoding


def _undeflate(data: bytes, limit: int) -> bytes:
    """Unpacks the zlib format, or bare deflate, which some servers send (RFC 9110, section 8.4.1.2)."""
    is_zlib = data[:1] and data[0] & 0x0F == 8 and int.from_bytes(data[:2]) % 31 == 0
    found, rest = _inflate(data, limit, zlib.MAX_WBITS if is_zlib else _RAW)
    if rest and len(found) <= limit:
        raise BadCoding
    return found


def _inflate(data: bytes, limit: int, wbits: int) -> tuple[bytes, bytes]:
    """Returns one unpacked stream, and the bytes behind its end."""
    unpacking = zlib.decompressobj(wbits)
    try:
        found = unpacking.decompress(data, limit + 1)
    except zlib.error:
        raise BadCoding from None
    if len(found) <= limit and not unpacking.eof:
        raise BadCoding
    return found, unpacking.unused_data


def _library(*names: str) -> ModuleType | None:
    for name in names:
        try:
            return import_module(name)
        except ImportError:
            continue
    return None


def _of_brotli(library: ModuleType) -> _Undo:
    def undo(data: bytes, limit: int) -> bytes:
        unpacking = library.Decompressor()
        try:
            found: bytes = unpacking.process(data, output_buffer_limit=limit + 1)
        except (library.error, TypeError):  # before 1.2 brotli has no limit, and can't be used
            raise BadCoding from None
        if len(found) <= limit and not unpacking.is_finished():
            raise BadCoding
        return found

    return undo


def _of_zstd(library: ModuleType) -> _Undo:
    options = {library.DecompressionParameter.window_log_max: _ZSTD_WINDOW}

    def undo(data: bytes, limit: int) -> bytes:
        unpacking = library.ZstdDecompressor(options=options)
        try:
            found: bytes = unpacking.decompress(data, max_length=limit + 1)
        except library.ZstdError:
            raise BadCoding from None
        if len(found) <= limit and (not unpacking.eof or unpacking.unused_data):
            raise BadCoding
        return found

    return undo


def _undo() -> Mapping[str, _Undo]:
    found: dict[str, _Undo] = {"gzip": _gunzip, "x-gzip": _gunzip, "deflate": _undeflate}
    if brotli := _library("brotli", "brotlicffi"):
        found["br"] = _of_brotli(brotli)
    if zstd := _library("compression.zstd", "backports.zstd"):
        found["zstd"] = _of_zstd(zstd)
    return found


_UNDO: Final = _undo()
