"""The session that every client runs: its files, and what must have arrived at the sandbox."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Final

from proxy.sandbox.cases import Case
from proxy.sandbox.service import Call
from proxy.values import Json
from tests.samples import long_pdf, wav

STEPS: Final = ("newCase", "uploadAudio", "speechToText", "query", "doc", "encounters")
ORGANIZATION: Final = "Clínica Norte"
FILES: Final = ("informe año.pdf", "a;b;c.txt")
RECORDING: Final = "grabación.wav"
CONVERSATION: Final = "Doctora: ¿Qué le pasa, señora Núñez?\nPaciente: Tengo fiebre."
SPOKEN: Final = "La paciente refiere fiebre y tos seca, según Núñez."
EHR: Final[dict[str, Json]] = {"nhc": "prueba-0001", "name": "Begoña Núñez", "alergias": ["penicilina"]}
# More than a megabyte: from there on curl asks before it sends.
_SECONDS: Final = 12
_FACT: Final = "La temperatura era de 38,7 C a las 21:00."
# Lines that look like a form's own, for whoever reads forms line by line.
_NOTE: Final = (
    'Núñez;"ácido fólico"\r\n--\r\nContent-Type: text/plain\r\n\r\n\r\n--no es un delimitador--\n\r\n'
)


@dataclass(frozen=True, slots=True)
class Materials:
    """The files that clients send, by name."""

    files: Mapping[str, bytes] = field(repr=False)

    def write(self, folder: Path) -> None:
        for name, content in self.files.items():
            (folder / name).write_bytes(content)

    def digest(self, name: str) -> str:
        return sha256(self.files[name]).hexdigest()

    def transcripts(self) -> Mapping[str, str]:
        """Returns the texts that the sandbox's LlamaChat hears in the recording."""
        return {self.digest(RECORDING): SPOKEN}


def make_materials() -> Materials:
    return Materials(
        {
            "ehr.json": json.dumps(EHR, ensure_ascii=False, indent=2).encode(),
            "informe año.pdf": long_pdf(8, {5: _FACT}),
            "a;b;c.txt": _NOTE.encode(),
            RECORDING: wav(_SECONDS),
        }
    )


def wrongs(
    case: Case | None, calls: Sequence[Call], materials: Materials, conversation: bytes
) -> Iterator[str]:
    """Returns a sentence for each thing that did not arrive as it was sent.

    `calls` are LlamaChat's during the session. `conversation` are the bytes on the wire: some clients change
    the line ends of a field themselves.
    """
    if case is None:
        yield "newCase's michiq_uuid is no case of the platform"
        return
    yield from _wrong_patient(case)
    yield from _wrong_files(case, materials, conversation)
    yield from _wrong_audio(calls, materials)


def _wrong_patient(case: Case) -> Iterator[str]:
    if case.organization_header != ORGANIZATION.encode():
        yield f"X-ORGANIZATION arrived as {case.organization_header!r}"
    if case.patient_name != EHR["name"]:
        yield f"the patient's name arrived as {case.patient_name!r}"
    if case.patient_metadata.get("other-clinical-data") != EHR:
        yield "the ehr did not arrive whole"


def _wrong_files(case: Case, materials: Materials, conversation: bytes) -> Iterator[str]:
    wanted = [(name, materials.digest(name)) for name in FILES]
    wanted.append(("conversation.txt", sha256(conversation).hexdigest()))
    if conversation.replace(b"\r\n", b"\n") != CONVERSATION.encode():
        yield "the client sent another conversation"
    came = [(file.name, file.sha256) for file in case.files]
    if came != wanted:
        yield f"the files arrived as {[(name, digest[:8]) for name, digest in came]}"


def _wrong_audio(calls: Sequence[Call], materials: Materials) -> Iterator[str]:
    parts = [part for call in calls if call.path == "/api/transcription" for part in _parts(call.facts)]
    came = [(part.get("filename"), part.get("sha256")) for part in parts]
    if came != [(RECORDING, materials.digest(RECORDING))]:
        yield f"recordings arrived as {[name for name, _ in came]}"


def _parts(facts: Mapping[str, object]) -> list[dict[str, object]]:
    parts = facts.get("parts")
    return [part for part in parts if isinstance(part, dict)] if isinstance(parts, list) else []
