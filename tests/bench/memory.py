"""L4m: how much memory large uploads cost a proxy, each in a process of its own, in front of the sandbox.

Each scenario has a fresh proxy, so that none profits from what another one left. Counted is resident memory
over what the idle proxy had before its first request. Of the proxy itself, which has a goal (CONTRACT U05),
it is the kernel's own high-water mark, which misses no peak, also not one of the preparation; of the worker
processes together, the highest of samples 5 ms apart.
"""

import asyncio
import base64
import json
import re
import secrets
import tempfile
import threading
import time
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Final, TypeAlias

import aiohttp

from tests.bench.machine import MB, memory, tree
from tests.bench.processes import Kind
from tests.bench.stage import Stage
from tests.bench.values import Figure, Must, Sample, at_most
from tests.cli.test_processes import command, until
from tests.conftest import IDENTITY, bearer
from tests.samples import long_pdf

Files: TypeAlias = list[tuple[str, bytes]]
_SAMPLE_SECONDS: Final = 0.005
_PIECE: Final = 64 * 1024
_TIMEOUT: Final = aiohttp.ClientTimeout(total=300)


@dataclass(frozen=True)
class Client:
    """A legacy client of the proxy that is measured."""

    url: str
    http: aiohttp.ClientSession

    async def new_case(self, *files: tuple[str, bytes]) -> dict[str, Any]:
        form = aiohttp.FormData(default_to_multipart=True)
        form.add_field("ehr", '{"id": "p-1", "name": "Ana"}')
        for name, content in files:
            form.add_field("files", content, filename=name)
        made: dict[str, Any] = await self._post("/michiQ/newCase", IDENTITY, form)
        return made

    async def upload(self, case: dict[str, Any], size: int) -> None:
        boundary = secrets.token_hex(16)
        headers = {
            **bearer(case["token"]),
            "Content-Type": f"multipart/form-data; boundary={boundary}",
        }
        await self._post(f"/michiQ/uploadAudio/{case['michiq_uuid']}", headers, _form(boundary, size))

    async def transcribe(self, case: dict[str, Any]) -> None:
        await self._post(f"/michiQ/speechToText/{case['michiq_uuid']}", bearer(case["token"]), None)

    async def _post(self, path: str, headers: dict[str, str], data: Any) -> Any:
        async with self.http.post(f"{self.url}{path}", data=data, headers=headers) as response:
            body = await response.text()
            if response.status != 200:
                raise SystemExit(f"{path} answered {response.status}: {body}")
            return json.loads(body) if response.content_type == "application/json" else body


@dataclass
class Watch:
    """The most memory that was resident, in bytes."""

    pid: int
    proxy: int = 0
    workers: int = 0
    over: threading.Event = field(default_factory=threading.Event)

    def sample(self) -> None:
        self.proxy = memory(self.pid, "VmHWM")
        self.workers = max(self.workers, sum(memory(each, "VmRSS") for each in tree(self.pid)[1:]))

    def run(self) -> None:
        while not self.over.is_set():
            self.sample()
            time.sleep(_SAMPLE_SECONDS)


@dataclass(frozen=True)
class Scenario:
    """A measured scenario; `must` is the growth that the proxy is allowed, in MB."""

    name: str
    must: Must | None
    prepare: Callable[[Client], Awaitable[Any]]
    act: Callable[[Client, Any], Awaitable[Any]]


def _uploads(count: int) -> Scenario:
    async def prepare(client: Client) -> list[dict[str, Any]]:
        return [await client.new_case() for _ in range(count)]

    async def act(client: Client, cases: list[dict[str, Any]]) -> None:
        await asyncio.gather(*(client.upload(case, 90 * MB) for case in cases))

    return Scenario(f"uploadAudio, {count} × 90 MB at once", at_most(64), prepare, act)


def _new_cases(count: int, what: str, files: Callable[[], Files]) -> Scenario:
    async def prepare(_: Client) -> Files:
        return files()

    async def act(client: Client, given: Files) -> None:
        await asyncio.gather(*(client.new_case(*given) for _ in range(count)))

    return Scenario(f"newCase, {count} × 10 MB at once, {what}", at_most(32 * count), prepare, act)


def _transcription() -> Scenario:
    async def prepare(client: Client) -> dict[str, Any]:
        case = await client.new_case()
        await client.upload(case, 90 * MB)
        return case

    return Scenario("speechToText, 90 MB", None, prepare, lambda client, case: client.transcribe(case))


