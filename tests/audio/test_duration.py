"""The length of recordings, read from the audio itself."""

from io import BytesIO
from random import Random

import pytest

from proxy.audio.duration import BadAudio, hms, seconds
from proxy.audio.sniff import Container
from tests.samples import CONTAINERS, OTHER_CONTAINERS, audio, id3, rf64, scanned_pdf, wav, webm_chunks


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("name", CONTAINERS)
def test_duration_S01_the_length_is_read_from_each_container(name: Container, streamed: bool) -> None:
    assert seconds(BytesIO(audio(name, 3.2, streamed=streamed))) == pytest.approx(3.2, abs=0.05)


@pytest.mark.parametrize("name", OTHER_CONTAINERS)
def test_duration_S01_the_length_of_less_common_containers_is_read_too(name: Container) -> None:
    assert seconds(BytesIO(audio(name, 3.2))) == pytest.approx(3.2, abs=0.05)


@pytest.mark.parametrize("name", ["amr", "aac", "au", "wma"])
def test_duration_S01_of_frames_without_a_header_those_that_came_are_counted(name: Container) -> None:
    whole = audio(name, 4)
    assert seconds(BytesIO(whole[: len(whole) // 2])) == pytest.approx(2, abs=0.3)


def test_duration_S01_wideband_amr_is_measured() -> None:
    # 23.85 kbit/s, 20 ms: a table of contents and 60 bytes (RFC 4867, 5.3).
    assert seconds(BytesIO(b"#!AMR-WB\n" + (b"\x44" + bytes(60)) * 100)) == pytest.approx(2)


@pytest.mark.parametrize("streamed", [False, True])
def test_duration_S01_a_wav_with_sizes_of_64_bits_is_measured(streamed: bool) -> None:
    assert seconds(BytesIO(rf64(2, streamed=streamed))) == pytest.approx(2)


@pytest.mark.parametrize("name", ["flac", "aac", "mp3"])
def test_duration_S01_behind_a_tag_the_audio_is_measured(name: Container) -> None:
    assert seconds(BytesIO(id3(9000) + audio(name, 2, streamed=True))) == pytest.approx(2, abs=0.05)


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("name", ["ogg", "webm"])
def test_duration_S01_what_opus_skips_at_its_beginning_is_not_counted(
    name: Container, streamed: bool
) -> None:
    assert seconds(BytesIO(audio(name, 1, streamed=streamed))) == pytest.approx(1, abs=0.002)


def test_duration_S01_however_much_a_webms_opus_skips_is_not_counted() -> None:
    whole = audio("webm", 1)
    at = whole.index(b"OpusHead") + 10
    skipping = whole[:at] + (24_000).to_bytes(2, "little") + whole[at + 2 :]
    assert seconds(BytesIO(skipping)) == pytest.approx(0.508, abs=0.002)


def test_duration_S01_a_wav_of_unknown_size_is_measured() -> None:
    assert seconds(BytesIO(wav(2, streamed=True))) == pytest.approx(2)


def test_duration_S01_a_live_recording_sent_in_chunks_is_measured_when_joined() -> None:
    assert seconds(BytesIO(b"".join(webm_chunks(6, 3)))) == pytest.approx(6, abs=0.05)


@pytest.mark.parametrize("name", ["wav", "flac", "ogg", "webm", "mp3"])
def test_duration_S01_of_a_recording_that_was_cut_off_the_part_that_came_is_measured(name: Container) -> None:
    whole = audio(name, 4)
    assert seconds(BytesIO(whole[: len(whole) // 2])) == pytest.approx(2, abs=0.3)


def test_a_recording_of_nothing_lasts_no_time() -> None:
    assert seconds(BytesIO(wav(0))) == 0


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not audio " * 500,
        Random(1).randbytes(5000),
        b"ID3\x03\x00\x00\x00\x00\x00\x10" + b"x" * 3000,
        b"RIFF\x00\x00\x00\x00WAVE",
        webm_chunks(3, 3)[1],
        audio("m4a", 1)[:2000],
        scanned_pdf(),
        b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/hostname\n#EXT-X-ENDLIST\n",
        b"ffconcat version 1.0\nfile /etc/hostname\n",
    ],
    ids=[
        "nothing",
        "text",
        "noise",
        "only a tag",
        "only a header",
        "a later chunk",
        "cut",
        "pdf",
        "hls",
        "concat",
    ],
)
def test_duration_S03_what_is_no_audio_is_refused_and_nothing_is_printed(
    data: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(BadAudio, match=r"^undecodable$"):
        seconds(BytesIO(data))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("length", "text"),
    [(0, "00:00:00"), (0.6, "00:00:01"), (59.6, "00:01:00"), (3661, "01:01:01"), (360_000, "100:00:00")],
)
def test_duration_S01_a_length_is_told_in_hours_minutes_and_seconds(length: float, text: str) -> None:
    assert hms(length) == text
