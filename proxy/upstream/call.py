"""A call to an upstream as a value, and the record of a finished call."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeAlias, TypeVar

from pydantic import BaseModel

from proxy.values import Content

M = TypeVar("M", bound=BaseModel)

ID_PATTERN: Final = r"^[A-Za-z0-9_-]{1,64}$"  # CONTRACT G03


@dataclass(frozen=True, slots=True)
class Budget:
    """The limits of a call in seconds: in all, for the connection, and between two bytes of the answer."""

    total: float
    connect: float
    read: float


@dataclass(frozen=True, slots=True)
class OutgoingBody:
    """The body of a call. Every attempt reads `content` again; its size becomes Content-Length."""

    content_type: str
    content: Content = field(repr=False)


@dataclass(frozen=True, slots=True)
class Call:
    """A request to an upstream. `path` is a template such as `/api/things/{id}`, as logged.

    `caller` identifies the user: a connection is used again only for calls of the same caller. A call with
    None shares its connection with no other call.
    """

    method: str
    path: str
    budget: Budget
    headers: Mapping[str, str] = field(repr=False)
    id: str | None = field(default=None, repr=False)
    body: OutgoingBody | None = None
    caller: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class CallRecord:
    """The loggable facts of a finished call, without its data; `cause` is None for a successful one.

    `span_id` is the id that the upstream was sent for the call's span, if it was sent one.
    """

    upstream: str
    method: str
    path: str
    status: int | None
    cause: str | None
    milliseconds: float
    span_id: str | None = None


class Fetches(Protocol):
    """An Upstream, or a stand-in for one: answers a call with a checked value or an UpstreamError."""

    async def fetch(self, call: Call, model: type[M]) -> M: ...


OnCall: TypeAlias = Callable[[CallRecord], None]
