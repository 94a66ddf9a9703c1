"""The calls of a client of the legacy API, good and bad, on every route; the same for any legacy server."""

import json
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp

from tests import samples
from tests.conftest import IDENTITY, bearer, case_form

BEARER_ROUTES: Final = (
    ("GET", "/michiQ/doc/{id}"),
    ("GET", "/michiQ/encounters"),
    ("POST", "/michiQ/query/{id}"),
    ("POST", "/michiQ/query/"),
    ("POST", "/michiQ/uploadAudio/{id}"),
    ("POST", "/michiQ/speechToText/{id}"),
    ("GET", "/app/encounter/{id}"),
)
ROUTES: Final = (("POST", "/michiQ/newCase"), *BEARER_ROUTES)
JSON: Final = {"Content-Type": "application/json"}
GZIP: Final = {"Content-Encoding": "gzip"}
MB: Final = 1024 * 1024


@dataclass(frozen=True)
class Visitor:
    """A client at one legacy server; `id` and `token` are of its first case, once it has one."""

    http: aiohttp.ClientSession = field(repr=False)
    url: str
    id: str = "unknown"
    token: str = field(default="unknown", repr=False)

    async def ask(self, method: str, path: str, **options: Any) -> bytes:
        """`path` may hold `{id}`; `headers` go over the token."""
        headers = {**bearer(self.token), **options.pop("headers", {})}
        url = self.url + path.replace("{id}", self.id)
        async with self.http.request(
            method, url, headers=headers, allow_redirects=False, **options
        ) as response:
            return await response.read()

    async def new_case(self, form: aiohttp.FormData | bytes | None = None, /, **headers: str) -> bytes:
        """With the identity alone; a header that is empty is left out."""
        given = {name: value for name, value in {**IDENTITY, **headers}.items() if value}
        data = case_form() if form is None else form
        async with self.http.post(f"{self.url}/michiQ/newCase", data=data, headers=given) as response:
            return await response.read()

    async def signed_in(self, **headers: str) -> "Visitor":
        made = json.loads(await self.new_case(whole_form(), **headers))
        return Visitor(self.http, self.url, made["michiq_uuid"], made["token"])

    async def upload(self, audio: bytes, name: str = "consulta.wav") -> bytes:
        return await self.ask("POST", "/michiQ/uploadAudio/{id}", data=file_form("audioChunk", audio, name))


def file_form(part: str, content: bytes, name: str) -> aiohttp.FormData:
    form = aiohttp.FormData(quote_fields=False)
    form.add_field(part, content, filename=name)
    return form


def whole_form() -> aiohttp.FormData:
    """Everything that a form may hold, with a name that is no ASCII."""
    form = case_form(ehr='{"nhc": "p-1", "name": "José Núñez", "alergias": ["penicilina"]}')
    form.add_field("conversation", "Doctora: ¿Qué le pasa? Paciente: Tengo fiebre.")
    pdf = samples.pdf(["Temperatura 38.7 C a las 21:00."])
    form.add_field("files", pdf, filename="informe año.pdf", content_type="application/pdf")
    form.add_field("files", b"Sin alergias.", filename="a;b;c.txt", content_type="text/plain")
    return form


async def good_calls(visitor: Visitor) -> Visitor:
    """A session as the document tells it, on a case of its own."""
    guest = await visitor.signed_in(template="1")
    await guest.new_case(case_form(conversation="Hola."), **bearer(guest.token))
    for chunk in samples.webm_chunks(2, 2):
        await guest.upload(chunk, "consulta.webm")
    await guest.ask("POST", "/michiQ/speechToText/{id}")
    await guest.ask("POST", "/michiQ/speechToText/{id}", json={"audioFile": "a/consulta.webm"})
    await guest.ask("POST", "/michiQ/query/{id}", json={"query": "¿Qué temperatura tiene?"})
    for method in ("GET", "HEAD"):
        for route in ("/michiQ/doc/{id}", "/michiQ/encounters", "/app/encounter/{id}"):
            await guest.ask(method, route)
    return guest


