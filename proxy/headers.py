"""Reads and writes single HTTP headers: identity, bearer token, media types, part dispositions."""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Final, TypeAlias

from proxy import charsets
from proxy.errors import Refusal

RawHeaders: TypeAlias = Iterable[tuple[bytes, bytes]]

# RFC 6750 section 2.1: credentials are the scheme and one b64token (RFC 9110's token68).
_BEARER: Final = re.compile(rb"bearer +([A-Za-z0-9._~+/-]+=*)", re.IGNORECASE)
# Sent by a program that writes the header although it has no token (CONTRACT N07).
_NO_TOKEN: Final = re.compile(rb"(?:bearer)?", re.IGNORECASE)

_NAME: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_MEDIA_TYPE: Final = re.compile(rf"({_NAME}/{_NAME})[ \t]*")
_PARAMETER: Final = re.compile(rf';[ \t]*(?:({_NAME})=(?:({_NAME})|"((?:[^"\\]|\\.)*)")[ \t]*)?')
_QUALITY: Final = re.compile(r"0(?:\.\d{0,3})?|1(?:\.0{0,3})?")

_HTML: Final = ("text/html", "application/xhtml+xml")


class BadHeader(Refusal):
    """A header that can be read in two ways or in none; its value is in neither text nor repr."""

    def __init__(self, cause: str) -> None:
        super().__init__("malformed", cause)


class HeaderFields(tuple[tuple[bytes, bytes], ...]):
    """The fields of a head, as they came and in their order.

    `names` are theirs in lower case: names are compared without regard to case (RFC 9110, section 5.1), and
    a request's are looked through a dozen times.
    """

    names: tuple[bytes, ...]

    def __new__(cls, pairs: RawHeaders) -> "HeaderFields":
        made = super().__new__(cls, pairs)
        made.names = tuple([name.lower() for name, _ in made])
        return made

    @classmethod
    def of(cls, pairs: RawHeaders) -> "HeaderFields":
        """Returns the fields, as they are where they are such already."""
        return pairs if isinstance(pairs, HeaderFields) else cls(pairs)

    def has(self, name: bytes) -> bool:
        """Returns whether there is such a field; `name` in lower case."""
        return name in self.names

    def values(self, name: bytes) -> list[bytes]:
        """Returns the values of a field, in order; `name` in lower case."""
        if name not in self.names:
            return []
        return [value for each, (_, value) in zip(self.names, self, strict=True) if each == name]

    def named(self, names: Iterable[bytes]) -> Iterator[tuple[bytes, bytes]]:
        """Yields the fields with one of these names, which are in lower case: the name as it is there, and
        the value as it came."""
        for name, (_, value) in zip(self.names, self, strict=True):
            if name in names:
                yield name, value


@dataclass(frozen=True, slots=True)
class Malformed:
    """An `Authorization` header that is not one bearer token; `cause` is a short code."""

    cause: str


def identity_value(raw_headers: RawHeaders, name: str) -> str | None:
    """Returns the value of an identity header, spelt with `_` or `-` (CONTRACT N06).

    The value is UTF-8, else Windows-1252, in NFC, without the optional whitespace around it. Returns None
    when it is missing or empty. Raises BadHeader for a header given twice in one spelling, for two
    spellings that differ, and for control characters.
    """
    fields, spellings = HeaderFields.of(raw_headers), _spellings(name)
    if spellings.isdisjoint(fields.names):
        return None
    found: dict[bytes, str] = {}
    for spelling, value in fields.named(spellings):
        if spelling in found:
            raise BadHeader("header-repeated")
        found[spelling] = _decoded(value)
    if len(set(found.values())) > 1:
        raise BadHeader("header-conflicting")
    return next(iter(found.values()), None) or None


