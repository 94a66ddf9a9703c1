"""The session of the legacy document with requests.

Environment: LEGACY_URL, LEGACY_API_KEY, LEGACY_USER, LEGACY_FILES (a folder).
"""

import os
import sys
from pathlib import Path

import requests

URL = os.environ["LEGACY_URL"]
FILES = Path(os.environ["LEGACY_FILES"])


def main() -> None:
    http = requests.Session()
    with (
        (FILES / "ehr.json").open("rb") as ehr,
        (FILES / "informe año.pdf").open("rb") as pdf,
        (FILES / "a;b;c.txt").open("rb") as text,
    ):
        response = http.post(
            f"{URL}/michiQ/newCase",
            headers={
                "API_KEY": os.environ["LEGACY_API_KEY"],
                "user_mail": os.environ["LEGACY_USER"],
                "organization": "Clínica Norte",
            },
            data={"conversation": "Doctora: ¿Qué le pasa, señora Núñez?\nPaciente: Tengo fiebre."},
            files=[
                ("ehr", ("ehr.json", ehr, "application/json")),
                ("files", ("informe año.pdf", pdf, "application/pdf")),
                ("files", ("a;b;c.txt", text, "text/plain")),
            ],
            timeout=60,
        )
    must("newCase", response.status_code == 200, response)
    case = response.json()
    must("newCase", case["message"] == "You are inside llamalitica services", response)
    must("newCase", min(case["voice"], case["ehr"], case["documents"]) > 0, response)
    uuid = case["michiq_uuid"]
    done("newCase", uuid)

    http.headers["Authorization"] = f"Bearer {case['token']}"
    with (FILES / "grabación.wav").open("rb") as audio:
        response = http.post(f"{URL}/michiQ/uploadAudio/{uuid}", files={"audioChunk": audio}, timeout=60)
    must("uploadAudio", response.status_code == 200, response)
    must("uploadAudio", response.text == f"Archivo subido exitosamente con UUID: {uuid}", response)
    done("uploadAudio")

    body = {"audioFile": "grabaciones/grabación.wav"}
    response = http.post(f"{URL}/michiQ/speechToText/{uuid}", json=body, timeout=60)
    must("speechToText", response.status_code == 200, response)
    spoken = response.json()
    text_spoken = "La paciente refiere fiebre y tos seca, según Núñez."
    must("speechToText", spoken["transcription"] == text_spoken, response)
    must("speechToText", spoken["totalSpeechTextTime"] == "00:00:12", response)
    done("speechToText")

    response = http.post(f"{URL}/michiQ/query/{uuid}", json={"query": "¿Qué temperatura tenía?"}, timeout=60)
    must("query", response.status_code == 200 and "38,7" in response.json()["response"], response)
    done("query")

    response = http.get(f"{URL}/michiQ/doc/{uuid}", timeout=60)
    must("doc", response.status_code == 200, response)
    must("doc", response.json()["document"]["michiq_uuid"] == uuid, response)
    must("doc", response.json()["metadata"]["fileExtension"] == ".pdf", response)
    done("doc")

    response = http.get(f"{URL}/michiQ/encounters", timeout=60)
    must("encounters", response.status_code == 200, response)
    must("encounters", response.json()[0]["MichiqUUID"] == uuid, response)
    must("encounters", response.json()[0]["OrganizationID"] == "Clínica Norte", response)
    done("encounters")


def must(step: str, right: bool, response: requests.Response) -> None:
    if not right:
        sys.exit(f"{step}: failed: {response.status_code} {response.text[:300]}")


def done(step: str, more: str = "") -> None:
    sys.stdout.write(f"{step}: ok {more}\n")


if __name__ == "__main__":
    main()