async def bad_calls(guest: Visitor) -> None:
    """Brings about every refusal that a client can cause by itself; `guest` is signed in."""
    await _bad_callers(guest)
    await _bad_ids(guest)
    await _bad_forms(guest)
    await _bad_questions(guest)
    await _bad_audio(guest)


async def _bad_callers(guest: Visitor) -> None:
    for header in IDENTITY:
        await guest.new_case(None, **{header: ""})
    await guest.new_case(API_KEY="wrong")
    await guest.new_case(None, **bearer("wrong"))
    stranger = Visitor(guest.http, guest.url, guest.id, "wrong")
    for method, route in BEARER_ROUTES:
        await stranger.ask(method, route)
    for route in ("/michiQ/doc/{id}", "/michiQ/encounters", "/app/encounter/{id}"):
        await stranger.ask("HEAD", route)
    for method, route in ROUTES:
        for wrong in {"GET", "POST", "PUT", "DELETE"} - {method}:
            await guest.ask(wrong, route)


async def _bad_ids(guest: Visitor) -> None:
    other = await guest.signed_in(user_mail="berta@clinica.example")
    for identity in (guest.id, "no-such-case", "%C3%B1", "a%2Fb"):
        visitor = Visitor(guest.http, guest.url, identity, other.token)
        await visitor.ask("GET", "/michiQ/doc/{id}")
        await visitor.ask("HEAD", "/michiQ/doc/{id}")
        await visitor.ask("GET", "/app/encounter/{id}")
        await visitor.ask("HEAD", "/app/encounter/{id}")
        await visitor.ask("POST", "/michiQ/query/{id}", json={"query": "¿Qué?"})
        await visitor.ask("POST", "/michiQ/speechToText/{id}")
        await visitor.upload(samples.wav(0.1))


async def _bad_forms(guest: Visitor) -> None:
    await guest.new_case(case_form(ehr="{"))
    await guest.new_case(case_form(ehr="[]"))
    await guest.new_case(file_form("files", samples.damaged_pdf("cut"), "roto.pdf"))
    await guest.new_case(b"no form")
    await guest.new_case(file_form("files", bytes(10 * MB + 1), "grande.bin"))
    await guest.new_case(case_form(), **GZIP)


async def _bad_questions(guest: Visitor) -> None:
    await guest.ask("POST", "/michiQ/query/", json={"query": "¿Qué?"})
    for body in (b"{", b"[]", b"{}", b'{"query": 1}', b'{"query": " "}', b'{"query": "' + b"a" * MB + b'"}'):
        await guest.ask("POST", "/michiQ/query/{id}", data=body, headers=JSON)
    await guest.ask("POST", "/michiQ/query/{id}", data=b"", headers={**JSON, **GZIP})


async def _bad_audio(guest: Visitor) -> None:
    silent = await guest.signed_in()
    await silent.ask("POST", "/michiQ/speechToText/{id}")
    await silent.ask("POST", "/michiQ/speechToText/{id}", data=b"{", headers=JSON)
    await silent.ask("POST", "/michiQ/speechToText/{id}", data=b'{"audioFile": 1}', headers=JSON)
    await silent.ask("POST", "/michiQ/speechToText/{id}", data=b" " * MB, headers=JSON)
    await silent.ask("POST", "/michiQ/speechToText/{id}", data=b"", headers={**JSON, **GZIP})
    await silent.ask("POST", "/michiQ/uploadAudio/{id}", data=b"no form")
    await silent.ask("POST", "/michiQ/uploadAudio/{id}", data=case_form(other="Hola."))
    await silent.ask("POST", "/michiQ/uploadAudio/{id}", data=case_form(audioChunk="Hola."), headers=GZIP)
    await silent.upload(b"")
    await silent.upload(b"no audio at all", "nada.bin")
    await silent.ask("POST", "/michiQ/speechToText/{id}")
