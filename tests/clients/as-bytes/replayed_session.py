"""The session of the legacy document, byte by byte as a library that doesn't run here writes it.

Environment: LEGACY_URL, LEGACY_API_KEY, LEGACY_USER, LEGACY_FILES (a folder).
Usage: replayed_session.py LIBRARY
"""

import json
import os
import socket
import sys
from http.client import HTTPResponse
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from libraries import LIBRARIES, Library

FILES: Final = Path(os.environ["LEGACY_FILES"])
SERVER: Final = urlsplit(os.environ["LEGACY_URL"])
CONVERSATION: Final = "Doctora: ¿Qué le pasa, señora Núñez?\nPaciente: Tengo fiebre."
SPOKEN: Final = "La paciente refiere fiebre y tos seca, según Núñez."


def main(library: Library) -> None:
    identity = {
        "API_KEY": os.environ["LEGACY_API_KEY"],
        "user_mail": os.environ["LEGACY_USER"],
        "organization": "Clínica Norte",
    }
    form = library.form(
        {"conversation": CONVERSATION},
        [
            _file("ehr", "ehr.json", "application/json"),
            _file("files", "informe año.pdf", "application/pdf"),
            _file("files", "a;b;c.txt", "text/plain"),
        ],
    )
    case = json.loads(call(library, "newCase", "POST /michiQ/newCase", identity, form))
    must("newCase", min(case["voice"], case["ehr"], case["documents"]) > 0, case)
    uuid, caller = case["michiq_uuid"], {"Authorization": f"Bearer {case['token']}"}
    done("newCase", uuid)

    form = library.form({}, [_file("audioChunk", "grabación.wav", "audio/wav")])
    answer = call(library, "uploadAudio", f"POST /michiQ/uploadAudio/{uuid}", caller, form)
    must("uploadAudio", answer == f"Archivo subido exitosamente con UUID: {uuid}", answer)
    done("uploadAudio")

    asked = {library.audio_file: "grabaciones/grabación.wav"}
    spoken = json.loads(call(library, "speechToText", f"POST /michiQ/speechToText/{uuid}", caller, asked))
    must("speechToText", spoken["transcription"] == SPOKEN, spoken)
    must("speechToText", spoken["audioFiles"] == ["grabación.wav"], spoken)
    done("speechToText")

    asked = {library.query: "¿Qué temperatura tenía?"}
    answer = call(library, "query", f"POST /michiQ/query/{uuid}", caller, asked)
    must("query", "38,7" in json.loads(answer)["response"], answer)
    done("query")

    shown = json.loads(call(library, "doc", f"GET /michiQ/doc/{uuid}", caller))
    must("doc", shown["document"]["michiq_uuid"] == uuid, shown)
    must("doc", shown["metadata"]["fileExtension"] == ".pdf", shown)
    done("doc")

    listed = json.loads(call(library, "encounters", "GET /michiQ/encounters", caller))
    must("encounters", listed[0]["MichiqUUID"] == uuid, listed)
    must("encounters", listed[0]["OrganizationID"] == "Clínica Norte", listed)
    done("encounters")


def _file(name: str, filename: str, kind: str) -> tuple[str, str, str, bytes]:
    return name, filename, kind, (FILES / filename).read_bytes()


def call(
    library: Library,
    step: str,
    line: str,
    headers: dict[str, str],
    sent: bytes | dict[str, str] | None = None,
) -> str:
    """Sends one request on a connection of its own and returns the text of its answer, which must be 200."""
    body = (
        json.dumps(sent, ensure_ascii=False).encode(library.charset)
        if isinstance(sent, dict)
        else sent or b""
    )
    fields = {"Host": SERVER.netloc, **headers}
    if sent is not None:
        is_form = isinstance(sent, bytes)
        fields["Content-Type"] = (
            library.content_type.format(library.boundary) if is_form else library.json_type
        )
        fields["Content-Length"] = str(len(body))
    expects = library.expects and bool(body)
    if expects:
        fields["Expect"] = "100-continue"
    head = "".join(f"{text}\r\n" for text in [f"{line} HTTP/1.1", *map(": ".join, fields.items()), ""])
    with socket.create_connection((SERVER.hostname or "", SERVER.port or 80), timeout=60) as connection:
        connection.sendall(head.encode(library.charset))
        if expects:
            must(step, _told_to_go_on(connection), "no 100 Continue")
        connection.sendall(body)
        response = HTTPResponse(connection)
        response.begin()
        text = response.read().decode()
    must(step, response.status == 200, f"{response.status} {text}")
    return text


def _told_to_go_on(connection: socket.socket) -> bool:
    came = b""
    while not came.endswith(b"\r\n\r\n"):
        came += connection.recv(1) or b"\r\n\r\n"
    return came.startswith(b"HTTP/1.1 100 ")


def must(step: str, right: bool, came: Any) -> None:
    if not right:
        sys.exit(f"{step}: failed: {str(came)[:300]}")


def done(step: str, more: str = "") -> None:
    sys.stdout.write(f"{step}: ok {more}\n")


if __name__ == "__main__":
    main(LIBRARIES[sys.argv[1]])
