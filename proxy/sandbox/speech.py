"""Audio as the sandbox sees it: the container by its signature, and the text it is said to hold."""

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
    """Which audio format a file with these first bytes has; None for none that LlamaChat converts."""
    return next((name for name, signature in _SIGNATURES.items() if signature.match(head)), None)


def opens(head: bytes, current: str | None) -> bool:
    """Whether a chunk starts a new recording after one whose container is `current` (CONTRACT U04).

    A bare MPEG frame starts every piece of an MP3 or AAC file, so it opens nothing while one is recorded.
    """
    kind = container(head)
    if kind in ("mp3", "aac") and not head.startswith(b"ID3"):
        return current != kind
    return kind is not None


def transcript(sha256: str, known: Mapping[str, str]) -> str:
    """The text of the audio with this digest: the `known` one, else one that names the digest."""
    return known.get(sha256, f"Transcripción simulada del audio {sha256[:8]}.")
