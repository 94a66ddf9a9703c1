"""Recognizes audio containers by their first bytes, and the beginning of a new recording."""

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

from proxy.audio.frames import begins_adts, begins_mp3, may_begin_frames, tag_length

Container: TypeAlias = Literal[
    "wav", "flac", "ogg", "webm", "m4a", "mp3", "wma", "aiff", "amr", "caf", "au", "aac"
]

HEAD_SIZE: Final = 4096  # bytes that are enough for `container`: two frames of MP3, or of stereo AAC, fit

_ID3: Final = b"ID3"

# Bytes by offset. Files longer than 4 GB are RF64 (EBU Tech 3306) or BW64 (ITU-R BS.2088). For Ogg only the
# page that begins a stream counts, by its flags at 5 (RFC 3533, 6); an MP4's first box is short.
_SIGNATURES: Final[tuple[tuple[Container, Mapping[int, bytes]], ...]] = (
    ("wav", {0: b"RIFF", 8: b"WAVE"}),
    ("wav", {0: b"RF64", 8: b"WAVE"}),
    ("wav", {0: b"BW64", 8: b"WAVE"}),
    ("flac", {0: b"fLaC"}),
    ("ogg", {0: b"OggS", 5: b"\x02"}),
    ("ogg", {0: b"OggS", 5: b"\x03"}),
    ("ogg", {0: b"OggS", 5: b"\x06"}),
    ("ogg", {0: b"OggS", 5: b"\x07"}),
    ("webm", {0: b"\x1a\x45\xdf\xa3"}),
    ("m4a", {0: b"\0\0", 4: b"ftyp"}),
    ("wma", {0: b"\x30\x26\xb2\x75\x8e\x66\xcf\x11"}),
    ("aiff", {0: b"FORM", 8: b"AIFF"}),
    ("aiff", {0: b"FORM", 8: b"AIFC"}),
    ("amr", {0: b"#!AMR"}),
    ("caf", {0: b"caff"}),
    ("au", {0: b".snd"}),
)
_MEDIA_TYPES: Final[Mapping[Container, str]] = {
    "wav": "audio/wav",
    "flac": "audio/flac",
    "ogg": "audio/ogg",
    "webm": "audio/webm",
    "m4a": "audio/mp4",
    "mp3": "audio/mpeg",
    "wma": "audio/x-ms-wma",
    "aiff": "audio/aiff",
    "amr": "audio/amr",
    "caf": "audio/x-caf",
    "au": "audio/basic",
    "aac": "audio/aac",
}


def container(head: bytes, behind: bytes = b"") -> Container | None:
    """Returns the container that `head`, the first `HEAD_SIZE` bytes or fewer, begins, or None.

    Behind an ID3v2 tag there may be FLAC or AAC; `behind` are the bytes there, for a tag that `head` does not
    hold. A bare MPEG sync counts only when it is a whole header and, if `head` reaches that far, another
    follows at its frame's end: compressed audio of any kind has a plausible sync by chance once in some
    thousand chunks.
    """
    if not head.startswith(_ID3):
        return _untagged(head)
    found = _untagged(behind or head[tag_length(head) :])
    return found if found in ("flac", "aac") else "mp3"


def opens(head: bytes, last: str | None, *, has_recording: bool) -> bool:
    """Returns whether a chunk opens a new recording (CONTRACT U04).

    `last` is the container of the recording that it would otherwise continue. Any MP3 or AAC file may
    have been
    cut at a bare MPEG sync, so that a sync never ends a recording of its own kind.
    """
    if not has_recording:
        return True
    found = container(head)
    bare_sync = found in ("mp3", "aac") and not head.startswith(_ID3)
    return last != found if bare_sync else found is not None


def undecided(head: bytes) -> bool:
    """Returns whether `head` is a whole chunk, and what follows may make it a signature (CONTRACT U04)."""
    short = any(_may_become(head, marks) for _, marks in _SIGNATURES)
    return short or (len(head) < len(_ID3) and _ID3.startswith(head)) or may_begin_frames(head)


def extension(container: Container) -> str:
    """Returns the usual ending of a file name, with its dot."""
    return f".{container}"


def media_type(container: Container) -> str:
    """Returns the media type to send such a file with."""
    return _MEDIA_TYPES[container]


def _untagged(head: bytes) -> Container | None:
    for name, marks in _SIGNATURES:
        if all(head[at : at + len(mark)] == mark for at, mark in marks.items()):
            return name
    if begins_mp3(head):
        return "mp3"
    return "aac" if begins_adts(head) else None


def _may_become(head: bytes, marks: Mapping[int, bytes]) -> bool:
    """Returns whether `head` ends within the marks, and agrees with them so far."""
    end = max(at + len(mark) for at, mark in marks.items())
    return len(head) < end and all(mark.startswith(head[at : at + len(mark)]) for at, mark in marks.items())
