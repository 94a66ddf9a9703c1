"""Tells audio containers by their first bytes, and where a new recording begins."""

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

Container: TypeAlias = Literal["wav", "flac", "ogg", "webm", "m4a", "mp3"]

HEAD_SIZE: Final = 4096  # bytes that are enough for `container`: two frames of MP3 fit

_MEDIA_TYPES: Final[Mapping[Container, str]] = {
    "wav": "audio/wav",
    "flac": "audio/flac",
    "ogg": "audio/ogg",
    "webm": "audio/webm",
    "m4a": "audio/mp4",
    "mp3": "audio/mpeg",
}

# MPEG audio, layer III (ISO 11172-3, 2.4.2.3; ISO 13818-3): kbit/s by index, of MPEG-1 and of 2 and 2.5.
_BITRATES_1: Final = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_BITRATES_2: Final = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_SAMPLE_RATES: Final = (44_100, 48_000, 32_000)  # of MPEG-1; halved for MPEG-2, again for MPEG-2.5
_DIVISORS: Final = {0b11: 1, 0b10: 2, 0b00: 4}  # by the version's bits; 0b01 is reserved
_LAYER_III: Final = 0b01


def container(head: bytes) -> Container | None:
    """The container that `head`, the first `HEAD_SIZE` bytes or fewer, begins; None for anything else.

    An Ogg page counts only when it begins a stream. A bare MPEG sync counts only when it is a whole layer
    III header and, where `head` reaches that far, another follows at its frame's end: compressed audio of
    any kind shows a plausible sync by chance once in some thousand chunks.
    """
    if head.startswith(b"RIFF") and head[8:12] == b"WAVE":
        return "wav"
    if head.startswith(b"fLaC"):
        return "flac"
    if head.startswith(b"OggS") and head[5:6] and head[5] & 0x02:
        return "ogg"
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return "webm"
    if head[4:8] == b"ftyp":
        return "m4a"
    return "mp3" if head.startswith(b"ID3") or _begins_frames(head) else None


def opens(head: bytes, last: str | None, *, has_recording: bool) -> bool:
    """Whether a chunk opens a new recording (CONTRACT U04).

    `last` is the container of the recording that it would otherwise continue. A bare MPEG sync is where
    any MP3 file may have been cut, so that it never ends an MP3 recording.
    """
    if not has_recording:
        return True
    found = container(head)
    bare_sync = found == "mp3" and not head.startswith(b"ID3")
    return last != "mp3" if bare_sync else found is not None


def extension(container: Container) -> str:
    """The usual ending of a file name, with its dot."""
    return f".{container}"


def media_type(container: Container) -> str:
    """The media type to send such a file with."""
    return _MEDIA_TYPES[container]


def _begins_frames(head: bytes) -> bool:
    size = _frame_size(head)
    return size > 0 and (len(head) < size + 4 or _frame_size(head[size : size + 4]) > 0)


def _frame_size(header: bytes) -> int:
    """The bytes of the layer III frame that begins here; 0 when none does, or its bitrate is not told."""
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE0 != 0xE0:
        return 0
    version, layer = header[1] >> 3 & 0b11, header[1] >> 1 & 0b11
    bitrate, rate, padding = header[2] >> 4, header[2] >> 2 & 0b11, header[2] >> 1 & 0b1
    if version not in _DIVISORS or layer != _LAYER_III or bitrate == 0b1111 or rate == 0b11:
        return 0
    kilobits = (_BITRATES_1 if version == 0b11 else _BITRATES_2)[bitrate]
    samples = 1152 if version == 0b11 else 576
    size = samples * kilobits * 125 // (_SAMPLE_RATES[rate] // _DIVISORS[version])
    return size + padding if kilobits else 0
