"""The misbehaviours of the legacy server behind the pass-through, and the client's answers (CONTRACT H)."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from itertools import count
from pathlib import Path
from typing import Final
from unittest.mock import patch

import aiohttp

from proxy.upstream.legacy import wire
from tests.conftest import Api, bearer
from tests.faults.facing import SILENCE, facing
from tests.faults.kinds import Kind
from tests.faults.system import System

_NUMBERS: Final = count(1)
_GONE: Final = (502, "Servidor michiQ no disponible")
_SILENT: Final = (504, "El servidor michiQ no responde")
_BROKEN: Final = (0, "")

# What comes through as it is: its status. What does not begin is a 502 or a 504; what breaks off in the
# middle breaks off for the client.
PASSED: Final = {
    **dict.fromkeys(("slow", "another type", "no type", "an empty body", "NaN", "a gzip bomb"), 200),
    **dict.fromkeys(("half of a gzip", "deep JSON", "two answers", "a late second answer"), 200),
    **dict.fromkeys(("cookies, and addresses of others", "in chunks, with a trailer"), 200),
    "after interim answers": 200,
    "no content": 204,
    "301": 301,
    "307 to another host": 307,
    "401": 401,
    "402": 402,
    "404": 404,
    "429 with Retry-After": 429,
    "500": 500,
    "502 as a page": 502,
    "503 with Retry-After": 503,
}
NOT_BEGUN: Final = {
    **dict.fromkeys(("reset at once", "reset after the request", "closed after the request"), _GONE),
    **dict.fromkeys(("closed in the head", "a header of 1 MiB", "headers without an end"), _GONE),
    **dict.fromkeys(("NUL in a header", "another length", "two lengths"), _GONE),
    **dict.fromkeys(("HTTP/0.9", "HTTP/2", "SSH", "TLS", "random bytes"), _GONE),
    **dict.fromkeys(("hangs", "hangs in the head", "drips its head"), _SILENT),
    "interim answers without end": _SILENT,
}
BROKEN_OFF: Final = dict.fromkeys(
    (
        "closed in the body",
        "reset in the body",
        "closed before the last chunk",
        "hangs in the body",
        "a chunk of no size",
        "a chunk of a negative size",
        "a length that is too large",
    ),
    _BROKEN,
)
NAMES: Final = (*PASSED, *NOT_BEGUN, *BROKEN_OFF)


@contextmanager
def impatient() -> Iterator[None]:
    """The legacy server has less than a second for each further piece of its answer."""
    with patch.object(wire, "PIECE_SECONDS", SILENCE):
        yield


@asynccontextmanager
async def passing(folder: Path, legacy: str) -> AsyncIterator[Api]:
    """A proxy whose `doc` is the legacy server's, which has less than a second for it."""

    def edited(text: str) -> str:
        text = text.replace('mode = "new"', 'mode = "legacy"')
        return text.replace('timeout = "15 s"', f'timeout = "{round(SILENCE * 1000)} ms"')

    nowhere = "http://127.0.0.1:9"
    async with facing(folder, nowhere, nowhere, {"doc": edited}, MICHIQ_LEGACY_URL=legacy) as api:
        yield api


async def passed_on(api: Api, at: System, name: str, kind: Kind, times: int) -> list[str]:
    """Returns what is wrong with so many calls that are passed on, and with those that follow."""
    at.spoilt = ("legacy", kind.script)
    told = await asyncio.gather(*(_asked(api) for _ in range(times)))
    at.spoilt = None
    again = await asyncio.gather(*(_asked(api) for _ in range(times)))
    found = [f"{name}: {each}" for each in told if not _right(name, each)]
    own = '{"document":"legacy-'
    return found + [f"after {name}: {each}" for each in again if each[0] != 200 or own not in each[1]]


def _right(name: str, told: tuple[int, str]) -> bool:
    if name in PASSED:
        return told[0] == PASSED[name]
    return told == {**NOT_BEGUN, **BROKEN_OFF}[name]


async def _asked(api: Api) -> tuple[int, str]:
    """Asks as a new caller each time: nothing of another's answers may reach them."""
    url = f"{api.url}/michiQ/doc/legacy-1"
    try:
        async with api.http.get(
            url, headers=bearer(f"legacy-token-{next(_NUMBERS)}"), allow_redirects=False
        ) as response:
            return response.status, (await response.read()).decode("latin-1")
    except aiohttp.ClientError:
        return _BROKEN
