"""The legacy server's audio routes: uploadAudio and speechToText."""

import asyncio
import re
import tempfile
from pathlib import PurePosixPath
from typing import BinaryIO, Final

from aiohttp import web

from proxy.audio.duration import BadAudio, hms, seconds
from proxy.jsons import BadJson, load_object
from proxy.sandbox.answers import BadBody, Refused, json_answer, text_answer
from proxy.sandbox.bodies import read
from proxy.sandbox.forms import Part, read_form
from proxy.sandbox.michiq_records import Owner, Recording
from proxy.sandbox.michiq_server import BAD_TOKEN, MICHIQ, Michiq
from proxy.sandbox.service import note
from proxy.sandbox.speech import HEAD, container, opens, transcript
from proxy.values import Json

AUDIO_LIMIT: Final = 100 * 1024 * 1024
FORM_OVERHEAD: Final = 64 * 1024
ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


async def upload_audio(request: web.Request) -> web.Response:
    """Answers POST /michiQ/uploadAudio/{id} (CONTRACT U01–U05)."""
    server = request.app[MICHIQ]
    owner = server.authorized(request)
    legacy_id = request.match_info["id"]
    _may_use(server, owner, legacy_id)
    with tempfile.TemporaryFile() as chunk:
        part = await _chunk(request, chunk)
        await asyncio.to_thread(_take, server.recordings.setdefault((owner, legacy_id), []), part, chunk)
    return text_answer(f"Archivo subido exitosamente con UUID: {legacy_id}")


def _may_use(server: Michiq, owner: Owner, legacy_id: str) -> None:
    if not ID.fullmatch(legacy_id):
        raise Refused(400, "ID no válido")
    encounter = server.encounters.get(legacy_id)
    if encounter is not None and encounter.owner != owner:
        raise Refused(401, BAD_TOKEN)


async def _chunk(request: web.Request, target: BinaryIO) -> Part:
    """Returns the one `audioChunk` of the form; writes its bytes to `target`."""
    limit = AUDIO_LIMIT + FORM_OVERHEAD
    try:
        parts = await read_form(request, limit=limit, keep=HEAD, copy=target.write)
    except BadBody as bad:
        raise Refused(bad.status, "Formulario no válido") from None
    note(request, parts=[part.summary() for part in parts])
    chunks = [part for part in parts if part.name == "audioChunk" and part.filename is not None]
    if len(chunks) != 1 or len(parts) != 1 or not chunks[0].size:
        raise Refused(400, "Archivo de audio no proporcionado")
    return chunks[0]


def _take(recordings: list[Recording], part: Part, chunk: BinaryIO) -> None:
    current = recordings[-1] if recordings else None
    repeated = current is not None and part.sha256 == current.last_chunk
    if current is None or (opens(part.body, current.container) and not repeated):
        file = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the server does
        current = Recording(part.filename or "", container(part.body), file)
        recordings.append(current)
    current.append(chunk, part.sha256)


async def speech_to_text(request: web.Request) -> web.Response:
    """Answers POST /michiQ/speechToText/{id} with the text of the named recording, else of all.

    The rows are CONTRACT S01–S03.
    """
    server = request.app[MICHIQ]
    owner = server.authorized(request)
    legacy_id = request.match_info["id"]
    chosen = _chosen(server.recordings.get((owner, legacy_id), []), await _label(request))
    if not chosen:
        raise Refused(400, "No hay audio para este ID")
    texts = [transcript(recording.sha256, server.config.transcripts) for recording in chosen]
    lengths = [await _seconds(recording) for recording in chosen]
    encounter = server.own(legacy_id, owner)
    if encounter is not None:
        encounter.transcriptions.update(zip((r.sha256 for r in chosen), texts, strict=True))
    names: list[Json] = [recording.filename for recording in chosen]
    segments: list[Json] = [
        {"audioFile": recording.filename, "transcription": text, "seconds": length}
        for recording, text, length in zip(chosen, texts, lengths, strict=True)
    ]
    return json_answer(
        {
            "transcription": "\n".join(texts),
            "totalSpeechTextTime": hms(sum(lengths)),
            "michiq_uuid": legacy_id,
            "segments": segments,
            "audioFiles": names,
        }
    )


async def _label(request: web.Request) -> str | None:
    """Returns the last component of the body's `audioFile`; None without a body or without that key."""
    body = await read(request)
    try:
        label = load_object(body).get("audioFile") if body.strip() else None
    except BadJson:
        raise Refused(400, "Error al procesar la solicitud") from None
    if label is not None and not isinstance(label, str):
        raise Refused(400, "Error al procesar la solicitud")
    return PurePosixPath(label.replace("\\", "/")).name if label else None


def _chosen(recordings: list[Recording], label: str | None) -> list[Recording]:
    return [recording for recording in recordings if recording.filename == label] or recordings


async def _seconds(recording: Recording) -> float:
    try:
        return await asyncio.to_thread(_measured, recording.file)
    except BadAudio:
        raise Refused(500, "Error al transcribir el audio") from None


def _measured(file: BinaryIO) -> float:
    file.seek(0)
    return seconds(file)
