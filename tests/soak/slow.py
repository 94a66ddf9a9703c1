"""1,000 clients that are slow on purpose, in their heads, in their bodies or in reading, for a minute, beside
others that are not; under two minutes at full scale."""

import asyncio
import socket
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final, TypeAlias

import aiohttp

from tests.conftest import IDENTITY, bearer, case_form
from tests.hostile.site import Site, standing
from tests.hostile.sound import OTHER, Sound, sound_requests
from tests.soak.process import steadily
from tests.soak.rows import Row

SEED: Final = 21
_SECONDS: Final = 60.0
_CLIENTS: Final = {"head": 475, "body": 475, "reader": 50}
# What each kind is ended after. A reader: 30 s from the last byte that the kernels took for it.
_GOALS: Final = {"head": 15.0, "body": 75.0, "reader": 45.0}
_LONGEST: Final = 90.0
_RATE: Final = 40.0
_PIPELINE: Final = 4
_TEXT: Final = "Sin incidencias. " * 60_000  # 1 MB


@dataclass
class _Seen:
    """Seconds that each slow client was let stay, from when it was slow; the statuses of the others."""

    stayed: dict[str, list[float]] = field(default_factory=lambda: {kind: [] for kind in _CLIENTS})
    statuses: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class _Line:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def drip(self, data: bytes, seconds: float, random: Random) -> None:
        """A few bytes at a time, until the connection ends."""
        with suppress(ConnectionError):
            for byte in data:
                self.writer.write(bytes([byte]))
                await self.writer.drain()
                await asyncio.sleep(seconds * random.uniform(0.5, 1.5))
        await asyncio.sleep(_LONGEST)


_Way: TypeAlias = Callable[[_Line, Sound, Random], "asyncio.Future[None] | None"]


async def run(scale: float) -> list[Row]:
    clients = {kind: max(1, round(count * scale)) for kind, count in _CLIENTS.items()}
    seconds = max(20.0, _SECONDS * scale)
    async with standing() as site:
        sounds, seen = sound_requests(*await _large_case(site)), _Seen()
        before, until = _sockets(site), time.monotonic() + seconds
        slow = [
            _keep_coming(site, kind, sounds, seen, until, Random(f"{SEED} {kind} {number}"))
            for kind, count in clients.items()
            for number in range(count)
        ]
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
            calls = steadily(_RATE, round(_RATE * seconds), lambda number: _call(site, http, number, seen))
            await asyncio.gather(calls, *slow)
        left = await _left(site, before)
        alive = site.alive
    return _rows(sum(clients.values()), seconds, seen, left, alive=alive)


def _rows(clients: int, seconds: float, seen: _Seen, left: int, *, alive: bool) -> list[Row]:
    total, good = sum(seen.statuses.values()), seen.statuses["200"]
    others = Row(
        "slow",
        f"beside {clients} slow clients for {seconds:.0f} s, 100 % of the others are answered",
        f"{good} of {total}"
        + "".join(f", {number} × {what}" for what, number in seen.statuses.items() if what != "200"),
        total > 0 and good == total and alive,
    )
    ended = [
        Row(
            "slow",
            f"a slow {kind} is ended in {goal:.0f} s",
            _told(seen.stayed[kind]),
            max(seen.stayed[kind]) <= goal,
        )
        for kind, goal in _GOALS.items()
    ]
    return [others, *ended, Row("slow", "no connection is left of them", f"{left} sockets more", left <= 0)]


def _told(stayed: list[float]) -> str:
    return f"{len(stayed)} ended, the last after {max(stayed):.1f} s"


async def _keep_coming(
    site: Site, kind: str, sounds: dict[str, Sound], seen: _Seen, until: float, random: Random
) -> None:
    """One slow client after the other in the same place."""
    await asyncio.sleep(random.uniform(0, 5))
    while time.monotonic() < until:
        async with _connected(site, small=kind == "reader") as line:
            started = time.monotonic()
            acting = asyncio.create_task(_WAYS[kind](line, sounds, random))
            try:
                async with asyncio.timeout(_LONGEST):
                    await (_ended(line) if kind == "reader" else _closed(line))
            except TimeoutError:
                pass
            acting.cancel()
            seen.stayed[kind].append(time.monotonic() - started)


