"""Containers by their first bytes, and where recordings begin."""

from typing import Final

import pytest

from proxy.audio.sniff import HEAD_SIZE, Container, container, extension, media_type, opens, undecided
from tests.samples import CONTAINERS, OTHER_CONTAINERS, audio, id3, rf64, webm_chunks

MP3_FRAME: Final = b"\xff\xfb\x90\x00" + b"\0" * 413  # 128 kbit/s at 44.1 kHz: 417 bytes
BARE_MP3: Final = MP3_FRAME * 2
ADTS_FRAME: Final = b"\xff\xf1\x50\x80\x04\x1f\xfc" + b"\x21" * 25  # AAC-LC at 44.1 kHz: 32 bytes
ID3: Final = b"ID3\x04\x00\x00\x00\x00\x00\x00"
OGG_FIRST: Final = b"OggS\x00\x02" + b"\0" * 20
OGG_LATER: Final = b"OggS\x00\x00" + b"\0" * 20
WAV: Final = b"RIFF\x24\x00\x00\x00WAVEfmt "


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("name", CONTAINERS)
def test_sniff_U04_each_container_is_known_by_its_first_bytes(name: Container, streamed: bool) -> None:
    assert container(audio(name, 0.5, streamed=streamed)[:HEAD_SIZE]) == name


@pytest.mark.parametrize("name", OTHER_CONTAINERS)
def test_sniff_U04_less_common_containers_are_known_too(name: Container) -> None:
    assert container(audio(name, 0.5)[:HEAD_SIZE]) == name


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (rf64(0.1)[:HEAD_SIZE], "wav"),
        (b"BW64\xff\xff\xff\xffWAVEds64", "wav"),
        (b"FORM\0\0\x01\0AIFCFVER", "aiff"),
        (b"#!AMR-WB\n" + bytes(20), "amr"),
        (ADTS_FRAME[:7], "aac"),
        (ADTS_FRAME[:1] + b"\xf9" + ADTS_FRAME[2:] + ADTS_FRAME[:1] + b"\xf9" + ADTS_FRAME[2:], "aac"),
        (id3(300) + audio("flac", 0.1), "flac"),
        (id3(300) + audio("aac", 0.1), "aac"),
        (id3(300) + audio("wav", 0.1), "mp3"),
        (id3(300) + id3(300), "mp3"),
        (id3(300)[:9], "mp3"),
        (b"ID3\x04\x00\x00\xff\x00\x00\x00fLaC", "mp3"),  # no size at all
        (b"ID3\x04\x00\x10\x00\x00\x00\x05" + bytes(5) + b"3DI".ljust(10) + b"fLaC", "flac"),  # a footer
    ],
    ids=repr,
)
def test_sniff_U04_each_form_of_a_container_is_known(head: bytes, name: Container) -> None:
    assert container(head) == name


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("name", CONTAINERS + OTHER_CONTAINERS)
def test_sniff_U04_what_is_too_short_to_tell_is_undecided_until_it_is_told(
    name: Container, streamed: bool
) -> None:
    whole = audio(name, 0.1, streamed=streamed and name in CONTAINERS)
    told = next(size for size in range(1, 50) if container(whole[:size]))
    assert [size for size in range(1, told) if not undecided(whole[:size])] == []
    assert not undecided(whole[:20])


@pytest.mark.parametrize("chunk", [b"a", b"RA", b"RIFX", b"ID4", b"\x1a\x46", b"\xff\x00", b"\0\0\0\x18mdat"])
def test_sniff_U04_what_no_signature_begins_with_is_decided(chunk: bytes) -> None:
    assert not undecided(chunk)


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"R",
        b"RIFF\x24\x00\x00\x00AVI ",
        OGG_LATER,
        b"OggS",
        b"\x1f\x43\xb6\x75",
        b"\xff\xff\x90\x00",  # layer I
        b"\xff\xf1\x50\x80",  # AAC, whose frame has no length yet
        b"\xff\xf1\x74\x80\x20\x1f\xfc",  # AAC of a reserved sample rate
        b"\xff\xf1\x50\x80\x00\xdf\xfc",  # AAC, whose frame is shorter than its header
        ADTS_FRAME + bytes(40),
        ADTS_FRAME + b"\xff\xf1\x4c" + ADTS_FRAME[3:],  # another stream's frame
        b"RF64\xff\xff\xff\xffAVI ",
        b"FORM\0\0\x01\0ILBM",
        b"mdatftypM4A ",
        b"\xff\xeb\x90\x00",  # reserved version
        b"\xff\xfb\xf0\x00",  # reserved bitrate
        b"\xff\xfb\x9c\x00",  # reserved sample rate
        b"\xff\xfb",
        MP3_FRAME + b"\0" * 417,
        "texto".encode("utf-16"),
    ],
    ids=repr,
)
def test_sniff_U04_what_begins_no_container_is_not_taken_for_one(head: bytes) -> None:
    assert container(head) is None


@pytest.mark.parametrize(
    "head", [MP3_FRAME[:4], MP3_FRAME, BARE_MP3, ID3], ids=["header", "frame", "two", "tag"]
)
def test_sniff_U04_an_mp3_is_known_by_its_tag_or_its_frames(head: bytes) -> None:
    assert container(head) == "mp3"


@pytest.mark.parametrize(
    ("head", "last", "verdict"),
    [
        (WAV, "wav", True),
        (OGG_FIRST, "ogg", True),
        (OGG_LATER, "ogg", False),
        (ID3, "mp3", True),
        (BARE_MP3, "mp3", False),
        (BARE_MP3, "wav", True),
        (BARE_MP3, None, True),
        (ADTS_FRAME * 2, "aac", False),
        (ADTS_FRAME * 2, "mp3", True),
        (ADTS_FRAME * 2, "webm", True),
        (BARE_MP3, "aac", True),
        (id3(20) + ADTS_FRAME * 2, "aac", True),
        (b"anything", "webm", False),
        (b"anything", None, False),
    ],
)
def test_sniff_U04_a_signature_opens_a_recording_and_other_bytes_continue_it(
    head: bytes, last: Container | None, verdict: bool
) -> None:
    assert opens(head, last, has_recording=True) is verdict


@pytest.mark.parametrize("head", [WAV, BARE_MP3, b"anything"])
def test_sniff_U04_the_first_chunk_always_opens_a_recording(head: bytes) -> None:
    assert opens(head, None, has_recording=False)


def test_sniff_U04_the_chunks_of_a_live_recording_are_one_recording() -> None:
    first, *others = webm_chunks(3, 5)
    assert opens(first, "webm", has_recording=True)
    assert not any(opens(chunk[:HEAD_SIZE], "webm", has_recording=True) for chunk in others)


def test_sniff_U04_an_mp3_cut_between_frames_is_one_recording() -> None:
    whole = audio("mp3", 1, streamed=True)
    cuts = [at for at in range(1, len(whole)) if container(whole[at : at + HEAD_SIZE]) == "mp3"]
    assert cuts
    assert not any(opens(whole[at : at + HEAD_SIZE], "mp3", has_recording=True) for at in cuts)


@pytest.mark.parametrize("name", CONTAINERS + OTHER_CONTAINERS)
def test_each_container_has_an_ending_and_a_media_type(name: Container) -> None:
    assert extension(name) == f".{name}"
    assert media_type(name).startswith("audio/")
