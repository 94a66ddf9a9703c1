"""Reads a part's Content-Disposition in clients' spellings, open in RFC 7578 (CONTRACT N10, N16)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Final
from urllib.parse import unquote_to_bytes

from proxy import charsets
from proxy.inbound.encoded_words import decode_words
from proxy.inbound.part_headers import broken

# Mail libraries write `attachment` for a part with a file.
_KINDS: Final = frozenset({"form-data", "attachment"})

_NEXT: Final = r";[ \t]*[!#$%&'*+.^_`|~0-9A-Za-z-]+[ \t]*="
_KEY: Final = re.compile(r"[; \t]*([!#$%&'*+.^_`|~0-9A-Za-z-]+)[ \t]*=[ \t]*")
# Many clients escape no quote: one before a parameter or the end ends the value, others belong to it.
# No possessive group: before Python 3.11.5 (Debian 12 has 3.11.2) one with alternatives matches nothing.
_ENDS: Final = rf"[ \t]*(?:{_NEXT}|;?[ \t]*\Z)"
_QUOTED: Final = re.compile(
    rf'"([^"\\]*(?:(?:\\["\\]|\\(?!["\\])|"(?!{_ENDS}))[^"\\]*)*)"(?={_ENDS})[ \t]*', re.DOTALL
)
_BARE: Final = re.compile(rf'(?!")(.*?)(?={_NEXT}|\Z)', re.DOTALL)
# Parameters without a value say nothing.
_FLAGS: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z; \t-]*")
_PAIR: Final = re.compile(r'\\(["\\])')
# In `name` these characters show that it swallowed a parameter: the part would become an unknown one.
_MORE_THAN_A_NAME: Final = re.compile(r'[";]')
_EXTENDED: Final = re.compile(rb"([^']*)'[^']*'(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Disposition:
    """The name of a part, and of its file."""

    name: str
    filename: str | None = field(repr=False)


def read_disposition(value: bytes) -> Disposition:
    """Returns the names in this header; `name` is empty if there is none.

    Raises Refusal for a header that can be read in two ways: a parameter given twice, quotes without an
    end, a
    bare quote or a semicolon in `name`.
    """
    kind, _, rest = value.decode("latin-1").partition(";")
    if kind.strip().lower() not in _KINDS:
        raise broken()
    parameters = _parameters(rest)
    if _MORE_THAN_A_NAME.search(_PAIR.sub("", parameters.get("name", ""))):
        raise broken()
    return Disposition(_text(parameters, "name") or "", _text(parameters, "filename"))


def _parameters(text: str) -> dict[str, str]:
    """Maps each lower-case name to its value, without its quotes, otherwise as it came."""
    found: dict[str, str] = {}
    at = 0
    while match := _KEY.match(text, at):
        value = _QUOTED.match(text, match.end()) or _BARE.match(text, match.end())
        name = match[1].lower()
        if value is None or name in found:
            raise broken()
        found[name] = value[1] if value[0].startswith('"') else value[0].rstrip(" \t;")
        at = value.end()
    if not _FLAGS.fullmatch(text, at):
        raise broken()
    return found


def _text(parameters: Mapping[str, str], name: str) -> str | None:
    """Returns the value of a parameter in the best of its forms; None if there is none."""
    plain = parameters.get(name)
    if f"{name}*" in parameters:
        return _extended(parameters[f"{name}*"].encode("latin-1"), plain)
    if plain is None:
        return _continued(parameters, name)
    return _plain(plain)


def _plain(value: str) -> str:
    return decode_words(charsets.decode(_unescaped(value).encode("latin-1")))


def _unescaped(value: str) -> str:
    r"""Undoes quoted pairs (RFC 9110), else the three escapes of browsers (HTML standard).

    A client that escapes, escapes each backslash. A single one belongs to a path such as C:\dir\x.pdf, which
    browsers send as it is; then only \" can be a pair.
    """
    if "\\" not in value and "%" not in value:
        return value
    if '\\"' not in value:
        for escape, sign in (("%0D", "\r"), ("%0A", "\n"), ("%22", '"')):
            value = value.replace(escape, sign)
    alone = "\\" in _PAIR.sub("", value)
    return value.replace('\\"', '"') if alone else _PAIR.sub(r"\1", value)


def _extended(value: bytes, plain: str | None) -> str:
    """Decodes RFC 8187's charset'language'percent-encoded; returns the plain value if that fails."""
    match = _EXTENDED.fullmatch(value)
    charset, data = match.groups() if match else (b"", value)
    raw = unquote_to_bytes(data)
    try:
        return charsets.decode_strictly(raw, charset.decode("latin-1") or "utf-8")
    except (LookupError, UnicodeDecodeError):
        return charsets.decode(raw) if plain is None else _plain(plain)


def _continued(parameters: Mapping[str, str], name: str) -> str | None:
    """Joins RFC 2231's numbered pieces of a long value (section 3); those with a star are percent-encoded."""
    charset, pieces = None, []
    for number in count():
        key = f"{name}*{number}"
        if f"{key}*" in parameters:
            piece = parameters[f"{key}*"].encode("latin-1")
            if not number and (match := _EXTENDED.fullmatch(piece)):
                charset, piece = match[1].decode("latin-1"), match[2]
            pieces.append(unquote_to_bytes(piece))
        elif key in parameters:
            pieces.append(_unescaped(parameters[key]).encode("latin-1"))
        else:
            return charsets.decode(b"".join(pieces), charset) if pieces else None
    return None
