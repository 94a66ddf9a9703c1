"""The requests of the bench's clients: forms, records and headers, the same in every run."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from random import Random
from typing import Final

BOUNDARY: Final = "----bench7MA4YWxkTrZu0gW"
FORM: Final = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
JSON: Final = {"Content-Type": "application/json"}
KB: Final = 1024
# Looks like the end of the form, and isn't.
TRICKY: Final = b"\r\n--" + BOUNDARY.encode()[:-3] + b"\r\n\r\n--\r\n\r\r\r\n-"
AUDIO: Final = 90_000_000
_WAV: Final = (
    b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0\1\0\1\0\x80\xbb\0\0\0\x77\1\0\2\0\x10\0data\xff\xff\xff\xff"
)


@dataclass(frozen=True, slots=True)
class Part:
    name: str
    content: bytes = field(repr=False)
    filename: str | None = None
    content_type: str | None = None

    def encoded(self) -> bytes:
        shown = "" if self.filename is None else f'; filename="{self.filename}"'
        typed = "" if self.content_type is None else f"\r\nContent-Type: {self.content_type}"
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{self.name}"{shown}{typed}\r\n\r\n'
        return head.encode() + self.content + b"\r\n"


def form(parts: Sequence[Part]) -> bytes:
    return b"".join(part.encoded() for part in parts) + f"--{BOUNDARY}--\r\n".encode()


def identity(number: int = 0) -> dict[str, str]:
    """Returns the headers of one of many callers."""
    return {"API_KEY": "bench-api-key", "user_mail": f"ana{number}@clinica.example", "organization": "org-1"}


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def caller(number: int = 0) -> dict[str, str]:
    """Returns the headers of a caller whom only the old server knows."""
    return bearer(f"caller-{number:08d}-xxxxxxxxxxxxxxxxxxxx")


def record(size: int = KB) -> bytes:
    history: list[Mapping[str, str]] = []
    patient = {"id": "p-1", "name": "Ana", "conditions": ["hipertensión"], "history": history}
    while len(text := json.dumps(patient, ensure_ascii=False).encode()) < size:
        history.append({"date": f"2024-01-{len(history) % 28 + 1:02d}", "note": "Revisión, TA 120/80"})
    return text


TALK: Final = Part("conversation", b"Paciente que refiere cefalea leve.")
EHR: Final = Part("ehr", record(), "ehr.json", "application/json")


def picture(size: int) -> Part:
    """Returns a file that no text is read from."""
    return Part("files", noise(size), "placa.jpg", "image/jpeg")


@cache
def noise(size: int) -> bytes:
    return Random(size).randbytes(size)


@cache
def case_form(size: int) -> bytes:
    """Returns a newCase form with a record of 1 KB and one picture."""
    return form([TALK, EHR, picture(size)])


@cache
def small_case() -> bytes:
    return form([TALK, EHR])


def audio_form(size: int) -> bytes:
    sound = _WAV + bytes(size - len(_WAV))
    return form([Part("audioChunk", sound, "consulta.wav", "audio/wav")])


def question(text: str) -> bytes:
    return json.dumps({"query": text}).encode()
