"""Reads the headers of bare MP3 and AAC frames, and of the ID3v2 tag that may precede them."""

from typing import Final

# MPEG audio, layer III (ISO 11172-3, 2.4.2.3; ISO 13818-3): kbit/s by index, of MPEG-1 and of 2 and 2.5.
_BITRATES_1: Final = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_BITRATES_2: Final = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_SAMPLE_RATES: Final = (44_100, 48_000, 32_000)  # of MPEG-1; halved for MPEG-2, again for MPEG-2.5
_DIVISORS: Final = {0b11: 1, 0b10: 2, 0b00: 4}  # by the version's bits; 0b01 is reserved
_LAYER_III: Final = 0b01

# ADTS (ISO 13818-7, 6.2): the header's size without a checksum, the number of sampling rates.
_ADTS_HEADER: Final = 7
_ADTS_LENGTH_ENDS: Final = 6  # the byte after the last one of the frame's length
_ADTS_RATES: Final = 13

# ID3v2 (id3.org, ID3v2.4.0, 3.1): the header's size, and the flag of a footer of the same size.
_TAG_HEADER: Final = 10
_TAG_FOOTER: Final = 0x10

LONGEST_START: Final = _ADTS_LENGTH_ENDS  # bytes that identify a bare frame's header


def begins_mp3(head: bytes) -> bool:
    """Returns whether `head` begins a layer III frame, followed by another one if `head` reaches that far."""
    size = _mp3_size(head)
    return size > 0 and (len(head) < size + 4 or _mp3_size(head[size : size + 4]) > 0)


def begins_adts(head: bytes) -> bool:
    """Returns whether `head` begins an ADTS frame of AAC.

    Another frame of the same stream must follow, if `head` reaches that far.
    """
    size = _adts_size(head)
    following = head[size : size + _ADTS_LENGTH_ENDS]
    if not size or len(following) < _ADTS_LENGTH_ENDS:
        return size > 0
    same = following[:3] == head[:3] and following[3] >> 4 == head[3] >> 4  # the fixed header, 28 bits
    return same and _adts_size(following) > 0


def may_begin_frames(head: bytes) -> bool:
    """Returns whether `head` is too short for a frame's header, and begins like one: with eleven bits set."""
    return (
        len(head) < LONGEST_START
        and head[:1] == b"\xff"
        and (len(head) == 1 or head[1] & 0b1110_0000 == 0b1110_0000)
    )


def tag_length(head: bytes) -> int:
    """Returns the bytes of the ID3v2 tag that begins here, with its header.

    Returns 0 if none begins here, or its header is not complete.
    """
    size = head[6:_TAG_HEADER]
    if len(size) < 4 or not head.startswith(b"ID3") or max(size) > 0x7F:
        return 0
    footer = _TAG_HEADER if head[5] & _TAG_FOOTER else 0
    return _TAG_HEADER + (size[0] << 21 | size[1] << 14 | size[2] << 7 | size[3]) + footer


def _mp3_size(header: bytes) -> int:
    """Returns the bytes of the layer III frame that begins here; 0 if none does, or its bitrate is free."""
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


def _adts_size(header: bytes) -> int:
    """Returns the bytes of the ADTS frame that begins here; 0 if none does."""
    if len(header) < _ADTS_LENGTH_ENDS or header[0] != 0xFF or header[1] & 0xF6 != 0xF0:
        return 0
    size = (header[3] & 0b11) << 11 | header[4] << 3 | header[5] >> 5
    rate = header[2] >> 2 & 0b1111
    return size if rate < _ADTS_RATES and size >= _ADTS_HEADER else 0
