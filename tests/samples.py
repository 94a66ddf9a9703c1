"""Builders of the files that tests send: PDFs, a DOCX, and audio in every container."""

import math
import struct
import wave
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from io import BytesIO
from itertools import pairwise
from random import Random
from typing import Final, Literal

import av
from docx import Document
from PIL import Image
from reportlab.lib.pagesizes import A4
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

from proxy.audio.sniff import Container

Damage = Literal["cut", "garbage", "no-pages", "no-header", "streams"]

DAMAGES: Final[tuple[Damage, ...]] = ("cut", "garbage", "no-pages")  # without a page tree
CONTAINERS: Final[tuple[Container, ...]] = ("wav", "flac", "ogg", "webm", "m4a", "mp3")
# Those that LlamaChat's documentation does not name, and converts.
OTHER_CONTAINERS: Final[tuple[Container, ...]] = ("wma", "aiff", "amr", "caf", "au", "aac")

_RATE: Final = 48_000
_BLOCK: Final = 480  # samples: 10 ms
# A whole number of periods in each block: 400 Hz.
_TONE: Final = struct.pack(
    f"<{_BLOCK}h", *(round(8000 * math.sin(math.tau * i * 400 / _RATE)) for i in range(_BLOCK))
)
# Muxer, codec, and what the muxer is told when the file is streamed.
_CODING: Final[Mapping[Container, tuple[str, str, dict[str, str]]]] = {
    "wav": ("wav", "pcm_s16le", {}),
    "flac": ("flac", "flac", {}),
    "ogg": ("ogg", "libopus", {}),
    "webm": ("webm", "libopus", {"live": "1"}),
    "m4a": ("ipod", "aac", {"movflags": "frag_keyframe+empty_moov"}),
    "mp3": ("mp3", "libmp3lame", {"write_xing": "0", "id3v2_version": "0"}),
    "wma": ("asf", "wmav2", {}),
    "aiff": ("aiff", "pcm_s16be", {}),
    "caf": ("caf", "pcm_s16be", {}),
    "au": ("au", "pcm_s16be", {}),
    "aac": ("adts", "aac", {}),
}
# 12.2 kbit/s, 20 ms: a table of contents and 31 bytes (RFC 4867, 5.3). No encoder is at hand.
_AMR_FRAME: Final = b"\x3c" + bytes(31)
_FILLER: Final = (
    "El paciente acude a revisión sin cambios relevantes desde la visita anterior.",
    "Exploración anodina, auscultación rítmica y sin soplos.",
    "Se mantiene el tratamiento pautado y se recomienda control en atención primaria.",
    "Analítica dentro de los límites normales, función renal conservada.",
    "Refiere buen descanso nocturno y apetito conservado.",
    "Constantes estables, afebril, sin signos de focalidad neurológica.",
)


def pdf(pages: Sequence[str]) -> bytes:
    """Returns a PDF with a text layer; each page's text is given with its line ends."""
    return _drawn(pages, encrypt=None)


def long_pdf(pages: int, facts: Mapping[int, str]) -> bytes:
    """Returns a PDF of everyday notes in Spanish; `facts` has a sentence for some pages, by number from 1."""
    return pdf(long_pages(pages, facts))


def long_pages(pages: int, facts: Mapping[int, str]) -> list[str]:
    """Returns the texts of `long_pdf`: some 35 lines a page."""
    random = Random(7)
    return [_noted(random, facts.get(number)) for number in range(1, pages + 1)]


def encrypted_pdf(password: str = "secreto") -> bytes:
    """Returns a PDF that opens with `password`; if that is empty, any reader may open but not change it."""
    return _drawn(["Texto cifrado"], encrypt=StandardEncryption(password, ownerPassword="dueño", canPrint=0))


