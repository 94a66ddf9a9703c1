"""Encodings of RFC 2045, in any pieces, against the standard library's reading of the whole."""

import base64
import quopri
from itertools import pairwise
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.errors import Refusal
from proxy.inbound.transfer_encoding import decoder

CUTS: Final = st.lists(st.integers(0, 400), max_size=6)


def decoded(encoding: str, data: bytes, cuts: list[int]) -> bytes:
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    taken = decoder(encoding)
    return b"".join([*(taken.feed(data[start:end]) for start, end in pairwise(places)), taken.end()])


def refused(encoding: str, data: bytes, cuts: list[int]) -> bool:
    try:
        decoded(encoding, data, cuts)
    except Refusal:
        return True
    return False


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.binary(max_size=200), st.integers(1, 76), CUTS)
def test_part_N10_in_base64_is_what_was_encoded(data: bytes, width: int, cuts: list[int]) -> None:
    text = base64.b64encode(data)
    folded = b"\r\n".join(text[at : at + width] for at in range(0, len(text), width))
    for each in (text, folded, folded + b"\r\n"):
        assert decoded("base64", each, cuts) == data
        assert decoded("Base64", each, list(range(len(each)))) == data


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.lists(st.sampled_from((b"=", b"\r\n", b" ", b"\xc3\xb1", b"a", b"A" * 80))).map(b"".join), CUTS)
def test_part_N11_in_quoted_printable_is_what_was_encoded(data: bytes, cuts: list[int]) -> None:
    text = quopri.encodestring(data.replace(b"\r\n", b"\n")).replace(b"\n", b"\r\n")
    for each in (text, b"".join(b"=%02x" % byte for byte in data)):
        assert decoded("quoted-printable", each, cuts) == data
        assert decoded("QUOTED-PRINTABLE", each, list(range(len(each)))) == data


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.lists(st.sampled_from((b"=", b"\r", b"\n", b"4", b"g", b" "))).map(b"".join), CUTS)
def test_part_N16_is_judged_the_same_in_any_pieces(data: bytes, cuts: list[int]) -> None:
    for encoding in ("quoted-printable", "base64"):
        assert refused(encoding, data, cuts) == refused(encoding, data, [])


@pytest.mark.parametrize(
    "data", [b"a", b"YQ", b"YQ=", b"YQ==YQ==", b"=YQ=", b"YQ==\r\n=", b"Y-==", b"YW\xf1v", b"===="]
)
def test_part_N16_in_broken_base64_is_refused(data: bytes) -> None:
    assert refused("base64", data, [])
    assert refused("base64", data, list(range(len(data))))


@pytest.mark.parametrize(
    "data", [b"a = b", b"=4", b"=4g", b"==", b"==41", b"=\rx", b"=\r", b"= \r\n", b"=-1"]
)
def test_part_N16_in_broken_quoted_printable_is_refused(data: bytes) -> None:
    assert refused("quoted-printable", data, [])
    assert refused("quoted-printable", data, list(range(len(data))))


@pytest.mark.parametrize("encoding", ["", "7bit", "8BIT", "binary"])
def test_part_N10_in_no_encoding_is_as_it_came(encoding: str) -> None:
    assert decoded(encoding, b"=41\xff\0\r\n", [2]) == b"=41\xff\0\r\n"


@pytest.mark.parametrize("encoding", ["gzip", "x-uuencode", "base64, base64", "utf-8", "quoted_printable"])
def test_part_N16_in_an_unknown_encoding_is_refused(encoding: str) -> None:
    assert refused(encoding, b"YQ==", [])
