"""The floor: `python -m tests.bench.floor` translates the busy routes by plain aiohttp.

web.Server without router or middlewares, one ClientSession. No store, no journal, no limits, no log: what
the framework costs an honest translation that streams.
"""

import asyncio
import json
import os
import ssl
import sys
from collections.abc import AsyncIterator
from typing import Any, Final

import aiohttp
import uvloop
from aiohttp import BodyPartReader, MultipartReader, web

MESSAGE: Final = "You are inside llamalitica services"
_PIECE: Final = 64 * 1024
_BOUNDARY: Final = "bench-3f6c1d0a9be84721"
_FORM: Final = {"Content-Type": f"multipart/form-data; boundary={_BOUNDARY}"}
_HOP_BY_HOP: Final = frozenset(
    {"connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "host"}
)
_REFUSED: Final = {401: 401}


class Floor:
    """The routes; conversations are all that it remembers."""

    def __init__(self, http: aiohttp.ClientSession, new: str, legacy: str, chat_key: str) -> None:
        self._http = http
        self._new = new
        self._legacy = legacy
        self._chat = {"X-API-KEY": chat_key}
        self._conversations: dict[str, str] = {}

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        method, path = request.method, request.path
        _, _, route, *rest = [*path.split("/"), ""]
        if method == "POST" and route == "newCase":
            return await self._new_case(request)
        if method == "POST" and route == "query":
            return await self._query(request, rest[0])
        if method == "POST" and route == "uploadAudio":
            return await self._upload_audio(request, rest[0])
        return await self._pass_through(request)

    async def _new_case(self, request: web.BaseRequest) -> web.Response:
        given = request.headers
        if "API_KEY" not in given or "user_mail" not in given:
            return web.Response(status=401, text="Unauthorized")
        headers = {"X-API-KEY": given["API_KEY"], "X-USER-EMAIL": given["user_mail"]}
        async with self._http.get(f"{self._new}/api/users/me", headers=headers) as answer:
            if answer.status != 200:
                return web.Response(status=_REFUSED.get(answer.status, 502))
            token = (await answer.json())["user"]["accessToken"]
        counted: dict[str, int] = {"voice": 0, "ehr": 0, "documents": 0}
        body = _case_form(await request.multipart(), counted)
        async with self._http.post(f"{self._new}/api/cases", headers=headers | _FORM, data=body) as answer:
            if answer.status != 200:
                return web.Response(status=502)
            case = (await answer.json())["caseId"]
        return web.json_response({"michiq_uuid": case, "token": token, "message": MESSAGE, **counted})

    async def _query(self, request: web.BaseRequest, case: str) -> web.Response:
        if "Authorization" not in request.headers:
            return web.Response(status=401, text="Authorization token missing or invalid")
        question = (await request.json()).get("query")
        if case not in self._conversations:
            async with self._http.post(f"{self._new}/api/conversations", headers=self._chat) as answer:
                self._conversations[case] = (await answer.json())["id"]
        url = f"{self._new}/api/conversations/{self._conversations[case]}/messages"
        async with self._http.post(url, headers=self._chat, json={"content": question}) as answer:
            if answer.status != 200:
                return web.Response(status=500)
            return web.json_response({"response": (await answer.json())["content"]})

    async def _upload_audio(self, request: web.BaseRequest, case: str) -> web.Response:
        if "Authorization" not in request.headers:
            return web.Response(status=401, text="Authorization token missing or invalid")
        body, headers = _audio_form(await request.multipart()), self._chat | _FORM
        async with self._http.post(f"{self._new}/api/transcription", headers=headers, data=body) as answer:
            await answer.read()
            return web.Response(status=200 if answer.status == 200 else 500, text=case)

    async def _pass_through(self, request: web.BaseRequest) -> web.StreamResponse:
        sent = [(name, value) for name, value in request.headers.items() if name.lower() not in _HOP_BY_HOP]
        data = request.content if request.can_read_body else None
        url = self._legacy + request.path_qs
        async with self._http.request(request.method, url, headers=sent, data=data) as answer:
            kept = [
                (name, value) for name, value in answer.headers.items() if name.lower() not in _HOP_BY_HOP
            ]
            return web.Response(status=answer.status, headers=kept, body=await answer.read())


async def _case_form(parts: MultipartReader, counted: dict[str, int]) -> AsyncIterator[bytes]:
    """The new form: the files as they come, and what is known of the patient behind them."""
    record: dict[str, Any] = {}
    async for part in parts:
        assert isinstance(part, BodyPartReader)
        if part.name == "files":
            counted["documents"] += 1
            yield _head("files", part.filename, part.headers.get("Content-Type", "application/octet-stream"))
            while piece := await part.read_chunk(_PIECE):
                yield piece
            yield b"\r\n"
        elif part.name == "ehr":
            record["ehr"] = await part.json()
            counted["ehr"] = 1
        else:
            record[part.name or ""] = text = await part.text()
            counted["voice"] = len(text.split())
    patient = record.get("ehr") or {}
    about = {"id": str(patient.get("id", "unknown")), "name": str(patient.get("name", "unknown")), **record}
    yield _head("patientMetadata", None, "application/json") + json.dumps(about).encode()
    yield f"\r\n--{_BOUNDARY}--\r\n".encode()


async def _audio_form(parts: MultipartReader) -> AsyncIterator[bytes]:
    async for part in parts:
        assert isinstance(part, BodyPartReader)
        yield _head("audio", part.filename, part.headers.get("Content-Type", "audio/wav"))
        while piece := await part.read_chunk(_PIECE):
            yield piece
        yield b"\r\n"
    yield f"--{_BOUNDARY}--\r\n".encode()


def _head(name: str, filename: str | None, content_type: str) -> bytes:
    shown = "" if filename is None else '; filename="{}"'.format(filename.replace('"', "%22"))
    disposition = f'Content-Disposition: form-data; name="{name}"{shown}'
    return f"--{_BOUNDARY}\r\n{disposition}\r\nContent-Type: {content_type}\r\n\r\n".encode()


def _trust(authorities: str | None) -> ssl.SSLContext | bool:
    if not authorities:
        return True
    context = ssl.create_default_context(cafile=authorities)
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # the bench's own certificate is its own authority
    return context


async def _serve(new: str, legacy: str, chat_key: str) -> None:
    connector = aiohttp.TCPConnector(limit=0, ssl=_trust(os.environ.get("FLOOR_CA_FILE")))
    async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as http:
        runner = web.ServerRunner(web.Server(Floor(http, new, legacy, chat_key), access_log=None))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, backlog=4096).start()
        sys.stdout.write(json.dumps({"event": "listening", "port": runner.addresses[0][1]}) + "\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(_serve(*sys.argv[1:]))
