"""Reads a text from the JSON body of query or speechToText, in any spelling of clients (Q02, S02)."""

from functools import partial
from typing import Final

from proxy import jsons
from proxy.charsets import decode
from proxy.errors import Refusal
from proxy.flows.shared.offload import of_json
from proxy.headers import RawHeaders, media_type
from proxy.isolated.pool import IsolatedPool
from proxy.values import Inbound, Json

_MARK: Final = "\ufeff"
_BLANK: Final = " \t\r\n"  # RFC 8259, section 2


async def read_text(
    inbound: Inbound, name: str, workers: IsolatedPool, *, optional: bool = False
) -> str | None:
    """Returns the body's text under this name, empty if the name is absent; None for any other value.

    With `optional`, an empty body and a null, alone or under the name, count as absent as well. The rest of
    the body stays in the worker that read it: a transfer would block the event loop. Raises Refusal for a
    body that is no JSON.
    """
    data = await inbound.body.read()
    task = partial(text_in, charset=charset_of(inbound.headers), name=name, optional=optional)
    try:
        return await of_json(workers, len(data), task, data)
    except jsons.BadJson as error:
        raise Refusal("bad_request", f"body-{error.cause}") from None


def charset_of(headers: RawHeaders) -> str | None:
    """Returns the charset that the Content-Type declares; None if the field comes twice."""
    values = [value for key, value in headers if key.lower() == b"content-type"]
    return media_type(values[0].decode("latin-1"))[1].get("charset") if len(values) == 1 else None


def text_in(data: bytes, charset: str | None, name: str, *, optional: bool) -> str | None:
    """Returns the same as `read_text`, from the bytes of a body. Raises BadJson."""
    # Some programs in C send their whole buffer, with the NULs at its end.
    text = decode(data, charset).rstrip("\0" + _BLANK)
    if optional and text in ("", _MARK):
        return ""
    # Surrogates that come out of a charset like UTF-7 are refused, as those in UTF-8 are.
    body = jsons.load(text.encode("utf-8", "surrogatepass"), max_values=jsons.MAX_VALUES)
    found = _member(body, name) if isinstance(body, dict) else None
    if optional and found is None and isinstance(body, dict | None):
        return ""
    return found if isinstance(found, str) else None


def _member(body: dict[str, Json], name: str) -> Json:
    """Returns the value under the name, else the last one under the name in other letter case."""
    if name in body:
        return body[name]
    return next((body[key] for key in reversed(body) if key.lower() == name.lower()), "")
