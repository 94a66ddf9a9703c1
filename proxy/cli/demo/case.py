"""The demo's synthetic case: its files, the calls that make it, and the same calls as curl lines."""

import asyncio
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Final

import aiohttp

from proxy.contract.samples import pdf, tone

API_KEY: Final = "sandbox-api-key"
USER: Final = "ana@clinica.example"
OTHER_USER: Final = "eva@clinica.example"
ORGANIZATION: Final = "Clínica Norte"

_EHR: Final = {
    "nhc": "demo-0001",
    "name": "Paciente de Prueba",
    "birth_date": "1980-02-29",
    "alergias": ["penicilina"],
}
_REPORT: Final = "Informe de prueba. Tension arterial 120/80. Temperatura 38.7 C a las 21:00."
_SPOKEN: Final = "La paciente refiere fiebre desde ayer por la noche y tos seca."
_SECONDS: Final = 60
_HERTZ: Final = 440


@dataclass(frozen=True, slots=True)
class DemoCase:
    """A case that the proxy has made, and its token."""

    id: str
    token: str = field(repr=False)


def write_files(folder: Path) -> Mapping[str, str]:
    """Writes ehr.json, informe.pdf and consulta.wav; returns the recording's digest with its spoken text."""
    folder.mkdir(parents=True, exist_ok=True)
    recording = folder / "consulta.wav"
    (folder / "ehr.json").write_text(json.dumps(_EHR, ensure_ascii=False), "utf-8")
    (folder / "informe.pdf").write_bytes(pdf(_REPORT))
    recording.write_bytes(tone(_SECONDS, _HERTZ))
    return {sha256(recording.read_bytes()).hexdigest(): _SPOKEN}


async def make_case(url: str, folder: Path) -> DemoCase:
    """Sends one newCase and one uploadAudio, so that every printed line has a case to work on."""
    timeout = aiohttp.ClientTimeout(total=30)
    async with aiohttp.ClientSession(url, timeout=timeout, raise_for_status=True) as http:
        headers = {"API_KEY": API_KEY, "user_mail": USER, "organization": ORGANIZATION}
        form = aiohttp.FormData({"conversation": "Doctor: ¿Qué le pasa? Paciente: Tengo fiebre."})
        await _attach(form, "ehr", folder / "ehr.json", "application/json")
        await _attach(form, "files", folder / "informe.pdf", "application/pdf")
        async with http.post("/michiQ/newCase", data=form, headers=headers) as response:
            made = await response.json()
        audio = aiohttp.FormData()
        await _attach(audio, "audioChunk", folder / "consulta.wav", "audio/wav")
        bearer = {"Authorization": f"Bearer {made['token']}"}
        async with http.post(f"/michiQ/uploadAudio/{made['michiq_uuid']}", data=audio, headers=bearer):
            return DemoCase(made["michiq_uuid"], made["token"])


def curl_lines(url: str, folder: Path, case: DemoCase) -> Iterator[tuple[str, str]]:
    """Yields each legacy route with a line that works as pasted, in the folder where the demo was started."""
    bearer = f"-H 'Authorization: Bearer {case.token}'"
    identity = f"-H 'API_KEY: {API_KEY}' -H 'user_mail: {USER}' -H 'organization: {ORGANIZATION}'"
    files = f"-F 'ehr=@{folder}/ehr.json' -F 'files=@{folder}/informe.pdf'"
    yield "newCase", f"curl {identity} -F 'conversation=Tengo fiebre.' {files} {url}/michiQ/newCase"
    yield (
        "uploadAudio",
        f"curl {bearer} -F 'audioChunk=@{folder}/consulta.wav' {url}/michiQ/uploadAudio/{case.id}",
    )
    yield "speechToText", f"curl {bearer} -X POST {url}/michiQ/speechToText/{case.id}"
    question = """-H 'Content-Type: application/json' -d '{"query": "¿Qué temperatura tiene?"}'"""
    yield "query", f"curl {bearer} {question} {url}/michiQ/query/{case.id}"
    yield "doc", f"curl {bearer} {url}/michiQ/doc/{case.id}"
    yield "encounters", f"curl {bearer} {url}/michiQ/encounters"
    yield "encounter page", f"curl {bearer} {url}/app/encounter/{case.id}"


async def _attach(form: aiohttp.FormData, name: str, path: Path, content_type: str) -> None:
    content = await asyncio.to_thread(path.read_bytes)
    form.add_field(name, content, filename=path.name, content_type=content_type)
