"""Measures the length of a recording; runs in an isolated process, since files are hostile."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, BinaryIO, Final

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.packet import Packet

# FFmpeg, which the serving process does not need (`isolated.forkserver`).
IMPORTED_LATE: Final = ("av",)

# A playlist's demuxer would open files and addresses named inside the upload.
_OPTIONS: Final = {
    "format_whitelist": "wav,flac,ogg,matroska,webm,mov,mp4,m4a,mp3,asf,aiff,amr,caf,au,aac",
    "protocol_whitelist": "file",
}
_TO_THE_END: Final = {"ignore_length": "1"}  # an option of the WAV demuxer

_PRE_SKIP: Final = slice(10, 12)
_OPUS_RATE: Final = 48_000  # the pre-skip's rate, whatever the stream's own (RFC 7845, 4)


class BadAudio(Exception):
    """Bytes that are not audio in one of the containers; `cause` is a short code, without data.

    Codes: undecodable, no-audio-stream.
    """

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self.cause = cause


def seconds(file: BinaryIO) -> float:
    """Returns the length of the audio in `file`, which can seek; raises BadAudio.

    Always counts the packets, without decoding them: live WEBM and piped FLAC have no duration in the
    header, and the header of a recording that was cut off promises more than the file has.
    """
    import av

    try:
        # A piped RF64 declares a length of 0 in its header.
        return _measured(file, _OPTIONS) or _measured(file, _OPTIONS | _TO_THE_END)
    except av.FFmpegError:
        raise BadAudio("undecodable") from None


def hms(seconds: float) -> str:
    """Returns `seconds` as hh:mm:ss, to the nearest second (CONTRACT S01); the hours have no limit."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours:02}:{minute:02}:{second:02}"


def _measured(file: BinaryIO, options: dict[str, str]) -> float:
    import av

    file.seek(0)
    with av.open(file, mode="r", options=options, metadata_errors="replace") as recording:
        if not recording.streams.audio:
            raise BadAudio("no-audio-stream")
        stream = recording.streams.audio[0]
        ticks = _ticks(recording.demux(stream))
        length = float(ticks * stream.time_base) if stream.time_base else 0.0
        return max(0.0, length - _pre_skip(stream.codec_context.extradata))


def _pre_skip(header: bytes | None) -> float:
    """Returns the seconds of an Opus stream that are skipped at its beginning (RFC 7845, 5.1); else 0."""
    if header is None or len(header) < _PRE_SKIP.stop or not header.startswith(b"OpusHead"):
        return 0.0
    return int.from_bytes(header[_PRE_SKIP], "little") / _OPUS_RATE


def _ticks(packets: "Iterable[Packet[AudioStream]]") -> int:
    """Returns the sum of the packets' lengths or their span, whichever is longer, in the stream's time base.

    The sum is shorter if silence was not sent; the span is shorter if the time begins anew.
    """
    held, first, end = 0, None, 0
    for packet in packets:
        length = packet.duration or 0
        held += length
        if packet.pts is not None:
            first = packet.pts if first is None else min(first, packet.pts)
            end = max(end, packet.pts + length)
    return max(held, end - (first or 0))
