"""What every mapping model shares: frozen, and strict about unknown keys."""

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict


class Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


def _http_url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or not text.isprintable() or " " in text:
        raise ValueError("write a whole address that begins with https:// or http://")
    return text


# Kept as the operator wrote it: a parser's normal form could be another address to the receiver.
Url = Annotated[str, AfterValidator(_http_url)]
