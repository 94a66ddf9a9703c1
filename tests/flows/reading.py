"""The questions of a legacy client about its case, and the platform's events about it."""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp
from yarl import URL

from proxy.sandbox.reports import EventType
from proxy.values import Json
from tests.conftest import Api, bearer, case_form

TEXT: Final = "text/plain; charset=utf-8"
CONVERSATIONS: Final = "/api/conversations"
MESSAGES: Final = "/api/conversations/"
ALLERGY: Final = "Alérgica a la penicilina desde 1987."
ANSWER: Final = f"[conversación] {ALLERGY}"  # the sandbox quotes the passage as it was told


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer as it came."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> Any:
        assert self.headers["Content-Type"] == "application/json", self
        return json.loads(self.body)

    def says(self, status: int, sentence: str) -> bool:
        """Returns whether this is a text answer with exactly that sentence."""
        return (self.status, self.headers["Content-Type"], self.text) == (status, TEXT, sentence)


async def call(api: Api, method: str, path: str, token: str | None = None, **options: Any) -> Reply:
    """One call; `path` goes out as it is written."""
    headers = {**(bearer(token) if token else {}), **options.pop("headers", {})}
    url = URL(api.url + path, encoded=True)
    async with api.http.request(method, url, headers=headers, **options) as response:
        return Reply(response.status, response.headers.copy(), await response.read())


async def ask(api: Api, case: Mapping[str, Any], question: str) -> Reply:
    """A query about a case, by its newCase answer."""
    path = f"/michiQ/query/{case['michiq_uuid']}"
    return await call(api, "POST", path, case["token"], json={"query": question})


async def get_doc(api: Api, case: Mapping[str, Any]) -> Any:
    return (await call(api, "GET", f"/michiQ/doc/{case['michiq_uuid']}", case["token"])).json


async def unreported(api: Api, form: aiohttp.FormData | None = None, **headers: str) -> dict[str, Any]:
    """A case of which the platform says nothing by itself."""
    with _silence(api):
        return await api.new_case(form, **headers)


async def report(
    api: Api, event: EventType, case: Mapping[str, Any], content: str | None = None, data: Json = None
) -> None:
    """An event of the case's report, told to the proxy and acknowledged by it."""
    delivery = await api.sandbox.llamalitica.send(event, case["michiq_uuid"], content, data)
    assert delivery is not None
    assert delivery.accepted


def files_form(*files: tuple[str, bytes, str], **fields: str) -> aiohttp.FormData:
    """A newCase form with files (name, bytes, content type)."""
    form = aiohttp.FormData(quote_fields=False, default_to_multipart=True)
    for name, value in fields.items():
        form.add_field(name, value)
    for filename, content, content_type in files:
        form.add_field("files", content, filename=filename, content_type=content_type)
    return form


async def transcribe(api: Api, case: Mapping[str, Any], audio: bytes) -> Reply:
    """The audio uploaded in one chunk and transcribed."""
    form = aiohttp.FormData()
    form.add_field("audioChunk", audio, filename="visita.wav", content_type="audio/wav")
    case_id, token = case["michiq_uuid"], case["token"]
    uploaded = await call(api, "POST", f"/michiQ/uploadAudio/{case_id}", token, data=form)
    assert uploaded.status == 200, uploaded
    return await call(api, "POST", f"/michiQ/speechToText/{case_id}", token)


def sent(api: Api) -> list[str]:
    """The contents of all messages that LlamaChat took, oldest first."""
    contents = [each.facts.get("content") for each in api.sandbox.llamachat.calls]
    return [content for content in contents if isinstance(content, str)]


def paths(api: Api) -> list[str]:
    """LlamaChat's calls, without the ids."""
    return [re.sub(r"[0-9a-f]{24}", "{id}", each.path) for each in api.sandbox.llamachat.calls]


def passages(message: str) -> list[str]:
    """Returns the part of a message between the instruction and the question."""
    _, _, rest = message.partition("\n\n")
    found, asked, _ = rest.rpartition("\n\nPregunta: ")
    return re.split(r"\n(?=\[)", found) if asked else []


async def allergic(api: Api, **headers: str) -> dict[str, Any]:
    form = case_form(ehr='{"id": "p-1", "name": "Ana"}', conversation=ALLERGY)
    return await unreported(api, form, **headers)


@contextmanager
def _silence(api: Api) -> Iterator[None]:
    platform = api.sandbox.llamalitica
    url, platform.webhook_url = platform.webhook_url, None
    yield
    platform.webhook_url = url
