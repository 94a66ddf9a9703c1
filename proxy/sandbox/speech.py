"""Recognizes audio by its signature, and returns its simulated transcription."""

import re
from collections.abc import Mapping
from typing import Final

HEAD: Final = 64  # bytes of a file that the signatures need

_SIGNATURES: Final = {
    "wav": re.compile(rb"(?:RIFF|RF64|BW64)....WAVE", re.DOTALL),
    "flac": re.compile(rb"fLaC"),
    "ogg": re.compile(rb"OggS.[\x02\x03\x06\x07]", re.DOTALL),  # the first page of a stream
    "webm": re.compile(rb"\x1a\x45\xdf\xa3"),
    "m4a": re.compile(rb"....ftyp", re.DOTALL),
    "wma": re.compile(rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11"),
    "aiff": re.compile(rb"FORM....AIF[FC]", re.DOTALL),
    "amr": re.compile(rb"#!AMR"),
    "caf": re.compile(rb"caff"),
    "au": re.compile(rb"\.snd"),
    "mp3": re.compile(rb"ID3|\xff[\xe2-\xe7\xf2-\xf7\xfa-\xff]"),
    "aac": re.compile(rb"\xff[\xf0\xf1\xf8\xf9]"),
}


def container(head: bytes) -> str | None:
    """Returns the audio format of a file with these first bytes; None when LlamaChat can't convert it."""
    return next((name for name, signature in _SIGNATURES.items() if signature.match(head)), None)


def opens(head: bytes, current: str | None) -> bool:
    """Returns whether a chunk starts a new recording after one in the container `current` (CONTRACT U04).

    Every piece of an MP3 or AAC file starts with a bare MPEG frame, so a frame opens nothing in such a
    recording.
    """
    kind = container(head)
    if kind in ("mp3", "aac") and not head.startswith(b"ID3"):
        return current != kind
    return kind is not None


def transcript(sha256: str, texts: Mapping[str, str]) -> str:
    """Returns the text of the audio with this digest: the one in `texts`, else one that names the digest."""
    return texts.get(sha256, f"Transcripción simulada del audio {sha256[:8]}.")
