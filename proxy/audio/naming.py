"""Gives audio files the ending of their container: other programs go by the name alone."""

import re
from collections.abc import Mapping
from typing import Final

from proxy.audio.sniff import Container, extension

_ENDINGS: Final[Mapping[Container, frozenset[str]]] = {
    "wav": frozenset({"wav", "wave", "bwf", "rf64"}),
    "flac": frozenset({"flac"}),
    "ogg": frozenset({"ogg", "oga", "opus", "spx"}),
    "webm": frozenset({"webm", "weba", "mka", "mkv"}),
    "m4a": frozenset({"m4a", "mp4", "m4b", "m4r", "mov", "3gp", "3g2"}),
    "mp3": frozenset({"mp3", "mpga", "mpeg"}),
    "wma": frozenset({"wma", "asf", "wmv"}),
    "aiff": frozenset({"aiff", "aif", "aifc"}),
    "amr": frozenset({"amr", "awb"}),
    "caf": frozenset({"caf"}),
    "au": frozenset({"au", "snd"}),
    "aac": frozenset({"aac", "adts"}),
}
# Any audio file's endings: another ending, such as a date's, belongs to the stem.
_AUDIO: Final = frozenset().union(*_ENDINGS.values()) | {"mp2", "mpg", "m4v", "3gpp", "w64", "pcm", "raw"}
_ENDING: Final = re.compile(r"(?<=[^/\\])\.([0-9A-Za-z]{1,4})\s*\Z")


def with_ending(filename: str, container: str | None) -> str:
    """Returns the file's name with an ending of its container; an ending that fits stays.

    An ending of another container is replaced. The name stays as it is if the container is unknown.
    """
    kind = next((each for each in _ENDINGS if each == container), None)
    if kind is None:
        return filename
    found = _ENDING.search(filename)
    ending = found[1].lower() if found else ""
    if ending in _ENDINGS[kind]:
        return filename
    stem = filename[: found.start()] if found and ending in _AUDIO else filename
    return stem + extension(kind)