def scanned_pdf() -> bytes:
    """Returns a PDF of one page that is one picture."""
    noise = Image.frombytes("L", (80, 120), Random(3).randbytes(80 * 120))
    buffer = BytesIO()
    canvas = Canvas(buffer, pagesize=A4, invariant=1)
    canvas.drawImage(ImageReader(noise), 0, 0, *A4)
    canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def damaged_pdf(damage: Damage) -> bytes:
    """Returns a PDF whose text can't be read.

    It is cut in half, filled with noise, without its page tree (DAMAGES) or its header, or has streams
    that do not
    decompress.
    """
    sound = pdf(["Alergia a la penicilina"] * 3)
    match damage:
        case "cut":
            return sound[: len(sound) // 2]
        case "garbage":
            return b"%PDF-1.7\n" + Random(5).randbytes(4096)
        case "no-pages":
            return sound.replace(b"/Kids", b"/Kixx")
        case "no-header":
            return Random(5).randbytes(2048) + sound.replace(b"%PDF-", b"%XXX-")
        case "streams":
            return _without_streams(sound)


def docx(
    paragraphs: Sequence[str], table: Sequence[Sequence[str]] = (), *, header: str = "", footer: str = ""
) -> bytes:
    """Returns a DOCX with paragraphs, then a table of equally long rows."""
    document = Document()
    document.sections[0].header.paragraphs[0].text = header
    document.sections[0].footer.paragraphs[0].text = footer
    for paragraph in paragraphs:
        document.add_paragraph(paragraph)
    if table:
        grid = document.add_table(rows=0, cols=len(table[0]))
        for row in table:
            for cell, text in zip(grid.add_row().cells, row, strict=True):
                cell.text = text
    buffer = BytesIO()
    document.save(buffer)
    return buffer.getvalue()


def wav(seconds: float, *, streamed: bool = False) -> bytes:
    """Returns a mono WAV; streamed, its sizes are the 0xFFFFFFFF of a writer that cannot go back."""
    buffer = BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(_RATE)
        file.writeframes(_TONE * round(seconds * _RATE / _BLOCK))
    data = bytearray(buffer.getvalue())
    if streamed:
        data[4:8] = data[40:44] = b"\xff" * 4
    return bytes(data)


def audio(container: Container, seconds: float, *, streamed: bool = False) -> bytes:
    """Returns a tone in `container`; streamed, as recorders write it, it has no length in its header."""
    if container == "amr":
        return b"#!AMR\n" + _AMR_FRAME * round(seconds * 50)
    muxer, codec, live = _CODING[container]
    return _coded(seconds, muxer, codec, live if streamed else {}, streamed=streamed)


def rf64(seconds: float, *, streamed: bool = False) -> bytes:
    """Returns a WAV with sizes of 64 bits, as broadcast recorders write it; streamed, its sizes are zero."""
    return _coded(seconds, "wav", "pcm_s16le", {"rf64": "always"}, streamed=streamed)


def id3(length: int) -> bytes:
    """Returns an empty ID3v2 tag: its header and `length` bytes."""
    size = bytes(length >> shift & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\x04\x00\x00" + size + bytes(length)


def _coded(seconds: float, muxer: str, codec: str, options: Mapping[str, str], *, streamed: bool) -> bytes:
    file = _Pipe() if streamed else BytesIO()
    exact = {"fflags": "+bitexact", **options}
    with av.open(file, "w", format=muxer, options=exact) as output:
        stream = output.add_stream(codec, rate=_RATE)
        assert isinstance(stream, av.AudioStream)
        stream.layout = "mono"
        if codec == "wmav2":
            stream.bit_rate = 64_000  # its default is none that it takes
        output.start_encoding()
        context = stream.codec_context
        sized = av.AudioResampler(context.format, "mono", _RATE, frame_size=context.frame_size or 1024)
        for frame in [*_frames(seconds), None]:
            for resized in sized.resample(frame):
                output.mux(stream.encode(resized))
        output.mux(stream.encode(None))
    return file.getvalue()


def webm_chunks(seconds: float, n: int) -> list[bytes]:
    """Returns a live WEBM recording in `n` pieces, of which only the first has the header."""
    whole = audio("webm", seconds, streamed=True)
    borders = [len(whole) * i // n for i in range(n + 1)]
    return [whole[start:end] for start, end in pairwise(borders)]


class _Pipe:
    """A file that can only be written on: the muxer cannot go back to fill in lengths."""

    def __init__(self) -> None:
        self._written = bytearray()

    def write(self, data: bytes) -> int:
        self._written += data
        return len(data)

    def getvalue(self) -> bytes:
        return bytes(self._written)


def _frames(seconds: float) -> Iterator[av.AudioFrame]:
    for number in range(round(seconds * _RATE / _BLOCK)):
        frame = av.AudioFrame("s16", "mono", _BLOCK)
        frame.sample_rate = _RATE
        frame.time_base = Fraction(1, _RATE)
        frame.pts = number * _BLOCK
        frame.planes[0].update(_TONE)
        yield frame


def _drawn(pages: Sequence[str], *, encrypt: StandardEncryption | None) -> bytes:
    buffer = BytesIO()
    canvas = Canvas(buffer, pagesize=A4, invariant=1, encrypt=encrypt)
    for page in pages:
        text = canvas.beginText(40, 800)
        text.textLines(page)
        canvas.drawText(text)
        canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def _noted(random: Random, fact: str | None) -> str:
    lines = [random.choice(_FILLER) for _ in range(34)]
    if fact:
        lines.insert(random.randrange(len(lines)), fact)
    return "\n".join(lines)


def _without_streams(sound: bytes) -> bytes:
    """Removes a letter of each stream's coding; nothing else moves, so that the references stay right."""
    head, *parts = sound.split(b"stream\n")
    parts[::2] = [part[:10] + part[11:34] + b"!" + part[34:] for part in parts[::2]]
    return b"stream\n".join([head, *parts])
