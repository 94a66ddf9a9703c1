"""The session of the legacy document with httpx.

Environment: LEGACY_URL, LEGACY_API_KEY, LEGACY_USER, LEGACY_FILES (a folder).
"""

import os
import sys
from pathlib import Path

import httpx

FILES = Path(os.environ["LEGACY_FILES"])


def main() -> None:
    with httpx.Client(base_url=os.environ["LEGACY_URL"], timeout=60) as http:
        session(http)


def session(http: httpx.Client) -> None:
    response = http.post(
        "/michiQ/newCase",
        # httpx sends str as ASCII; bytes as they are.
        headers={
            b"API_KEY": os.environ["LEGACY_API_KEY"].encode(),
            b"user_mail": os.environ["LEGACY_USER"].encode(),
            b"organization": "Clínica Norte".encode(),
        },
        data={"conversation": "Doctora: ¿Qué le pasa, señora Núñez?\nPaciente: Tengo fiebre."},
        files=[
            ("ehr", ("ehr.json", (FILES / "ehr.json").read_bytes(), "application/json")),
            ("files", ("informe año.pdf", (FILES / "informe año.pdf").read_bytes(), "application/pdf")),
            ("files", ("a;b;c.txt", (FILES / "a;b;c.txt").read_bytes(), "text/plain")),
        ],
    )
    must("newCase", response.status_code == 200, response)
    case = response.json()
    must("newCase", case["message"] == "You are inside llamalitica services", response)
    must("newCase", min(case["voice"], case["ehr"], case["documents"]) > 0, response)
    uuid = case["michiq_uuid"]
    done("newCase", uuid)

    http.headers["Authorization"] = f"Bearer {case['token']}"
    with (FILES / "grabación.wav").open("rb") as audio:
        response = http.post(f"/michiQ/uploadAudio/{uuid}", files={"audioChunk": audio})
    must("uploadAudio", response.status_code == 200, response)
    must("uploadAudio", response.text == f"Archivo subido exitosamente con UUID: {uuid}", response)
    done("uploadAudio")

    response = http.post(f"/michiQ/speechToText/{uuid}", json={"audioFile": "grabaciones/grabación.wav"})
    must("speechToText", response.status_code == 200, response)
    spoken = response.json()
    must(
        "speechToText",
        spoken["transcription"] == "La paciente refiere fiebre y tos seca, según Núñez.",
        response,
    )
    must("speechToText", spoken["totalSpeechTextTime"] == "00:00:12", response)
    done("speechToText")

    response = http.post(f"/michiQ/query/{uuid}", json={"query": "¿Qué temperatura tenía?"})
    must("query", response.status_code == 200 and "38,7" in response.json()["response"], response)
    done("query")

    response = http.get(f"/michiQ/doc/{uuid}")
    must("doc", response.status_code == 200, response)
    must("doc", response.json()["document"]["michiq_uuid"] == uuid, response)
    must("doc", response.json()["metadata"]["fileExtension"] == ".pdf", response)
    done("doc")

    response = http.get("/michiQ/encounters")
    must("encounters", response.status_code == 200, response)
    must("encounters", response.json()[0]["MichiqUUID"] == uuid, response)
    must("encounters", response.json()[0]["OrganizationID"] == "Clínica Norte", response)
    done("encounters")


def must(step: str, right: bool, response: httpx.Response) -> None:
    if not right:
        sys.exit(f"{step}: failed: {response.status_code} {response.text[:300]}")


def done(step: str, more: str = "") -> None:
    sys.stdout.write(f"{step}: ok {more}\n")


if __name__ == "__main__":
    main()
