"""Rolling restarts of two workers under 200 requests/s on kept connections, then the end of the service."""

import asyncio
import json
import os
import signal
import time
from asyncio import IncompleteReadError
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tests.flows._wire import form, part, request
from tests.keepalive import Connection, Reply, get
from tests.soak.process import Host, hosted, percentile, steadily, timed
from tests.soak.rows import Row

SEED = 5
_RATE, _REQUESTS, _USERS = 200, 20_000, 20
_DRAIN_SECONDS = 12
_CALM_SECONDS = 5.0  # between two restarts
_HEADERS = ("API_KEY: sandbox-api-key", "organization: Clinica Norte")
_MULTIPART = "Content-Type: multipart/form-data; boundary=frontera"
_CASE = form(part("ehr", '{"id": "p-1", "name": "Ana"}'), part("conversation", "Hola."))
_AUDIO = form(part("audioChunk", b"\x1a\x45\xdf\xa3" + bytes(4000), filename="consulta.webm"))


@dataclass
class _User:
    mail: str
    token: str = ""
    case: str = ""


@dataclass
class _Load:
    """Answers by kind and status, what failed, and how long each took."""

    url: str
    users: list[_User]
    random: Random
    free: list[Connection] = field(default_factory=list)
    opened: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)
    times: list[float] = field(default_factory=list)

    async def call(self, _: int) -> None:
        """One request; nothing is ever sent twice."""
        kind, data = self._chosen()
        try:
            async with timed(self.times), asyncio.timeout(60):
                reply = await self._asked(data)
        except (OSError, IncompleteReadError, TimeoutError) as error:
            self.failed.append(f"{kind}: {type(error).__name__}")
            return
        self.answers[f"{kind} {reply.status}"] += 1
        if reply.status != (401 if kind == "no token" else 200):
            self.failed.append(f"{kind}: {reply.status} {reply.headers.get('x-michiq-cause', '')}")

    async def begin(self) -> None:
        """A case of each user, to ask about."""
        for user in self.users:
            answer = json.loads((await self._asked(_new_case(user))).body)
            user.token, user.case = answer["token"], answer["michiq_uuid"]

    async def _asked(self, data: bytes) -> Reply:
        """Asks on a free connection, or on a new one; connections that the server has ended are gone."""
        connection = next((each for each in self._free() if not each.over), None)
        if connection is None:
            self.opened += 1
            connection = await Connection.open(self.url)
        reply = await connection.ask(data)
        if reply.last:
            connection.close()
        else:
            self.free.append(connection)
        return reply

    def _free(self) -> Iterator[Connection]:
        while self.free:
            yield self.free.pop()

    def _chosen(self) -> tuple[str, bytes]:
        """Two of five work with the store, which is what costs; the others are refused as documented."""
        user, chance = self.random.choice(self.users), self.random.random()
        if chance < 0.02:
            return "newCase", _new_case(user)
        if chance < 0.06:
            return "uploadAudio", request(
                f"POST /michiQ/uploadAudio/{user.case} HTTP/1.1",
                [f"Authorization: Bearer {user.token}", _MULTIPART],
                _AUDIO,
            )
        if chance < 0.1:
            return "encounters", get("/michiQ/encounters", user.token)
        if chance < 0.4:
            return "doc", get(f"/michiQ/doc/{user.case}", user.token)
        return "no token", get("/michiQ/encounters")


def _new_case(user: _User) -> bytes:
    line = "POST /michiQ/newCase HTTP/1.1"
    return request(line, [*_HEADERS, f"user_mail: {user.mail}", _MULTIPART], _CASE)


async def run(scale: float) -> list[Row]:
    """About 2 minutes at scale 1."""
    requests = round(_REQUESTS * scale)
    users = [_User(f"user-{number}@clinica.example") for number in range(_USERS)]
    settings = {"MICHIQ_WORKERS": "2", "MICHIQ_DRAIN_SECONDS": str(_DRAIN_SECONDS)}
    async with hosted(**settings) as host:
        load = _Load(host.url, users, Random(SEED))
        await load.begin()
        seen: set[int] = set()
        rolling = asyncio.create_task(_rolling(host, seen), name="roll")
        await steadily(_RATE, requests, load.call)
        rolling.cancel()
        await asyncio.wait({rolling})
        ended = await _ended(host, load)
    return [_rolled(requests, load, len(seen)), ended]


def _rolled(requests: int, load: _Load, workers: int) -> Row:
    answered, failed = sum(load.answers.values()), Counter(load.failed)
    of_store = answered - load.answers["no token 401"]
    times = [percentile(load.times, percent) * 1000 for percent in (50, 99, 100)]
    return Row(
        "restart",
        f"{requests} requests at {_RATE}/s through rolling restarts: 0 failed, nothing sent twice",
        f"{answered} answered ({of_store} of them from the store), "
        f"{len(load.failed)} failed{f' ({failed.most_common(2)})' if failed else ''}; "
        f"{workers} workers came and went, {load.opened} connections; "
        "p50 {:.0f} ms, p99 {:.0f} ms, max {:.0f} ms".format(*times),
        not load.failed and workers >= 4,
    )


async def _rolling(host: Host, seen: set[int]) -> None:
    """One rolling restart after the other; `seen` are the processes that served."""
    while True:
        before = _workers(host.pid)
        seen |= before
        os.kill(host.pid, signal.SIGUSR2)
        while before & _workers(host.pid) or len(_workers(host.pid)) != len(before):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        await asyncio.sleep(_CALM_SECONDS)


def _workers(parent: int) -> set[int]:
    found = Path(f"/proc/{parent}/task/{parent}/children").read_text()
    return {int(child) for child in found.split()}


async def _ended(host: Host, load: _Load) -> Row:
    """The service is told to end with a request under way, while others come; what became of them."""
    user, failed = load.users[0], len(load.failed)
    data = _new_case(user)
    under_way = await Connection.open(host.url)
    under_way.send(data[: len(data) // 2])
    await load.call(0)
    os.kill(host.pid, signal.SIGTERM)
    told = time.monotonic()
    while (status := await _ready(host)) == 200:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    noticed = time.monotonic() - told
    # Until others may have seen it, and stay away.
    await steadily(_RATE, round(_RATE * _DRAIN_SECONDS / 6 * 0.9) - round(_RATE * noticed), load.call)
    await asyncio.sleep(_DRAIN_SECONDS / 6)
    reply = await under_way.ask(data[len(data) // 2 :])
    while _lives(host.pid):  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    seconds = time.monotonic() - told
    right = (status, reply.status, reply.last) == (503, 200, True) and len(load.failed) == failed
    return Row(
        "restart",
        f"SIGTERM: not ready at once, all requests answered, the one under way too, in {_DRAIN_SECONDS} s",
        f"503 after {noticed * 1000:.0f} ms, {len(load.failed) - failed} failed, the one under way "
        f"{reply.status}, over after {seconds:.1f} s",
        right and noticed < 1 and seconds <= _DRAIN_SECONDS,
    )


def _lives(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


async def _ready(host: Host) -> int:
    async with host.http.get(f"{host.admin_url}/readyz") as response:
        return response.status
