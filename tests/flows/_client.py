"""A legacy client's calls on one case, and what the upstreams got of them."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import aiohttp

from proxy import jsons
from proxy.sandbox import SandboxConfig
from proxy.sandbox.service import Call
from tests.conftest import Api, bearer


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer that the client got."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> Any:
        return jsons.load(self.body)

    @property
    def kind(self) -> str:
        return self.headers["Content-Type"]


@dataclass(frozen=True, slots=True)
class Patient:
    """A user's token, and an id that they work on: a case's, or any other."""

    api: Api
    id: str
    token: str

    async def call(self, method: str, path: str, **options: Any) -> Reply:
        """`path` may hold `{id}`; `headers` go over the bearer token."""
        headers = {**bearer(self.token), **options.pop("headers", {})}
        url = f"{self.api.url}{path.replace('{id}', self.id)}"
        async with self.api.http.request(
            method, url, headers=headers, allow_redirects=False, **options
        ) as response:
            return Reply(response.status, response.headers, await response.read())

    async def upload(self, audio: bytes, filename: str = "consulta.wav") -> Reply:
        form = aiohttp.FormData(quote_fields=False)
        form.add_field("audioChunk", audio, filename=filename)
        return await self.call("POST", "/michiQ/uploadAudio/{id}", data=form)

    async def uploaded(self, *chunks: bytes, filename: str = "consulta.wav") -> None:
        for chunk in chunks:
            assert (await self.upload(chunk, filename)).status == 200

    async def transcribe(self, **body: Any) -> Reply:
        """`body` as JSON; none without any."""
        return await self.call("POST", "/michiQ/speechToText/{id}", json=body or None)

    async def transcribed(self, **body: Any) -> Any:
        reply = await self.transcribe(**body)
        assert reply.status == 200, reply.text
        return reply.json

    async def page(self, accept: str = "application/json", view: str | None = None) -> Reply:
        query = {} if view is None else {"view": view}
        return await self.call("GET", "/app/encounter/{id}", params=query, headers={"Accept": accept})

    async def document(self) -> Any:
        reply = await self.call("GET", "/michiQ/doc/{id}")
        assert reply.status == 200, reply.text
        return reply.json["document"]


@dataclass(frozen=True, slots=True)
class Capitals(SandboxConfig):
    """Systems whose ids are in capitals."""

    def new_uuid(self) -> str:
        # No zero-argument super(): slots make another class of this one.
        return SandboxConfig.new_uuid(self).upper()


async def patient(api: Api, legacy_id: str | None = None, **headers: str) -> Patient:
    """A new case, or for its user an id of their own choice; `headers` go over IDENTITY."""
    made = await api.new_case(None, **headers)
    return Patient(api, legacy_id or made["michiq_uuid"], made["token"])


async def settled(api: Api) -> None:
    """Returns when nothing that a request left running is under way, on either side."""
    await api.proxy.deps.tasks.drain(10)
    await api.sandbox.llamalitica.webhooks.idle()


async def until(condition: Callable[[], object]) -> None:
    """Returns once the condition holds."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110  what happens in the upstream sets no event
            await asyncio.sleep(0.005)


def calls(api: Api, path: str) -> list[Call]:
    """Returns the calls that arrived at a path of either new system, oldest first."""
    both = api.sandbox.llamalitica.calls + api.sandbox.llamachat.calls
    return [call for call in both if call.path == path]


def transcriptions(api: Api) -> list[Call]:
    return calls(api, "/api/transcription")


def created(api: Api) -> list[Call]:
    return calls(api, "/api/cases")


def parts(call: Call) -> list[Any]:
    """The form that came with a call: name, filename, contentType, size, sha256 of each part."""
    found = call.facts.get("parts", [])
    assert isinstance(found, list)
    return found


def heard(api: Api) -> list[str]:
    """The digests of the audio that LlamaChat was sent."""
    return [parts(call)[0]["sha256"] for call in transcriptions(api)]


def digest(*pieces: bytes) -> str:
    return sha256(b"".join(pieces)).hexdigest()


def everything(folder: Path) -> bytes:
    """The bytes of all files: database, its log, blobs."""
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
