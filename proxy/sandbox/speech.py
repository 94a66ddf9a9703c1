"""Audio as the sandbox sees it: the container by its signature, and the text it is said to hold."""

import re
from collections.abc import Mapping
from typing import Final

HEAD: Final = 64  # bytes of a file that the signatures need

_SIGNATURES: Final = {
    "wav": re.compile(rb"RIFF....WAVE", re.DOTALL),
    "flac": re.compile(rb"fLaC"),
    "ogg": re.compile(rb"OggS.[\x02\x03\x06\x07]", re.DOTALL),  # the first page of a stream
    "webm": re.compile(rb"\x1a\x45\xdf\xa3"),
    "m4a": re.compile(rb"....ftyp", re.DOTALL),
    "mp3": re.compile(rb"ID3|\xff[\xe2-\xe7\xf2-\xff]"),
}


def container(head: bytes) -> str | None:
    """Which of LlamaChat's formats a file with these first bytes has; None for none of them."""
    return next((name for name, signature in _SIGNATURES.items() if signature.match(head)), None)


def opens(head: bytes, current: str | None) -> bool:
    """Whether a chunk starts a new recording after one whose container is `current` (CONTRACT U04).

    A bare MPEG frame starts every piece of an MP3, so it opens nothing while one is being recorded.
    """
    kind = container(head)
    if kind == "mp3" and not head.startswith(b"ID3"):
        return current != "mp3"
    return kind is not None


def transcript(sha256: str, known: Mapping[str, str]) -> str:
    """The text of the audio with this digest: the `known` one, else one that names the digest."""
    return known.get(sha256, f"Transcripción simulada del audio {sha256[:8]}.")
