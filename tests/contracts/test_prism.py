"""A second opinion: Prism, which serves our description of the new API, stands in for the sandbox.

What Prism 5.14 refuses of a form that is as described, and why: it reads every part as text and never as the
JSON or the file that it is, so `patientMetadata` "must be object"; of parts with one name it keeps the last
one, so `files` "must be array". Both are its own limits (OpenAPI 3.1.0, "Special Considerations for multipart
Content"), and so the first test serves it a copy of the description with two texts in their place. It splits
part headers at every semicolon, in quotes or not: a file called `a;b.txt` ends its process, so there is none
here. What is left is its opinion of paths, security, headers and names of parts, and of how its answers are
read.
"""

import asyncio
import os
import socket
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp
from ruamel.yaml import YAML

from tests import samples
from tests.conftest import IDENTITY, ROOT, StartProxy, bearer, case_form
from tests.contracts.description import CONTRACTS, LLAMALITICA
from tests.docker.tools import tool

SERVE: Final = ROOT / "tests" / "contracts" / "prism" / "serve.sh"
SECONDS: Final = 120  # the first time, Prism is installed


@dataclass
class Prism:
    """A running mock, and what it has said so far."""

    url: str
    process: Process
    said: str = ""

    async def until(self, text: str) -> None:
        assert self.process.stdout
        async with asyncio.timeout(SECONDS):
            while text not in self.said:
                line = await self.process.stdout.readline()
                assert line, f"Prism ended before {text!r}: {self.said}"
                self.said += line.decode()


@asynccontextmanager
async def prism(description: Path) -> AsyncIterator[Prism]:
    """Skipped where Node is missing; fails instead where CI=true."""
    tool("node")
    tool("npm")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        *("bash", str(SERVE), str(port), str(description)),
        env={**os.environ, "NO_COLOR": "1"},
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=STDOUT,
    )
    try:
        mock = Prism(f"http://127.0.0.1:{port}", process)
        await mock.until("Prism is listening")
        yield mock
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()


def _with_text_parts(folder: Path) -> Path:
    """The description as Prism can judge it."""
    yaml = YAML(typ="safe")
    document: Any = yaml.load(CONTRACTS / "llamalitica.yaml")
    form = document["paths"]["/api/cases"]["post"]["requestBody"]["content"]["multipart/form-data"]
    form["schema"]["properties"] = {name: {"type": "string"} for name in form["schema"]["properties"]}
    del form["examples"]
    path = folder / "llamalitica.yaml"
    yaml.dump(document, path)
    return path


def _form() -> aiohttp.FormData:
    form = case_form(ehr='{"nhc": "p-1", "name": "José Núñez"}', conversation="Tengo fiebre.")
    pdf = samples.pdf(["Temperatura 38.7 C."])
    form.add_field("files", pdf, filename="informe año.pdf", content_type="application/pdf")
    return form


async def test_a_new_case_goes_through_the_proxy_to_prism_and_back(
    start_proxy: StartProxy, tmp_path: Path
) -> None:
    async with (
        prism(_with_text_parts(tmp_path)) as mock,
        start_proxy(MICHIQ_LLAMALITICA_API_URL=mock.url, MICHIQ_LLAMALITICA_WEB_URL=mock.url) as api,
    ):
        made = await api.new_case(_form())
        example = _example("createCase")
        assert (made["michiq_uuid"], made["token"]) == (
            example["caseId"],
            _example("me")["user"]["accessToken"],
        )
        async with api.http.get(
            f"{api.url}/michiQ/doc/{made['michiq_uuid']}", headers=bearer(made["token"])
        ) as response:
            assert (await response.json())["document"]["timestamp"] == example["createdAt"]
        await mock.until("post /api/cases")
        await mock.until('Responding with "200"')
        assert "Violation" not in mock.said, mock.said
    assert api.sandbox.llamalitica.calls == []


async def test_prism_refuses_the_form_as_described_and_the_client_gets_the_documented_500(
    start_proxy: StartProxy,
) -> None:
    async with (
        prism(CONTRACTS / "llamalitica.yaml") as mock,
        start_proxy(MICHIQ_LLAMALITICA_API_URL=mock.url, MICHIQ_LLAMALITICA_WEB_URL=mock.url) as api,
        api.http.post(f"{api.url}/michiQ/newCase", data=_form(), headers=IDENTITY) as response,
    ):
        assert (response.status, await response.text()) == (500, "Error al guardar el documento")
        await mock.until("Violation: request.body.patientMetadata")
        await mock.until("Violation: request.body.files")


def _example(operation_id: str) -> Any:
    """The description's own example of an operation's success."""
    operations = [each for methods in LLAMALITICA.operations.values() for each in methods.values()]
    [operation] = [each for each in operations if each["operationId"] == operation_id]
    [example] = operation["responses"]["200"]["content"]["application/json"]["examples"].values()
    return example["value"]
