"""The session of the legacy document, from newCase to the webhook's report, on real sockets."""

import asyncio
import json
from typing import Any, Final

import aiohttp
import pytest
from yarl import URL

from proxy.sandbox import SandboxConfig
from tests import samples
from tests.conftest import ROOT, Api, StartProxy, bearer, case_form

SESSION: Final = ROOT / "examples" / "session"


@pytest.mark.on_both
async def test_the_session_of_the_legacy_document_works_from_new_case_to_the_report(api: Api) -> None:
    pdf = (SESSION / "historial.pdf").read_bytes()
    form = case_form(ehr=(SESSION / "ehr.json").read_text("utf-8"), conversation="Tengo fiebre.")
    form.add_field("files", pdf, filename="historial.pdf", content_type="application/pdf")
    made = await api.new_case(form)
    legacy_id, headers = made["michiq_uuid"], bearer(made["token"])
    assert api.sandbox.llamalitica.cases[legacy_id].files[0].size == len(pdf)

    for chunk in samples.webm_chunks(7, 3):
        audio = aiohttp.FormData()
        audio.add_field("audioChunk", chunk, filename="consulta.webm", content_type="audio/webm")
        async with api.http.post(
            f"{api.url}/michiQ/uploadAudio/{legacy_id}", data=audio, headers=headers
        ) as response:
            assert await response.text() == f"Archivo subido exitosamente con UUID: {legacy_id}"

    heard = await _json(
        api, "POST", f"/michiQ/speechToText/{legacy_id}", headers, {"audioFile": "a/consulta.webm"}
    )
    assert heard["totalSpeechTextTime"] == "00:00:07"
    assert heard["transcription"]

    question = {"query": "¿A qué medicamento tuvo una alergia grave?"}
    told = await _json(api, "POST", f"/michiQ/query/{legacy_id}", headers, question)
    assert "penicilina" in told["response"]

    await api.sandbox.llamalitica.webhooks.idle()
    newest = max(api.sandbox.llamalitica.reports.values(), key=lambda report: report.at)
    doc = await _json(api, "GET", f"/michiQ/doc/{legacy_id}", headers)
    assert doc["document"]["generated_text"] == newest.content
    assert doc["metadata"]["fileExtension"] == ".pdf"

    [encounter] = await _json(api, "GET", "/michiQ/encounters", headers)
    assert encounter["MichiqUUID"] == legacy_id
    assert heard["transcription"] in encounter["Input"]["conversation"]

    page = await _json(api, "GET", f"/app/encounter/{legacy_id}", headers)
    for url in page["urls"].values():
        async with api.http.get(URL(url, encoded=True)) as response:
            assert response.status == 200, url


async def test_the_example_script_completes_the_session_with_curl_alone(start_proxy: StartProxy) -> None:
    async with start_proxy(config=SandboxConfig()) as api:
        script = await asyncio.create_subprocess_exec(
            "bash",
            str(ROOT / "examples" / "legacy-session.sh"),
            api.url,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        async with asyncio.timeout(60):
            output, _ = await script.communicate()
        assert output.decode().endswith("session complete\n"), output.decode()


async def _json(
    api: Api, method: str, path: str, headers: dict[str, str], body: dict[str, str] | None = None
) -> Any:
    async with api.http.request(method, api.url + path, json=body, headers=headers) as response:
        text = await response.text()
        assert response.status == 200, text
        return json.loads(text)
