"""Plants made-up patients on every route: whatever shows one of their values later has leaked it."""

import html
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from hashlib import sha256
from typing import Any, Final
from urllib.parse import unquote_plus

import aiohttp
from yarl import URL

from proxy.modes import Change, Mode
from proxy.sandbox import Fault, SandboxConfig
from tests import samples
from tests.conftest import API_KEY, IDENTITY, Api, bearer

ROUTES: Final = ("new_case", "doc", "encounters", "query", "upload_audio", "speech_to_text", "encounter_page")
_MODES: Final[tuple[Mode, ...]] = ("legacy", "shadow", "new", "shadow")
_WRONG_KEY: Final = "xclave-equivocada-41402abc"


@dataclass(frozen=True, slots=True)
class Patient:
    """The texts of one made-up patient's visit."""

    nhc: str
    name: str
    birth_date: str
    allergy: str
    diagnosis: str
    phone: str
    street: str
    said: str
    printed: str
    asked: str
    spoken: str
    file: str
    recording: str
    mail: str

    def values(self) -> list[str]:
        return [getattr(self, each.name) for each in fields(self)]

    def form(self) -> aiohttp.FormData:
        form = aiohttp.FormData(quote_fields=False, default_to_multipart=True)
        ehr = {
            "nhc": self.nhc,
            "name": self.name,
            "birth_date": self.birth_date,
            "alergias": [self.allergy],
            "contacto": {"teléfono": self.phone, "calle": self.street, self.diagnosis: True},
        }
        form.add_field("ehr", json.dumps(ehr))
        form.add_field("conversation", self.said)
        paper = samples.pdf([self.printed])
        form.add_field("files", paper, filename=self.file, content_type="application/pdf")
        return form


def patients() -> Iterator[Patient]:
    for number in range(len(_MODES)):
        made_up = {each.name: f"xq{each.name}{number}zw".replace("_", "") for each in fields(Patient)}
        special = {
            "birth_date": f"190{number}-02-1{number}",
            "file": f"xqinforme{number}zw.pdf",
            "recording": f"xqgrabado{number}zw.wav",
            "mail": f"xqcorreo{number}zw@clinica.example",
        }
        yield Patient(**{**made_up, **special})


def sandbox_with(all_of_them: Mapping[int, Patient]) -> SandboxConfig:
    """Returns a sandbox that hears what each patient says in their recording."""
    spoken = {sha256(_sound(number)).hexdigest(): each.spoken for number, each in all_of_them.items()}
    return SandboxConfig(transcripts=spoken)


async def plant(api: Api, all_of_them: Mapping[int, Patient]) -> list[str]:
    """Calls every route for each patient, well and badly, in another mode for each; returns all secrets."""
    secrets = [API_KEY, _WRONG_KEY, "sandbox-chat-key", "sandbox-webhook-secret"]
    for number, mode in enumerate(_MODES):
        for route in ROUTES:
            change = Change(actor="ana", route=route, mode=mode, reason="another mode for each")
            await api.proxy.deps.store.overrides.change(change, expected=None, at=api.clock())
        await api.proxy.moving.follower.catch_up()
        secrets += [*all_of_them[number].values(), *await _visit(api, number, all_of_them[number])]
    await api.proxy.moving.shadow.idle()
    await api.proxy.moving.recorder.flush()
    return secrets


async def _visit(api: Api, number: int, patient: Patient) -> list[str]:
    identity = {**IDENTITY, "user_mail": patient.mail}
    made = await api.new_case(patient.form(), user_mail=patient.mail)
    case, headers = made["michiq_uuid"], bearer(made["token"])
    audio = aiohttp.FormData()
    audio.add_field("audioChunk", _sound(number), filename=patient.recording, content_type="audio/wav")
    new_case = "/michiQ/newCase"
    calls: list[tuple[str, str, dict[str, Any]]] = [
        ("POST", f"/michiQ/uploadAudio/{case}", {"data": audio}),
        ("POST", f"/michiQ/speechToText/{case}", {"json": {"audioFile": patient.recording}}),
        ("POST", f"/michiQ/query/{case}", {"json": {"query": patient.asked}}),
        ("POST", f"/michiQ/query/{case}", {"data": f'{{"query": "{patient.asked}"'}),
        ("GET", f"/michiQ/doc/{case}", {}),
        ("GET", "/michiQ/encounters", {}),
        ("GET", f"/app/encounter/{case}", {}),
        ("DELETE", f"/michiQ/doc/{case}", {}),
        ("GET", f"/michiQ/doc/{patient.nhc}", {}),
        ("GET", f"/{patient.name}?q={made['token']}", {}),
        ("POST", "/webhooks/llamalitica", {"json": {"event": patient.name}}),
        ("POST", new_case, {"data": patient.form(), "headers": {**identity, "API_KEY": _WRONG_KEY}}),
    ]
    answered = await _send(api, calls, headers)
    assert patient.spoken in answered, "nothing was transcribed"
    # The platform loses an answer, and every system fails.
    api.sandbox.llamalitica.faults.add(Fault(kind="cut_after_body", method="POST", path_prefix="/api/cases"))
    await _send(api, [("POST", new_case, {"data": patient.form(), "headers": identity})], {})
    for system in (api.sandbox.llamalitica, api.sandbox.llamachat, api.sandbox.michiq):
        system.faults.add(Fault(kind="status", times=3))
    await _send(api, calls[2:7:2], headers)
    for system in (api.sandbox.llamalitica, api.sandbox.llamachat, api.sandbox.michiq):
        system.faults.clear()
    return [made["token"], made["token"].rpartition(".")[2]]


async def _send(api: Api, calls: list[tuple[str, str, dict[str, Any]]], headers: dict[str, str]) -> str:
    answered = ""
    for method, path, more in calls:
        async with api.http.request(method, URL(api.url + path), **{"headers": headers, **more}) as response:
            answered += await response.text()
    return answered


def _sound(number: int) -> bytes:
    return samples.wav(1 + number)


def spelt_out(text: str) -> str:
    """Returns a page's text without the escapes of HTML, JSON and addresses, in lower case."""
    return unquote_plus(html.unescape(text)).replace("\\/", "/").lower()
