"""The legacy server's newCase: reads the form, checks its ehr and files, and makes an encounter."""

import asyncio
from datetime import timedelta
from typing import Final

from aiohttp import web

from proxy.jsons import RECORD, BadJson, load_object
from proxy.sandbox.answers import BadBody, Refused, json_answer
from proxy.sandbox.forms import Part, read_form
from proxy.sandbox.michiq_records import Document, Encounter
from proxy.sandbox.michiq_server import MICHIQ
from proxy.sandbox.service import note
from proxy.text.extract import extract, kind_of
from proxy.values import Json

FORM_LIMIT: Final = 10 * 1024 * 1024
MAX_PARTS: Final = 64
FORM_TEXTS: Final = {
    400: "Formulario no válido",
    413: "Formulario demasiado grande",
    415: "Codificación no admitida",
}


async def new_case(request: web.Request) -> web.Response:
    """Answers POST /michiQ/newCase (CONTRACT N01, N03–N08, N10–N16)."""
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
        records = [load_object(part.body, rules=RECORD) for part in given]
    except BadJson:
        raise Refused(500, "Error al leer la historia clínica") from None
    return records[0] if records else None


async def _document(part: Part) -> Document:
    name, media_type = part.filename or "", part.content_type or ""
    extraction = await asyncio.to_thread(extract, part.body, name, media_type)
    if extraction.outcome == "damaged" and kind_of(part.body, name, media_type) == "pdf":
        raise Refused(500, "Error al leer el archivo PDF")
    return Document(name, extraction.text)


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin1")
