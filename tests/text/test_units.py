"""Lengths in UTF-16 units, and cutting by them."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.text.units import split_units, utf16_units


@pytest.mark.parametrize(("text", "units"), [("", 0), ("ñ", 1), ("😀", 2), ("e\u0301", 2), ("a😀b", 4)])
def test_units_Q04_signs_beyond_the_basic_plane_count_two(text: str, units: int) -> None:
    assert utf16_units(text) == units


@settings(deadline=None)
@given(st.text(), st.integers(2, 40))
def test_units_Q05_pieces_are_within_the_limit_and_lose_nothing(text: str, limit: int) -> None:
    pieces = split_units(text, limit)
    assert "".join(pieces) == text
    assert all(0 < utf16_units(piece) <= limit for piece in pieces)


def test_units_Q05_a_surrogate_pair_is_never_parted() -> None:
    assert split_units("a😀😀", 2) == ["a", "😀", "😀"]


def test_units_Q05_words_stay_whole_where_they_can() -> None:
    question = "palabra " * 500
    assert all(re.fullmatch("(palabra )+", piece) for piece in split_units(question, 2000))


def test_a_far_away_space_does_not_make_a_tiny_piece() -> None:
    assert [len(piece) for piece in split_units("a " + "b" * 30, 20)] == [20, 12]


def test_an_empty_text_has_no_pieces() -> None:
    assert split_units("", 10) == []


def test_a_limit_that_no_pair_fits_in_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="at least 2"):
        split_units("a", 1)
