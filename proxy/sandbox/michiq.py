"""A legacy michiQ server as documented: the app, with doc, encounters, query and the encounter page."""

import re
from collections.abc import AsyncIterator

from aiohttp import web

from proxy.sandbox import lies
from proxy.sandbox.answers import BadBody, Refused, json_answer
from proxy.sandbox.bodies import read_object
from proxy.sandbox.extractive import reply
from proxy.sandbox.faults import CONTROL_PREFIX
from proxy.sandbox.michiq_audio import speech_to_text, upload_audio
from proxy.sandbox.michiq_new_case import new_case
from proxy.sandbox.michiq_server import MICHIQ, Michiq
from proxy.times import rfc3339
from proxy.values import Json


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
            web.post(f"{CONTROL_PREFIX}lies", begin_to_lie),
            web.delete(f"{CONTROL_PREFIX}lies", end_all_lies),
        ]
    )
    app[MICHIQ] = server
    app.middlewares.insert(0, lies.middleware(server.lies))
    app.cleanup_ctx.append(_closing)
    return app


async def _closing(app: web.Application) -> AsyncIterator[None]:
    yield
    app[MICHIQ].close()


async def begin_to_lie(request: web.Request) -> web.Response:
    """Answers POST /_sandbox/lies: `{"lie": NAME}` changes one thing in the answers from now on."""
    server, lie = request.app[MICHIQ], (await read_object(request)).get("lie")
    if not isinstance(lie, str) or lie not in lies.LIES:
        raise Refused(400, "Unknown lie")
    server.lies.add(lie)
    return json_answer({"lies": [*sorted(server.lies)]})


async def end_all_lies(request: web.Request) -> web.Response:
    """Answers DELETE /_sandbox/lies: all answers are true again."""
    request.app[MICHIQ].lies.clear()
    return json_answer({"lies": []})


async def doc(request: web.Request) -> web.Response:
    """Answers GET /michiQ/doc/{id} (CONTRACT D01–D03)."""
    server = request.app[MICHIQ]
    encounter = server.own(request.match_info["id"], server.authorized(request))
    if lies.FOREIGN_DOCUMENT in server.lies:
        encounter = server.encounters.get(request.match_info["id"])
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
    """Answers GET /michiQ/encounters, newest first (CONTRACT L01–L03)."""
    server = request.app[MICHIQ]
    owner = server.authorized(request, "Error al obtener el token de autorización")
    everyone = lies.OTHERS_ENCOUNTERS in server.lies
    listed = [each.fields() for each in server.encounters.values() if everyone or each.owner == owner]
    return json_answer(list(reversed(listed)))


async def query(request: web.Request) -> web.Response:
    """Answers POST /michiQ/query/{id} (CONTRACT Q01, Q02); a missing `query` counts as an empty one."""
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
    """Answers GET /app/encounter/{id} with the case's details (CONTRACT E01)."""
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
