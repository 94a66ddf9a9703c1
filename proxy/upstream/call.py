"""What a call to an upstream is made of, and what is reported of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeAlias, TypeVar

from pydantic import BaseModel

from proxy.values import Content

M = TypeVar("M", bound=BaseModel)

ID_PATTERN: Final = r"^[A-Za-z0-9_-]{1,64}$"  # CONTRACT G03


@dataclass(frozen=True, slots=True)
class Budget:
    """The seconds a call may take: in all, to get connected, and between two bytes of the answer."""

    total: float
    connect: float
    read: float


@dataclass(frozen=True, slots=True)
class Body:
    """What a call sends. `content` is read anew by every attempt; its size becomes Content-Length."""

    content_type: str
    content: Content = field(repr=False)


@dataclass(frozen=True, slots=True)
class Call:
    """What is asked of an upstream. `path` is a template such as `/api/things/{id}`, as logged.

    `caller` says whose it is: only their calls have the same connection. None is nobody's.
    """

    method: str
    path: str
    budget: Budget
    headers: Mapping[str, str] = field(repr=False)
    id: str | None = field(default=None, repr=False)
    body: Body | None = None
    caller: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class CallRecord:
    """What may be logged of a finished call; `cause` is None for a good one. No data of it."""

    upstream: str
    method: str
    path: str
    status: int | None
    cause: str | None
    milliseconds: float


class Fetches(Protocol):
    """Who answers a call with a checked value or an UpstreamError: an Upstream, or a stand-in for one."""

    async def fetch(self, call: Call, model: type[M]) -> M: ...


OnCall: TypeAlias = Callable[[CallRecord], None]
