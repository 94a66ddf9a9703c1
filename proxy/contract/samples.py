"""The synthetic patient: the only one about whom a contract run ever sends anything."""

import wave
from dataclasses import dataclass, field
from io import BytesIO
from typing import Final

from proxy.jsons import dump
from proxy.values import Json

NAME_PREFIX: Final = "Prueba michiq-proxy"
BOUNDARY: Final = "frontera-de-prueba"
MULTIPART: Final = f"multipart/form-data; boundary={BOUNDARY}"

_RATE: Final = 8000

EHR: Final[dict[str, Json]] = {
    "id": "prueba-michiq-proxy",
    "name": f"{NAME_PREFIX} Núñez",
    "birth_date": "1980-02-29",
    "alergias": ["penicilina"],
    "constantes": {"peso_kg": 61.5, "fumador": False, "notas": None},
}
SAID: Final = "Doctora: ¿Qué le pasa? Paciente sintético: Tengo tos desde el martes por la mañana."
NOTE: Final = "Nota de prueba. La vacuna de la gripe se puso en octubre, en el brazo izquierdo."
REPORT: Final = "Informe de prueba. Temperatura 38.7 C a las 21:00."


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a form; a part without a filename is a field."""

    name: str
    content: bytes = field(repr=False)
    filename: str | None = None
    content_type: str | None = None

    def encoded(self) -> bytes:
        """Returns the part as browsers send it: names in raw UTF-8."""
        disposition = f'Content-Disposition: form-data; name="{self.name}"'
        if self.filename is not None:
            disposition += f'; filename="{self.filename}"'
        kind = f"\r\nContent-Type: {self.content_type}" if self.content_type else ""
        return f"{disposition}{kind}\r\n\r\n".encode() + self.content


def form(*parts: Part) -> bytes:
    """Returns a multipart/form-data body (MULTIPART) of these parts."""
    return b"".join(b"%b\r\n%b\r\n" % (_DELIMITER, part.encoded()) for part in parts) + _DELIMITER + b"--\r\n"


def pdf(line: str) -> bytes:
    """Returns the smallest PDF with one page and one line of ASCII text; without a line it is blank."""
    content = f"BT /F1 12 Tf 72 720 Td ({line}) Tj ET".encode() if line else b""
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R"
        b" /Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    out, offsets = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    size = len(objects) + 1
    return out + (
        b"xref\n0 %d\n0000000000 65535 f \n%strailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n"
        % (size, table, size, len(out))
    )


def tone(seconds: int, hertz: int) -> bytes:
    """Returns a WAV of 8 kHz mono; another pitch is another recording."""
    half = _RATE // hertz // 2
    buffer = BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(1)
        file.setframerate(_RATE)
        file.writeframes((b"\x50" * half + b"\xb0" * half) * (_RATE * seconds // (2 * half)))
    return buffer.getvalue()


def audio(content: bytes, filename: str = "consulta.wav") -> bytes:
    """Returns the form of uploadAudio."""
    return form(Part("audioChunk", content, filename, "audio/wav"))


_DELIMITER: Final = f"--{BOUNDARY}".encode()

CONVERSATION: Final = Part("conversation", SAID.encode())
EHR_FILE: Final = Part("ehr", dump(dict(EHR)), "ehr.json", "application/json")
PDF_FILE: Final = Part("files", pdf(REPORT), "informe año.pdf", "application/pdf")
TEXT_FILE: Final = Part("files", NOTE.encode(), "a;b;c.txt", "text/plain")
FILES: Final = (PDF_FILE, TEXT_FILE)

# FULL is like the document's sample. BARE has no conversation, the ehr as a plain field, and one file.
FULL: Final = form(CONVERSATION, EHR_FILE, *FILES)
BARE: Final = form(TEXT_FILE, Part("ehr", EHR_FILE.content))
# A host must refuse this before it reads it; a host that lets it in makes no case from it either.
UNREADABLE: Final = form(CONVERSATION, Part("ehr", b'{"name": "Prueba'))
