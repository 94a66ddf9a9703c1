"""The token estimate behaves like a length."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.text.tokens import estimate


@pytest.mark.parametrize(
    ("text", "tokens"),
    [("", 0), (" \n\t", 0), ("tos", 1), ("paciente", 2), ("El paciente tose.", 5), ("¿Qué?", 3), ("39,5", 3)],
)
def test_tokens_N13_words_count_by_four_characters_and_signs_by_one(text: str, tokens: int) -> None:
    assert estimate(text) == tokens


@settings(deadline=None)
@given(st.text(), st.text())
def test_tokens_N13_a_longer_text_counts_no_less_and_its_parts_no_less_together(one: str, two: str) -> None:
    whole, parts = estimate(one + two), [estimate(one), estimate(two)]
    assert max(parts) <= whole <= sum(parts)


@settings(deadline=None)
@given(st.text() | st.text(st.characters(max_codepoint=255)))
def test_tokens_N13_the_count_is_the_patterns_in_every_alphabet(text: str) -> None:
    assert estimate(text) == len(re.findall(r"\w{1,4}|[^\w\s]", text))
