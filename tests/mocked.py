"""Answers of systems that are not there, for the clients that are aiohttp's. Bytes and time need a socket."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import aiohttp
from aioresponses import aioresponses

# What aiohttp raises where no answer comes, with a text that no report may repeat.
CANARY: Final = "canario-4711"
NO_ANSWER: Final[dict[str, Exception]] = {
    "ClientConnectionError": aiohttp.ClientConnectionError(CANARY),
    "ClientOSError": aiohttp.ClientOSError(104, CANARY),
    "ClientPayloadError": aiohttp.ClientPayloadError(CANARY),
    "InvalidUrlClientError": aiohttp.InvalidUrlClientError(CANARY),
    "ServerDisconnectedError": aiohttp.ServerDisconnectedError(CANARY),
    "ServerTimeoutError": aiohttp.ServerTimeoutError(CANARY),
    "TimeoutError": TimeoutError(CANARY),
}


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer, or the exception in its place."""

    status: int = 200
    body: bytes = b""
    content_type: str = "application/json"
    exception: Exception | None = None


def give(mocked: aioresponses, method: str, url: str, answers: Sequence[Answer]) -> None:
    """Lets these answers come to the next calls, in order; a call after them is refused."""
    for answer in answers:
        mocked.add(
            url,
            method,
            status=answer.status,
            body=answer.body,
            content_type=answer.content_type,
            exception=answer.exception,
        )


def calls(mocked: aioresponses) -> list[str]:
    """Returns method and path of each call that was made, those of one path together."""
    made = mocked.requests or {}
    return [f"{method} {url.path}" for (method, url), each in made.items() for _ in each]
