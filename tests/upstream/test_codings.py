"""Undoing content codings: what was packed comes back, bounded, and nothing else is taken for it."""

import gzip
import zlib
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.upstream.codings import BadCoding, TooLong, unpacked

TEXT: Final = '{"word": "clínica"}'.encode()
LIMIT: Final = 1000


def bare(data: bytes) -> bytes:
    return zlib.compress(data, wbits=-zlib.MAX_WBITS)


def with_library(*names: str) -> Any:
    """Returns the first of these libraries that is installed."""
    for name in names:
        try:
            return import_module(name)
        except ImportError:
            continue
    pytest.skip(f"none of {names} is installed")


def brotli(data: bytes) -> bytes:
    packed: bytes = with_library("brotli", "brotlicffi").compress(data)
    return packed


def zstd(data: bytes) -> bytes:
    packed: bytes = with_library("compression.zstd", "backports.zstd").compress(data)
    return packed


PACKERS: Final[dict[str, Callable[[bytes], bytes]]] = {
    "gzip": gzip.compress,
    "X-GZip": gzip.compress,
    "deflate": zlib.compress,
    " Deflate ": bare,
    "br": brotli,
    "zstd": zstd,
}


@pytest.mark.parametrize("coding", PACKERS)
def test_codings_X03_what_was_packed_comes_back(coding: str) -> None:
    assert unpacked(PACKERS[coding](TEXT), [coding], LIMIT) == TEXT


@pytest.mark.parametrize("coding", PACKERS)
def test_codings_X03_no_more_is_unpacked_than_the_limit(coding: str) -> None:
    pack = PACKERS[coding]
    assert unpacked(pack(b" " * LIMIT), [coding], LIMIT) == b" " * LIMIT
    for size in (LIMIT + 1, 50_000_000):
        with pytest.raises(TooLong):
            unpacked(pack(b" " * size), [coding], LIMIT)


@pytest.mark.parametrize("coding", PACKERS)
def test_codings_X03_a_cut_or_spoilt_body_is_refused(coding: str) -> None:
    packed = PACKERS[coding](bytes(range(256)) * 3)
    for spoilt in (packed[:-1], packed[: len(packed) // 2], packed + b"\xff\xff", b"\xff" * 9):
        with pytest.raises(BadCoding):
            unpacked(spoilt, [coding], LIMIT)


CHAINS: Final = {
    "none": ([], TEXT),
    "identity": (["identity", " , identity"], TEXT),
    "two in one field": (["deflate, gzip"], gzip.compress(zlib.compress(TEXT))),
    "two in two fields": (["deflate", "gzip"], gzip.compress(zlib.compress(TEXT))),
    "members": (["gzip"], gzip.compress(TEXT[:5]) + gzip.compress(TEXT[5:])),
}


@pytest.mark.parametrize("chain", CHAINS)
def test_codings_are_undone_in_the_order_that_the_field_says(chain: str) -> None:
    values, body = CHAINS[chain]
    assert unpacked(body, values, LIMIT) == TEXT


@pytest.mark.parametrize("coding", ["gzip", "deflate", "utf-8", "none", "application/json", "br", "zstd"])
def test_codings_X03_a_text_that_is_only_said_to_be_packed_is_taken(coding: str) -> None:
    assert unpacked(TEXT, [coding], LIMIT) == TEXT


@pytest.mark.parametrize(
    ("values", "body"),
    [
        (["compress"], gzip.compress(TEXT)),
        (["gzip, " * 9 + "gzip"], gzip.compress(TEXT)),
        (["gzip"], gzip.compress(b"") * 60_000),
        (["gzip"], b"\0\0\0"),
    ],
    ids=["unknown", "ten codings", "60,000 members", "NULs"],
)
def test_codings_X03_what_nobody_can_read_is_refused(values: list[str], body: bytes) -> None:
    with pytest.raises(BadCoding):
        unpacked(body, values, LIMIT)


@settings(deadline=None, derandomize=True)
@given(st.binary(), st.sampled_from([*PACKERS, "utf-8"]))
def test_codings_X03_any_bytes_have_a_verdict(body: bytes, coding: str) -> None:
    with suppress(BadCoding, TooLong):
        assert len(unpacked(body, [coding], LIMIT)) <= max(LIMIT, len(body))
