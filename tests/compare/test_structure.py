"""The structure of an answer: paths and types, bounded, and nothing of its values."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.compare.structure import MAX_PAIRS, leaves
from proxy.values import Answer

TEXT = frozenset({("", "text")})


def of(value: Any, content_type: str = "application/json; charset=utf-8") -> Answer:
    return Answer(200, json.dumps(value).encode(), content_type)


@pytest.mark.parametrize(
    ("value", "pairs"),
    [
        ({}, {("", "object")}),
        (3, {("", "number")}),
        (
            {"document": {"username": "ana", "cost": 0.5}},
            {
                ("", "object"),
                ("document", "object"),
                ("document.username", "string"),
                ("document.cost", "number"),
            },
        ),
        (
            [{"Input": {"documents": []}}, {"Input": None}],
            {
                ("", "array"),
                ("[]", "object"),
                ("[].Input", "object"),
                ("[].Input", "null"),
                ("[].Input.documents", "array"),
            },
        ),
        (
            [[1, "a"], True],
            {("", "array"), ("[]", "array"), ("[]", "bool"), ("[][]", "number"), ("[][]", "string")},
        ),
        ({"a.b": 1}, {("", "object"), ("a%2Eb", "number")}),
        (
            {"ana@clinica.example": {"x": 1}, "4711": {"x": "y"}, "Eva Pérez": None, "k" * 65: None},
            {("", "object"), ("*", "object"), ("*", "null"), ("*.x", "number"), ("*.x", "string")},
        ),
    ],
)
def test_a_json_answer_is_told_by_its_paths_and_types(value: Any, pairs: set[tuple[str, str]]) -> None:
    assert leaves(of(value)) == pairs


@pytest.mark.parametrize(
    "answer",
    [
        Answer(401, b"Unauthorized", "text/plain; charset=utf-8"),
        Answer(200, b'{"a": 1}', "text/html"),
        Answer(200, b'{"a": ', "application/json"),
        Answer(200, b"", "application/json"),
        Answer(200, b"[" * 1000, "application/json"),
        Answer(200, b'{"a": 1}', ""),
    ],
)
def test_any_other_answer_is_a_text(answer: Answer) -> None:
    assert leaves(answer) == TEXT


def test_structure_X03_of_an_answer_with_half_an_emoji_is_told() -> None:
    assert leaves(of({"title": "Ana \ud83d"})) == {("", "object"), ("title", "string")}


def test_of_what_stands_at_an_opaque_path_only_its_type_is_told() -> None:
    value = [{"Input": {"ehr": {"allergies": ["x"]}, "conversation": "y"}, "StructuredData": [{"z": 1}]}]
    assert leaves(of(value), {"[].Input.ehr", "[].StructuredData"}) == {
        ("", "array"),
        ("[]", "object"),
        ("[].Input", "object"),
        ("[].Input.ehr", "object"),
        ("[].Input.conversation", "string"),
        ("[].StructuredData", "array"),
    }


def test_of_too_many_pairs_those_nearest_to_the_top_are_given() -> None:
    wide = {f"a{letter}{number}": {"below": 1} for letter in "abcdefgh" for number in range(100)}
    found = leaves(of({"deep": {"er": wide}, "last": True}))
    assert len(found) == MAX_PAIRS
    assert {("", "object"), ("deep", "object"), ("deep.er", "object"), ("last", "bool")} <= found
    assert not any(path.endswith("below") for path, _ in found)


secret = st.text(min_size=1).map("§".__add__)


@settings(deadline=None)
@given(st.recursive(secret, lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from("ab"), inner)))
def test_no_value_is_in_the_structure(value: Any) -> None:
    assert "§" not in repr(leaves(of(value)))