def _scenarios() -> Iterator[Scenario]:
    yield _uploads(1)
    yield _uploads(4)
    for count in (1, 4):
        yield _new_cases(count, "one scan", _scan)
        yield _new_cases(count, "ten PDFs", _pdfs)
        yield _new_cases(count, "ten texts", _texts)
    yield _transcription()


def _scan() -> Files:
    return [("escaner.tif", Random(1).randbytes(9_900_000))]


def _pdfs() -> Files:
    """Bytes after the end of a PDF are nobody's: here they stand for its pictures."""
    random, pages = Random(1), long_pdf(20, {})
    return [(f"informe-{n}.pdf", pages + random.randbytes(980_000 - len(pages))) for n in range(10)]


def _texts() -> Files:
    random = Random(1)
    words = [bytes(random.choices(b"abcdefghijklmnopqrstuvwxyz", k=7)) for _ in range(5000)]
    return [(f"nota-{n}.txt", b" ".join(random.choices(words, k=122_000))) for n in range(10)]


async def _form(boundary: str, size: int) -> AsyncIterator[bytes]:
    """An uploadAudio form with a WAV of `size` bytes, made as it goes out."""
    yield (
        f'--{boundary}\r\nContent-Disposition: form-data; name="audioChunk"; filename="a.wav"\r\n\r\n'
    ).encode()
    head = (
        b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0\1\0\1\0\x80\xbb\0\0\0\x77\1\0\2\0\x10\0data\xff\xff\xff\xff"
    )
    yield head
    piece, left = bytes(_PIECE), size - len(head)
    while left:
        yield piece[:left]
        left -= min(left, _PIECE)
    yield f"\r\n--{boundary}--\r\n".encode()


@contextmanager
def _watching(pid: int) -> Iterator[Watch]:
    watch = Watch(pid)
    sampler = threading.Thread(target=watch.run)
    sampler.start()
    try:
        yield watch
    finally:
        watch.over.set()
        sampler.join()
        watch.sample()


@asynccontextmanager
async def _served(folder: Path) -> AsyncIterator[tuple[Client, Process]]:
    """A proxy and its sandbox, each in a process of its own."""
    async with command(folder, "sandbox", "--ports", "0", "0", "0") as sandbox:
        platform, chat, _ = re.findall(r"http://127\.0\.0\.1:\d+", await until(sandbox, "Ctrl+C"))
        settings = {
            "MICHIQ_LISTEN": "127.0.0.1:0",
            "MICHIQ_ADMIN_LISTEN": "127.0.0.1:0",
            "MICHIQ_SECRET_KEYS": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            "MICHIQ_LLAMALITICA_API_URL": platform,
            "MICHIQ_LLAMALITICA_WEB_URL": platform,
            "MICHIQ_LLAMACHAT_URL": chat,
            "MICHIQ_LLAMACHAT_API_KEY": "sandbox-chat-key",
        }
        async with (
            command(folder, "serve", **settings) as proxy,
            aiohttp.ClientSession(timeout=_TIMEOUT) as http,
        ):
            url = json.loads((await until(proxy, '"listening"')).splitlines()[-1])["url"]
            assert proxy.stdout
            reading = asyncio.create_task(_drop(proxy.stdout), name="log")
            yield Client(url, http), proxy
            reading.cancel()


async def _drop(stream: asyncio.StreamReader) -> None:
    """Reads a log to its end and drops it: its writer would block on a full pipe."""
    while await stream.read(_PIECE):
        pass


async def _measure(scenario: Scenario) -> tuple[Watch, Watch]:
    """Idle, and at its highest."""
    with tempfile.TemporaryDirectory() as folder:
        async with _served(Path(folder)) as (client, proxy):
            await asyncio.sleep(1)  # starting is over
            idle = Watch(proxy.pid)
            idle.sample()
            prepared = await scenario.prepare(client)
            with _watching(proxy.pid) as peak:
                await scenario.act(client, prepared)
    return idle, peak


def grown(stage: Stage, kind: Kind) -> Sample:
    """Returns what the proxy and its workers grew by, in MB, for each scenario."""
    sample: dict[str, float] = {}
    for scenario in _scenarios():
        idle, peak = asyncio.run(_measure(scenario))
        sample[scenario.name] = (peak.proxy - idle.proxy) / MB
        sample[f"{scenario.name}: workers"] = (peak.workers - idle.workers) / MB
    return sample


def _figures() -> Iterator[Figure]:
    for scenario in _scenarios():
        yield Figure(scenario.name, f"{scenario.name}, MB", 1, scenario.must)
        yield Figure(f"{scenario.name}: workers", "its workers, MB", 1)


FIGURES: Final = tuple(_figures())
