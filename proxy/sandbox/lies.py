"""Lies of the legacy server, on demand: each breaks one row of the contract, as a bug would."""

from collections.abc import Mapping, Set
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from proxy.sandbox.answers import json_answer
from proxy.sandbox.lying import (
    Lie,
    another_token,
    having,
    in_an_object,
    in_ascii,
    inside,
    instead,
    made_up,
    named,
    no_allow,
    no_head,
    of_documents,
    of_each,
    of_json,
    on,
    other_id,
    other_method,
    renamed,
    retyped,
    text,
    turned_round,
    with_token,
    without,
)

# The server itself tells these, because they need its stored data.
FOREIGN_DOCUMENT: Final = "foreign_document"
OTHERS_ENCOUNTERS: Final = "others_encounters"


def middleware(active: Set[str]) -> Middleware:
    """Applies the lies that `active` names at the time of the call, in the order of LIES."""

    @web.middleware
    async def lying(request: web.Request, handler: Handler) -> web.StreamResponse:
        answer = await handler(request)
        for name in (name for name in LIES if name in active):
            if isinstance(answer, web.Response):
                answer = LIES[name](request, answer) or answer
        return answer

    return lying


_BAD_TOKEN: Final = "Authorization token missing or invalid"  # noqa: S105  the document's wording

LIES: Final[Mapping[str, Lie]] = {
    "wrong_method_in_english": other_method,
    "no_allow": no_allow,
    "head_refused": no_head,
    "bad_token_forbidden": instead("doc", 401, text(403, _BAD_TOKEN)),
    "bad_token_let_in": instead("encounters", 401, lambda: json_answer([])),
    "bad_token_in_other_words": instead("encounters", 401, text(401, _BAD_TOKEN)),
    "key_cased_otherwise": of_json("newCase", renamed("voice", "Voice")),
    "key_missing": of_json("newCase", without("message")),
    "key_too_many": of_json("newCase", having(patient="Prueba")),
    "message_changed": of_json("newCase", having(message="Welcome")),
    "count_negative": of_json("newCase", having(documents=-1)),
    "count_as_text": of_json("newCase", having(voice="12")),
    "wrong_key_let_in": instead("newCase", 401, made_up, lambda r: named(r) and not with_token(r)),
    "nobody_is_a_bad_request": instead("newCase", 401, text(400, "Unauthorized"), lambda r: not named(r)),
    "token_changed": on("newCase", 200, another_token),
    "foreign_token_let_in": instead("newCase", 401, made_up, with_token),
    "bad_ehr_is_a_bad_request": instead("newCase", 500, text(400, "Error al leer la historia clínica")),
    "server_errors_in_english": instead("newCase", 500, text(500, "Internal Server Error")),
    "file_lost": of_documents(lambda documents: documents[:-1]),
    "files_swapped": of_documents(lambda documents: documents[::-1]),
    "file_name_mangled": of_documents(
        lambda documents: [{"name": "document.pdf", "text": ""} for _ in documents]
    ),
    "documents_uncounted": of_json("newCase", having(documents=0)),
    "too_large_is_an_error": instead("newCase", 413, text(500, "Error al guardar el documento")),
    "document_key_cased_otherwise": of_json(
        "doc", inside("metadata", renamed("creationDate", "creation_date"))
    ),
    "document_said_to_be_text": retyped("doc", "text/plain; charset=utf-8"),
    "document_of_another_id": of_json("doc", inside("document", having(michiq_uuid="inventado"))),
    "time_not_rfc3339": of_json("doc", inside("document", having(timestamp="2024-01-01 12:00:00"))),
    "unknown_document_null": instead("doc", 404, lambda: json_answer(None)),
    "unknown_document_as_json": instead("doc", 404, lambda: json_answer({"error": "Not Found"}, 404)),
    "encounters_swapped": on("encounters", 200, turned_round),
    "field_missing": of_each(without("StructuredData")),
    "integer_with_a_fraction": of_each(having(TokensInput=12.0)),
    "time_as_number": of_each(having(Timestamp=1_700_000_000)),
    "encounters_in_ascii": on("encounters", 200, in_ascii),
    "encounters_in_an_object": on("encounters", 200, in_an_object),
    "response_key_cased_otherwise": of_json("query", renamed("response", "Response")),
    "bad_question_is_our_error": instead("query", 400, text(500, "Error al generar la respuesta")),
    "bad_question_as_json": instead("query", 400, lambda: json_answer({"error": "query"}, 400)),
    "upload_of_another_id": on("uploadAudio", 200, other_id),
    "upload_in_latin1": retyped("uploadAudio", "text/plain; charset=iso-8859-1"),
    "bad_upload_taken": instead("uploadAudio", 400, text(200, "Archivo subido exitosamente con UUID: 1")),
    "time_of_speech_short": of_json("speechToText", having(totalSpeechTextTime="0:0:1")),
    "transcription_missing": of_json("speechToText", without("transcription")),
    "no_audio_is_an_error": instead("speechToText", 400, text(500, "Error al transcribir el audio")),
    "page_of_another_unknown": instead("encounter", 403, text(404, "Not Found")),
    "unknown_page_shown": instead("encounter", 404, lambda: json_answer({})),
}
NAMES: Final = frozenset(LIES) | {FOREIGN_DOCUMENT, OTHERS_ENCOUNTERS}
