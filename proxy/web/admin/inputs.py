"""Reads bodies and queries as models; every fault names its location."""

import asyncio
import re
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Annotated, Final, TypeAlias, TypeVar
from urllib.parse import quote

from aiohttp import web
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from proxy import jsons
from proxy.errors import Refusal
from proxy.headers import media_type
from proxy.inbound.body import RequestBody
from proxy.jsons import BadJson
from proxy.mapping.reasons import reason_of
from proxy.server.receiving import IDLE_SECONDS, arriving
from proxy.values import Json
from proxy.web.admin.problems import Problem, invalid
from proxy.web.expect import go_on

M = TypeVar("M", bound=BaseModel)

# The location of a fault: the `pointer` of a field of the body, or the `parameter` of the query.
Location: TypeAlias = Mapping[str, str]

WHOLE_BODY: Final[Location] = {"pointer": "#"}

_LIMIT: Final = 64 * 1024
_SECONDS: Final = 20.0
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def _whole(text: str) -> int:
    if re.fullmatch(r"[0-9]{1,9}", text) is None:
        raise ValueError("write a whole number")
    return int(text)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text if _DAY.fullmatch(text) else "")
    except ValueError:
        raise ValueError("write a day such as 2027-01-31") from None


# Values of a query; pydantic's own readers accept more than is documented.
Whole = Annotated[int, BeforeValidator(_whole)]
Day = Annotated[date, BeforeValidator(_day)]


class PageQuery(BaseModel):
    """The parameters of a query; their texts are converted to the fields' types."""

    model_config = ConfigDict(frozen=True, extra="forbid")


async def read_body(request: web.Request, model: type[M]) -> M:
    """Returns the body's model; raises Problem for anything but a JSON object that fits it."""
    kind, options = media_type(request.headers.get("Content-Type", ""))
    if kind != "application/json" or options.get("charset", "utf-8").lower() != "utf-8":
        raise Problem(415, "send a body of application/json", headers={"Accept": "application/json"})
    try:
        value = jsons.load_object(await read_bytes(request))
    except BadJson as bad:
        raise Problem(400, f"the body can't be read as a JSON object ({bad.cause})") from None
    try:
        return model.model_validate(value)
    except ValidationError as error:
        # The error is not chained: pydantic's quotes the input.
        raise invalid([_fault(in_body(*loc), said) for loc, said in _faults(error)]) from None


def read_query(request: web.Request, model: type[M]) -> M:
    """Returns the query's model; raises Problem for an unknown or repeated parameter, or a wrong value."""
    twice = [name for name in sorted(set(request.query)) if len(request.query.getall(name)) > 1]
    if twice:
        raise invalid([_fault(in_query(name), "is given more than once") for name in twice])
    try:
        return model.model_validate(dict(request.query))
    except ValidationError as error:
        raise invalid([_fault(in_query(*loc), said) for loc, said in _faults(error)]) from None


def in_query(*names: int | str) -> Location:
    return {"parameter": ".".join(map(str, names))}


def in_body(*steps: int | str) -> Location:
    """Returns a JSON Pointer as a URI fragment (RFC 6901, section 6)."""
    escaped = (str(step).replace("~", "~0").replace("/", "~1") for step in steps)
    return {"pointer": "#" + "".join(f"/{quote(step, safe='~')}" for step in escaped)}


def _fault(location: Location, said: str) -> Json:
    return {**location, "detail": said}


def _faults(error: ValidationError) -> Iterable[tuple[tuple[int | str, ...], str]]:
    return ((each["loc"], reason_of(each)) for each in error.errors(include_url=False))


async def read_bytes(request: web.Request) -> bytes:
    """Returns the body of at most 64 KiB; raises Refusal when it is longer, or does not arrive in time."""
    await go_on(request)
    body = RequestBody(request.headers, arriving(request, IDLE_SECONDS), _LIMIT)
    try:
        async with asyncio.timeout(_SECONDS):
            return await body.read()
    except TimeoutError:
        raise Refusal("malformed", "body-stalled") from None
