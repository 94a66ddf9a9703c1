"""The requests of a legacy client while an upstream misbehaves, and their answers (CONTRACT G08)."""

import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import count
from typing import Any, Final, TypeAlias

import aiohttp

from tests.conftest import IDENTITY, Api, bearer, case_form
from tests.faults.system import Target
from tests.samples import wav

_NUMBERS: Final = count(1)
_NEW_CASE: Final = "Error al guardar el documento"
_TEXTS: Final[dict[Target, str]] = {
    "me": _NEW_CASE,
    "create": _NEW_CASE,
    "start": "Error al generar la respuesta",
    "send": "Error al generar la respuesta",
    "transcribe": "Error al transcribir el audio",
}
_NAMES: Final[dict[Target, str]] = {
    "me": "llamalitica",
    "create": "llamalitica",
    **dict.fromkeys(("start", "send", "transcribe"), "llamachat"),
}


@dataclass(frozen=True, slots=True)
class Told:
    """The client's answer, and its time in seconds. `own` says of a 200 that it is what was asked for."""

    status: int
    text: str
    cause: str
    seconds: float
    own: bool = False


Ask: TypeAlias = Callable[[], Awaitable[Told]]


def documented(target: Target, told: Told, causes: tuple[str, ...]) -> str | None:
    """Returns what is wrong with the answer, if anything; no `causes` means that a good one was due."""
    if not causes:
        return None if told.status == 200 and told.own else f"{told.status} {told.text[:40]} {told.cause}"
    name, _, cause = told.cause.partition("-")
    expected = (500, _TEXTS[target])
    if cause in ("401", "403") and target in ("me", "create"):
        expected = (401, "Unauthorized")
    if cause == "402" and target in ("me", "create", "transcribe"):
        expected = (500, "Créditos insuficientes")
    right = name == _NAMES[target] and cause in causes and (told.status, told.text) == expected
    return None if right else f"{told.status} {told.text[:40]} {told.cause}"


async def prepared(api: Api, target: Target) -> Ask:
    """A client of its own that is about to ask; what comes before has been done already."""
    number = next(_NUMBERS)
    user = {**IDENTITY, "user_mail": f"u{number}@clinica.example"}
    if target in ("me", "create"):
        return lambda: new_case(api, user)
    made = await api.new_case(None, **user)
    url, headers = f"{api.url}/michiQ", bearer(made["token"])
    if target == "transcribe":
        return await _audio(api, url, headers, made["michiq_uuid"], f"tag-{number}")
    ask = _query(api, f"{url}/query/{made['michiq_uuid']}", headers, number)
    if target == "send":
        assert (await ask()).status == 200
    return ask


async def new_case(api: Api, user: dict[str, str]) -> Told:
    """Asks for a case, and says what the client was told."""

    def own(text: str) -> bool:
        return re.search(r'"michiq_uuid":"create-\d+","token":"me-\d+"', text) is not None

    return await _told(api, "POST", f"{api.url}/michiQ/newCase", own, headers=user, data=case_form())


def _query(api: Api, url: str, headers: dict[str, str], number: int) -> Ask:
    async def ask() -> Told:
        tag = f"tag-{number}{next(_NUMBERS)}"
        return await _told(
            api,
            "POST",
            url,
            lambda text: text == f'{{"response":"Sobre {tag}."}}',
            headers=headers,
            json={"query": f"¿{tag}?"},
        )

    return ask


async def _audio(api: Api, url: str, headers: dict[str, str], legacy_id: str, tag: str) -> Ask:
    form = aiohttp.FormData(quote_fields=False)
    form.add_field("audioChunk", wav(0.1), filename=f"{tag}.wav")
    async with api.http.post(f"{url}/uploadAudio/{legacy_id}", data=form, headers=headers) as response:
        assert response.status == 200, await response.text()

    def own(text: str) -> bool:
        return f'"transcription":"Oído en {tag}."' in text

    return lambda: _told(api, "POST", f"{url}/speechToText/{legacy_id}", own, headers=headers)


async def _told(api: Api, method: str, url: str, own: Callable[[str], bool], **options: Any) -> Told:
    started = time.perf_counter()
    async with api.http.request(method, url, **options) as response:
        text = await response.text()
    seconds = time.perf_counter() - started
    cause = response.headers.get("X-Michiq-Cause", "")
    return Told(response.status, text, cause, seconds, own=response.status == 200 and own(text))
