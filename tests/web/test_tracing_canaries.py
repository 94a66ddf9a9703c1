"""Nothing of a patient or a caller is in any byte that goes to a collector of traces."""

import json
from base64 import b64encode
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import unquote_to_bytes

import aiohttp
import pytest
from yarl import URL

from proxy.sandbox import Fault
from tests import samples
from tests.conftest import IDENTITY, Api, StartProxy, bearer, case_form
from tests.rollout.moving import all_in
from tests.rollout.shadow.test_shadow import compared
from tests.web.collector import Collector

LEAST: Final = 60


class Garden:
    """A source of canaries: words that are nowhere else, each planted once."""

    def __init__(self) -> None:
        self.planted: list[str] = []

    def word(self) -> str:
        self.planted.append(f"zq{len(self.planted):02d}xenofrosis")
        return self.planted[-1]

    def found_in(self, exported: bytes) -> list[str]:
        """Returns the canaries that are in the bytes, in any usual spelling."""
        shown = exported.lower() + unquote_to_bytes(exported).lower()
        return [word for word in self.planted if any(each in shown for each in spellings(word))]


def spellings(word: str) -> Iterator[bytes]:
    """Yields the word itself, in hexadecimal digits, and in Base64 at each of its three offsets."""
    yield word.encode()
    yield word.encode().hex().encode()
    yield word.encode("utf-16-le")
    for offset in range(3):
        coded = b64encode(bytes(offset) + word.encode())
        yield coded[4 : len(coded) - 4].lower()


def test_each_spelling_of_a_canary_would_be_found() -> None:
    garden = Garden()
    word = garden.word()
    written = [word.upper(), "".join(f"%{ord(sign):02X}" for sign in word), word.encode().hex()]
    written += [b64encode((" " * offset + word + "!").encode()).decode() for offset in range(3)]
    assert [garden.found_in(f"x {each} y".encode()) for each in written] == [[word]] * len(written)


def headers(garden: Garden) -> dict[str, str]:
    """Returns headers with a canary in each that a client may choose."""
    free = (
        "User-Agent",
        "Cookie",
        "Referer",
        "baggage",
        "X-Forwarded-For",
        "X-Real-IP",
        "Accept-Language",
        "From",
    )
    chosen = {
        name: garden.word() for name in (*free, "X-Request-ID", "X-Forwarded-Host", "Origin", "Template")
    }
    return {
        **chosen,
        f"X-{garden.word()}": garden.word(),
        "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "tracestate": f"{garden.word()}={garden.word()}",
    }


def form(garden: Garden) -> aiohttp.FormData:
    names = ("id", "name", "surname", "nhc", "birth", "address", "phone", "mail", "insurer", "allergies")
    ehr = {name: garden.word() for name in names} | {garden.word(): [garden.word()]}
    made = case_form(ehr=json.dumps(ehr), conversation=garden.word())
    name = f"{garden.word()}.pdf"
    made.add_field("files", samples.pdf([garden.word()]), filename=name, content_type="application/pdf")
    made.add_field(garden.word(), garden.word())
    return made


async def session(api: Api, garden: Garden) -> None:
    """Calls every route, well and badly, with a canary in everything that a client chooses."""
    made = await api.new_case(form(garden), **headers(garden))
    legacy_id, token = made["michiq_uuid"], bearer(made["token"])
    garden.planted += [legacy_id, made["token"]]
    audio = aiohttp.FormData()
    audio.add_field("audioChunk", samples.wav(1), filename=f"{garden.word()}.wav")
    word = garden.word
    calls: list[tuple[str, str, dict[str, Any]]] = [
        ("POST", f"/michiQ/uploadAudio/{legacy_id}", {"data": audio}),
        ("POST", f"/michiQ/speechToText/{legacy_id}", {"json": {"audioFile": f"{word()}.wav"}}),
        ("POST", f"/michiQ/query/{legacy_id}?{word()}={word()}", {"json": {"query": word()}}),
        ("POST", f"/michiQ/query/{legacy_id}", {"data": f'{{"query": "{word()}"'}),
        ("GET", f"/michiQ/doc/{legacy_id}", {"headers": headers(garden) | token}),
        ("GET", f"/michiQ/doc/{word()}", {}),
        ("GET", "/michiQ/encounters", {"headers": {"Authorization": f"Bearer {word()}"}}),
        ("GET", f"/app/encounter/{legacy_id}?token={word()}", {}),
        ("PROPFIND", f"/{word()}/{word()}?q={word()}#x", {}),
        ("POST", "/michiQ/newCase", {"headers": {name: word() for name in IDENTITY}, "data": case_form()}),
        ("POST", "/michiQ/newCase", {"headers": IDENTITY, "data": word()}),
        ("POST", "/webhooks/llamalitica", {"json": {"event": word(), "data": {word(): word()}}}),
    ]
    for method, path, more in calls:
        asked = {"headers": token, **more}
        async with api.http.request(method, URL(api.url + path, encoded=True), **asked) as response:
            await response.read()


@pytest.mark.parametrize("name", ["new", "legacy", "shadow"])
async def test_no_byte_of_a_trace_has_anything_of_a_patient_or_a_caller(
    start_proxy: StartProxy, collector: Collector, name: str
) -> None:
    garden = Garden()
    async with start_proxy(all_in(name), legacy=True, MICHIQ_TRACE_TO="127.0.0.1") as api:
        api.sandbox.llamachat.faults.add(Fault(kind="html"))
        await session(api, garden)
        if name == "shadow":
            await compared(api, "new_case", 2)
    exported = b"".join(collector.bodies)
    assert len(garden.planted) >= LEAST
    assert garden.found_in(exported) == []
    organization, mail = IDENTITY["organization"].encode(), IDENTITY["user_mail"].encode()
    assert [each for each in (organization, mail, IDENTITY["API_KEY"].encode()) if each in exported] == []
    assert len(collector.spans) >= 12, "hardly anything was exported at all"
