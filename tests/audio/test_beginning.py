"""Chunks, classified by their beginning, alone and with the short ones before them."""

from collections.abc import Sequence
from typing import Final

import pytest

from proxy.audio.beginning import Beginning, BeginningVerdict
from proxy.audio.sniff import HEAD_SIZE, Container
from tests.samples import audio, id3, wav, webm_chunks

WEBM: Final = webm_chunks(0.3, 1)[0]
MORE: Final = webm_chunks(3, 5)[1]
GOES_ON: Final = BeginningVerdict(opens=False, taken=0, container=None, short=False)


def verdict(held: Sequence[bytes], *pieces: bytes, last: str | None = "webm") -> BeginningVerdict:
    beginning = Beginning(held)
    for piece in pieces:
        beginning.add(piece)
    return beginning.verdict(last, has_recording=True)


@pytest.mark.parametrize("cut", range(1, 4))
def test_beginning_U04_a_signature_that_was_cut_is_known_when_joined(cut: int) -> None:
    assert verdict([WEBM[:cut]], WEBM[cut:]) == BeginningVerdict(True, 1, "webm", short=False)


def test_beginning_U04_a_signature_in_several_short_chunks_is_known() -> None:
    held = [bytes([byte]) for byte in b"RIFF\x24\0\0\0WAV"]
    assert verdict(held, b"E", b"fmt ") == BeginningVerdict(True, 11, "wav", short=False)


def test_beginning_U04_a_short_chunk_that_continued_the_last_recording_is_left_there() -> None:
    assert verdict([b"\x1a"], MORE) == GOES_ON
    assert verdict([b"R"], wav(0.1)) == BeginningVerdict(True, 0, "wav", short=False)
    assert verdict([b"R", b"R"], b"IFF\0\0\0\0WAVE") == BeginningVerdict(True, 1, "wav", short=False)


def test_beginning_U04_a_short_chunk_is_judged_again_and_one_that_begins_nothing_is_not() -> None:
    assert verdict([], b"\x1a") == BeginningVerdict(False, 0, None, short=True)
    assert verdict([b"\x1a"], b"\x45") == BeginningVerdict(False, 0, None, short=True)
    assert verdict([b"x"], b"\x1a") == BeginningVerdict(False, 0, None, short=True)
    assert verdict([], b"x") == GOES_ON
    assert verdict([b"\x1a"], b"x") == GOES_ON


def test_beginning_U04_the_first_chunk_opens_a_recording_and_may_be_too_short_all_the_same() -> None:
    beginning = Beginning()
    beginning.add(b"\x1a")
    assert beginning.verdict(None, has_recording=False) == BeginningVerdict(True, 0, None, short=True)


def test_beginning_U04_a_bare_frame_that_was_cut_never_ends_a_recording_of_its_kind() -> None:
    kinds: tuple[Container, ...] = ("mp3", "aac")
    for kind in kinds:
        whole = audio(kind, 0.3, streamed=True)
        assert verdict([whole[:1]], whole[1:], last=kind) == GOES_ON
        assert verdict([whole[:1]], whole[1:], last="wav") == BeginningVerdict(True, 1, kind, short=False)


@pytest.mark.parametrize("piece", [1, 9, 10, 1000, HEAD_SIZE, 10**7])
@pytest.mark.parametrize("length", [0, 300, HEAD_SIZE - 12, HEAD_SIZE, 40_000])
def test_beginning_U04_flac_behind_a_tag_is_known_however_long_the_tag_is(length: int, piece: int) -> None:
    whole = id3(length) + audio("flac", 0.1)[:500]
    pieces = [whole[start : start + piece] for start in range(0, len(whole), piece)]
    assert verdict([], *pieces) == BeginningVerdict(True, 0, "flac", short=False)
    assert verdict([b"I", b"D3"], *(whole[3:][start:][:piece] for start in range(0, len(whole), piece))) == (
        BeginningVerdict(True, 2, "flac", short=False)
    )


def test_beginning_U04_a_tag_whose_end_has_not_come_is_taken_for_an_mp3() -> None:
    assert verdict([], id3(5000)[:4500]) == BeginningVerdict(True, 0, "mp3", short=False)