def bearer(raw_headers: RawHeaders) -> str | Malformed | None:
    """Returns the bearer token of a request (RFC 6750 section 2.1).

    Returns None when there is no `Authorization`, or one that is empty or a bare `Bearer`.
    """
    values = [value.strip(b" \t") for value in HeaderFields.of(raw_headers).values(b"authorization")]
    if len(values) > 1:
        return Malformed("authorization-repeated")
    if not values or _NO_TOKEN.fullmatch(values[0]):
        return None
    match = _BEARER.fullmatch(values[0])
    return match[1].decode("ascii") if match else Malformed("authorization-not-bearer")


def media_type(value: str) -> tuple[str, dict[str, str]]:
    """Returns the lower-case type and the parameters of a `Content-Type` (RFC 9110 section 8.3.1).

    Returns `("", {})` for a malformed one. A parameter given twice is malformed too: two readers would pick
    different ones of two boundaries.
    """
    text = value.strip(" \t")
    match = _MEDIA_TYPE.match(text)
    if not match:
        return "", {}
    kind, end = match[1].lower(), match.end()
    parameters: dict[str, str] = {}
    while end < len(text):
        match = _PARAMETER.match(text, end)
        if not match or (match[1] and match[1].lower() in parameters):
            return "", {}
        if match[1]:
            parameters[match[1].lower()] = match[2] or re.sub(r"\\(.)", r"\1", match[3] or "")
        end = match.end()
    return kind, parameters


def accepts_html(accept: str) -> bool:
    """Returns whether an `Accept` value asks for a page rather than JSON (CONTRACT E01)."""
    return prefers(accept, *_HTML)


def prefers(accept: str, *kinds: str) -> bool:
    """Returns whether an `Accept` value asks for one of these media types rather than for JSON.

    True when one of them is named with q > 0 and JSON is not preferred to it. `*/*` alone, which every
    program sends, names none.
    """
    ranges = _ranges(accept)
    wanted = max(ranges.get(kind, 0.0) for kind in kinds)
    json = next(
        (ranges[kind] for kind in ("application/json", "application/*", "*/*") if kind in ranges), 0.0
    )
    return wanted > 0 and wanted >= json


def content_disposition(name: str, filename: str | None = None) -> bytes:
    """Returns the `Content-Disposition` value of an outgoing form part, in raw UTF-8.

    Escapes as browsers do (HTML standard, "multipart/form-data encoding algorithm"), and also the other
    control characters: a header field can't hold them.
    """
    value = f'form-data; name="{_escaped(name)}"'
    if filename is not None:
        value += f'; filename="{_escaped(filename)}"'
    return value.encode()


@cache
def _spellings(name: str) -> frozenset[bytes]:
    """Returns a name of ours in lower case, with `_` and `-` in each of the places where it has one."""
    first, *rest = re.split("[_-]", name.lower())
    joined = (
        first + "".join(sign + part for sign, part in zip(signs, rest, strict=True))
        for signs in product("_-", repeat=len(rest))
    )
    return frozenset(each.encode("ascii") for each in joined)


def _decoded(value: bytes) -> str:
    text = charsets.decode(value).strip(" \t")
    if text.isascii() and text.isprintable():
        return text
    text = unicodedata.normalize("NFC", text)
    if any(unicodedata.category(character) == "Cc" for character in text):
        raise BadHeader("header-control-character")
    return text


def _ranges(accept: str) -> dict[str, float]:
    """Maps each media range to its quality: the best of a repeated range; malformed ones are ignored."""
    ranges: dict[str, float] = {}
    for item in accept.split(","):
        kind, parameters = media_type(item)
        quality = parameters.get("q", "1")
        if kind and _QUALITY.fullmatch(quality):
            ranges[kind] = max(float(quality), ranges.get(kind, 0.0))
    return ranges


def _escaped(text: str) -> str:
    if text.isprintable() and '"' not in text:
        return text
    return re.sub(r'["\x00-\x1f\x7f]', lambda match: f"%{ord(match[0]):02X}", text)
