"""A legacy michiQ server: newCase, doc, encounters, query and the encounter page, as documented."""

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Final

from aiohttp import web

from proxy.jsons import BadJson, load_object
from proxy.sandbox.answers import BadBody, Refused, json_answer
from proxy.sandbox.bodies import read_object
from proxy.sandbox.config import rfc3339
from proxy.sandbox.extractive import reply
from proxy.sandbox.forms import Part, read_form
from proxy.sandbox.michiq_audio import speech_to_text, upload_audio
from proxy.sandbox.michiq_records import Document, Encounter
from proxy.sandbox.michiq_server import MICHIQ, Michiq
from proxy.sandbox.service import note
from proxy.text.extract import extract
from proxy.values import Json

FORM_LIMIT: Final = 10 * 1024 * 1024
MAX_PARTS: Final = 64
FORM_TEXTS: Final = {
    400: "Formulario no válido",
    413: "Formulario demasiado grande",
    415: "Codificación no admitida",
}


def create_app(server: Michiq) -> web.Application:
    app = server.application(
        [
            web.post("/michiQ/newCase", new_case),
            web.get("/michiQ/doc/{id}", doc),
            web.get("/michiQ/encounters", encounters),
            web.post("/michiQ/query", query),
            web.post("/michiQ/query/", query),
            web.post("/michiQ/query/{id}", query),
            web.post("/michiQ/uploadAudio/{id}", upload_audio),
            web.post("/michiQ/speechToText/{id}", speech_to_text),
            web.get("/app/encounter/{id}", encounter_page),
        ]
    )
    app[MICHIQ] = server
    app.cleanup_ctx.append(_closing)
    return app


async def _closing(app: web.Application) -> AsyncIterator[None]:
    yield
    app[MICHIQ].close()


async def new_case(request: web.Request) -> web.Response:
    """POST /michiQ/newCase (CONTRACT N01, N03–N08, N10–N16)."""
    server = request.app[MICHIQ]
    started = server.config.clock()
    owner = server.identified(request)
    token = server.session(request, owner)
    parts = await _form(request)
    ehr = _ehr(parts)
    documents = tuple([await _document(part) for part in parts if part.name == "files"])
    now = server.config.clock()
    encounter = Encounter(
        id=server.config.new_uuid(),
        owner=owner,
        created_at=now,
        runtime_ms=(now - started) // timedelta(milliseconds=1),
        conversation="\n".join(_text(part.body) for part in parts if part.name == "conversation"),
        ehr=ehr,
        documents=documents,
        template=request.headers.get("template") or None,
    )
    server.encounters[encounter.id] = encounter
    message = "You are inside llamalitica services"
    return json_answer({"michiq_uuid": encounter.id, "token": token, "message": message, **encounter.counts})


async def _form(request: web.Request) -> list[Part]:
    try:
        parts = await read_form(request, limit=FORM_LIMIT, max_parts=MAX_PARTS, keep=FORM_LIMIT)
    except BadBody as bad:
        raise Refused(bad.status, FORM_TEXTS.get(bad.status, bad.text)) from None
    note(request, parts=[part.summary() for part in parts])
    return parts


def _ehr(parts: list[Part]) -> Json:
    given = [part for part in parts if part.name == "ehr"]
    try:
        records = [load_object(part.body) for part in given]
    except BadJson:
        raise Refused(500, "Error al leer la historia clínica") from None
    return records[0] if records else None


async def _document(part: Part) -> Document:
    name, media_type = part.filename or "", part.content_type or ""
    extraction = await asyncio.to_thread(extract, part.body, name, media_type)
    if extraction.outcome == "damaged" and _is_pdf(name, media_type, part.body):
        raise Refused(500, "Error al leer el archivo PDF")
    return Document(name, extraction.text)


def _is_pdf(name: str, media_type: str, body: bytes) -> bool:
    declared = name.lower().endswith(".pdf") or media_type.lower().startswith("application/pdf")
    return declared or body.startswith(b"%PDF-")


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin1")


async def doc(request: web.Request) -> web.Response:
    """GET /michiQ/doc/{id} (CONTRACT D01–D03)."""
    server = request.app[MICHIQ]
    encounter = server.own(request.match_info["id"], server.authorized(request))
    if encounter is None:
        raise Refused(404, "Not Found")
    metadata: Json = {
        "username": encounter.owner.user,
        "creationDate": rfc3339(encounter.created_at),
        "fileExtension": encounter.file_extension,
    }
    document: Json = {_snake_case(name): value for name, value in encounter.fields().items()}
    return json_answer({"document": document, "metadata": metadata})


def _snake_case(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


async def encounters(request: web.Request) -> web.Response:
    """GET /michiQ/encounters, newest first (CONTRACT L01–L03)."""
    server = request.app[MICHIQ]
    owner = server.authorized(request, "Error al obtener el token de autorización")
    own = [encounter.fields() for encounter in server.encounters.values() if encounter.owner == owner]
    return json_answer(list(reversed(own)))


async def query(request: web.Request) -> web.Response:
    """POST /michiQ/query/{id} (CONTRACT Q01, Q02); a missing `query` counts as an empty one."""
    server = request.app[MICHIQ]
    owner = server.authorized(request)
    if not request.match_info.get("id"):
        raise Refused(400, "ID audio no proporcionado")
    question = await _question(request)
    encounter = server.own(request.match_info["id"], owner)
    if encounter is None:
        raise Refused(400, "Error al procesar la solicitud")
    return json_answer({"response": reply([f"{encounter.text}\n{' '.join(question.split())}"])})


async def _question(request: web.Request) -> str:
    try:
        question = (await read_object(request)).get("query", "")
    except BadBody:
        raise Refused(400, "Error al procesar la solicitud") from None
    if not isinstance(question, str):
        raise Refused(400, "Error al procesar la solicitud")
    if not question.strip():
        raise Refused(400, "Query no proporcionada")
    return question


async def encounter_page(request: web.Request) -> web.Response:
    """GET /app/encounter/{id}: the case's details (CONTRACT E01)."""
    server = request.app[MICHIQ]
    owner = server.authorized(request)
    encounter = server.encounters.get(request.match_info["id"])
    if encounter is None:
        raise Refused(404, "Not Found")
    if encounter.owner != owner:
        raise Refused(403, "Forbidden")
    files: list[Json] = [document.name for document in encounter.documents]
    return json_answer(
        {
            "michiq_uuid": encounter.id,
            "timestamp": rfc3339(encounter.created_at),
            "username": owner.user,
            "organization": owner.organization,
            "files": files,
        }
    )
