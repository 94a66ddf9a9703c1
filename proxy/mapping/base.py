"""The base of every mapping model: frozen, strict about types and unknown keys; and texts of a fixed form."""

import re
import unicodedata
from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema


class Model(BaseModel):
    """A table of a mapping file. The text below a field is its description (`cli.schemas`)."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


_PATH: Final = r"(/[A-Za-z0-9_-]+)+"
_ID_PATH: Final = rf"{_PATH}/\{{id\}}"
_ORIGIN: Final = r"[a-z][a-z0-9+.-]*://([a-z0-9._-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?"
_DEFAULT_PORT: Final = re.compile(r"http://.*[^:]:80|https://.*[^:]:443")


def _path(text: str) -> str:
    if not re.fullmatch(_PATH, text):
        raise ValueError('write a path without an id, such as "/michiQ/newCase"')
    return text


def _id_path(text: str) -> str:
    if not re.fullmatch(_ID_PATH, text):
        raise ValueError('write a path that ends in /{id}, such as "/michiQ/doc/{id}"')
    return text


def _http_url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or not text.isprintable() or " " in text:
        raise ValueError("write a whole address that begins with https:// or http://")
    return text


def _origin(text: str) -> str:
    if not re.fullmatch(_ORIGIN, text) or _DEFAULT_PORT.fullmatch(text):
        raise ValueError(
            'write an origin as browsers send it, such as "https://app.example": in lower case, '
            "without a path or the scheme's own port"
        )
    return text


def _header_text(text: str) -> str:
    if not text or not text.isprintable() or text != text.strip():
        raise ValueError("write one line of text, without spaces around it")
    return text


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)


Path = Annotated[str, AfterValidator(_path), WithJsonSchema({"type": "string", "pattern": f"^{_PATH}$"})]
IdPath = Annotated[
    str, AfterValidator(_id_path), WithJsonSchema({"type": "string", "pattern": f"^{_ID_PATH}$"})
]

# A page's origin (RFC 6454), compared letter by letter with the one that a browser sends.
Origin = Annotated[
    str, AfterValidator(_origin), WithJsonSchema({"type": "string", "pattern": f"^{_ORIGIN}$"})
]

# Stored as the operator wrote it: a parser's normal form could be a different address to the receiver.
Url = Annotated[str, AfterValidator(_http_url)]

HeaderText = Annotated[str, AfterValidator(_header_text)]

# An organization's legacy name, in NFC as the header is read (CONTRACT N06).
OrganizationName = Annotated[str, Field(min_length=1), AfterValidator(_composed)]