async def _head(line: _Line, sounds: dict[str, Sound], random: Random) -> None:
    data = sounds[random.choice(("doc", "new_case", "webhook", "nothing"))].render()
    if random.random() < 0.3:
        data = b""
    await line.drip(data[: data.find(b"\r\n\r\n") + 2], random.choice((0.2, 0.5, 3.0)), random)


async def _body(line: _Line, sounds: dict[str, Sound], random: Random) -> None:
    sound = sounds[random.choice(("new_case", "query", "upload_audio", "speech_to_text", "webhook"))]
    if random.random() < 0.2:
        sound = sound.without(b"Authorization", b"API_KEY")
    framing = random.choice((b"Content-Length: 9000", b"Transfer-Encoding: chunked"))
    head, _, body = sound.render(framing=[framing]).partition(b"\r\n\r\n")
    line.writer.write(head + b"\r\n\r\n" + (b"2000\r\n" if framing.startswith(b"T") else b""))
    await line.drip(body if random.random() < 0.7 else b"", random.choice((0.2, 0.5, 3.0)), random)


async def _reader(line: _Line, sounds: dict[str, Sound], _: Random) -> None:
    line.writer.transport.pause_reading()  # type: ignore[attr-defined]  # it reads as well
    line.writer.write(sounds["doc"].render() * _PIPELINE)
    await asyncio.sleep(_LONGEST)


_WAYS: Final = {"head": _head, "body": _body, "reader": _reader}


async def _closed(line: _Line) -> None:
    with suppress(ConnectionError):
        while await line.reader.read(65536):
            pass


async def _ended(line: _Line) -> None:
    """Without reading: the proxy resets the connection, and this shows as its end."""
    while not _is_reset(line.writer.get_extra_info("socket")):  # noqa: ASYNC110  nobody tells
        await asyncio.sleep(0.1)


def _is_reset(line: socket.socket) -> bool:
    return line.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1) == b"\x07"  # TCP_CLOSE


@asynccontextmanager
async def _connected(site: Site, *, small: bool) -> AsyncIterator[_Line]:
    line = socket.socket()
    line.setblocking(False)
    if small:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    await asyncio.get_running_loop().sock_connect(line, ("127.0.0.1", site.port))
    reader, writer = await asyncio.open_connection(sock=line)
    try:
        yield _Line(reader, writer)
    finally:
        writer.transport.abort()


async def _large_case(site: Site) -> tuple[str, str]:
    """A user's token, and their case, whose record is too large to lie ready anywhere between."""
    url = f"http://127.0.0.1:{site.port}/michiQ/newCase"
    form = case_form(ehr='{"id": "p-1"}', conversation=_TEXT)
    headers = {**IDENTITY, **OTHER}
    async with aiohttp.ClientSession() as http, http.post(url, data=form, headers=headers) as response:
        made = await response.json()
        return made["token"], made["michiq_uuid"]


async def _call(site: Site, http: aiohttp.ClientSession, number: int, seen: _Seen) -> None:
    base = f"http://127.0.0.1:{site.port}"
    timeout = aiohttp.ClientTimeout(total=20)
    try:
        if number % 4 == 0:
            other = {**IDENTITY, "user_mail": f"user{number}@clinica.example"}
            call = http.post(f"{base}/michiQ/newCase", data=case_form(), headers=other, timeout=timeout)
        else:
            path = f"/michiQ/doc/{site.case}" if number % 2 else "/michiQ/encounters"
            call = http.get(base + path, headers=bearer(site.token), timeout=timeout)
        async with call as response:
            await response.read()
            seen.statuses[str(response.status)] += 1
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        seen.statuses[type(error).__name__] += 1


def _sockets(site: Site) -> int:
    files = Path(f"/proc/{site.process.pid}/fd").iterdir()
    return sum(str(each.readlink()).startswith("socket:") for each in files if each.is_symlink())


async def _left(site: Site, before: int) -> int:
    """Returns how many more sockets there are than before, once no client comes any more."""
    for _ in range(100):
        if _sockets(site) <= before:
            break
        await asyncio.sleep(0.1)
    return _sockets(site) - before
