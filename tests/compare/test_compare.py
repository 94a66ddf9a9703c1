"""Comparing two legacy answers: what is a difference, what is none, and that no value is ever in one."""

import hashlib
import hmac
import json
from collections import Counter
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.compare import MAX_DIFFERENCES, MAX_OF_ONE, CompareRules, Difference, Leaf, compare
from proxy.mapping.moving import Compare
from proxy.values import Answer

NONE: Final = Leaf("none", None, None)
JWT: Final = "eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJ4In0.c2ln"
UUID: Final = "1d4834c3-6fa0-4aa9-9f68-37e763efb999"
OTHER_UUID: Final = "a8085aea-653f-4ec1-9795-f5d809ff3bd4"


def digest(text: str) -> str:
    return hmac.digest(b"salt", text.encode(), hashlib.sha256).hex()


def of(value: Any, status: int = 200, content_type: str = "application/json") -> Answer:
    return Answer(status, json.dumps(value).encode(), content_type)


def text(body: str | bytes, content_type: str = "text/plain; charset=utf-8", status: int = 200) -> Answer:
    return Answer(status, body if isinstance(body, bytes) else body.encode(), content_type)


def differences(control: Answer, candidate: Answer, rules: CompareRules | None = None) -> list[Difference]:
    return compare(control, candidate, rules or CompareRules(), digest)


def told(control: Any, candidate: Any, **rules: Any) -> list[tuple[str, str]]:
    """Returns path and kind of each difference of two JSON answers."""
    return [(each.path, each.kind) for each in differences(of(control), of(candidate), CompareRules(**rules))]


@pytest.mark.parametrize(
    ("control", "candidate", "expected"),
    [
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, []),
        ({"a": 1}, {"a": 1.0}, []),
        ({"a": -0.0}, {"a": 0}, []),
        ({"a": 1}, {"a": 2}, [("a", "value")]),
        ({"a": 1}, {"a": True}, [("a", "type")]),
        ({"a": False}, {"a": 0}, [("a", "type")]),
        ({"a": "1"}, {"a": 1}, [("a", "type")]),
        ({"a": None}, {}, [("a", "missing")]),
        ({}, {"a": None}, [("a", "extra")]),
        ({"a": None}, {"a": ""}, [("a", "type")]),
        ({"a": "x"}, {"a": "X"}, [("a", "value")]),
        ({"Año": "x"}, {"año": "x"}, [("Año", "missing"), ("año", "extra")]),
        ({"a": {"b": {"c": 1}}}, {"a": {"b": {"c": 2, "d": 3}}}, [("a.b.c", "value"), ("a.b.d", "extra")]),
        ({"a": {"b": 1}}, {"a.b": 1}, [("a", "missing"), ("a%2Eb", "extra")]),
        ([], {}, [("", "type")]),
        (1, 2, [("", "value")]),
        ([1, 2, 3], [3, 1, 2], [("", "order")]),
        ([1, 1, 2], [1, 2, 2], [("[]", "value")]),
        ([1, 2], [2, 1.0], [("", "order")]),
        ([1, 2, 3], [1, 2], [("", "length")]),
        ([1, 2], [9, 2, 3], [("", "length"), ("[]", "value")]),
        ([{"a": 1}, {"a": 2}], [{"a": 2}, {"a": 1}], [("", "order")]),
        ({"l": [{"a": [1, 2]}]}, {"l": [{"a": [2, 1]}]}, [("l[].a", "order")]),
        ([["a", "b"], ["c"]], [["c"], ["a", "b"]], [("", "order")]),
        (["a,b"], ["a", "b"], [("", "length"), ("[]", "value")]),
        ([["a", "b"]], [["a,b"]], [("[]", "length"), ("[][]", "value")]),
        ([[]], [{}], [("[]", "type")]),
        ([{"a": 1}], [{"b": 1}], [("[].a", "missing"), ("[].b", "extra")]),
        ({"12345678": 1}, {"12345678": 2}, [("*", "value")]),
    ],
)
def test_json_is_compared_leaf_by_leaf(control: Any, candidate: Any, expected: list[tuple[str, str]]) -> None:
    assert told(control, candidate) == expected


def test_a_difference_tells_type_length_and_hash_of_both_sides() -> None:
    (value,) = differences(of({"a": {"b": "Ana"}}), of({"a": {"b": "Anabel"}}))
    assert (value.control.type, value.control.length) == ("string", 3)
    assert (value.candidate.type, value.candidate.length) == ("string", 6)
    assert value.control.hash == digest('"Ana"')[:16]
    assert value.candidate.hash == digest('"Anabel"')[:16]


@pytest.mark.parametrize(
    ("value", "type_", "length"),
    [
        (None, "null", None),
        (True, "bool", None),
        (12, "number", None),
        ("Ana", "string", 3),
        ([1, 2], "array", 2),
        ({"x": 1}, "object", 1),
    ],
)
def test_what_one_side_lacks_is_told_by_the_other(value: Any, type_: str, length: int | None) -> None:
    (lost,) = differences(of({"a": value}), of({}))
    (found,) = differences(of({}), of({"a": value}))
    assert (lost.kind, lost.control.type, lost.control.length, lost.candidate) == (
        "missing",
        type_,
        length,
        NONE,
    )
    assert (found.kind, found.candidate, found.control) == ("extra", lost.control, NONE)


def test_equal_values_have_equal_hashes_and_others_have_not() -> None:
    hashes = [
        differences(of({"a": value}), of({}))[0].control.hash
        for value in (1, 1.0, "1", {"x": [1, "y"]}, {"x": [1.0, "y"]}, {"x": ["y", 1]}, ["a,b"], ["a", "b"])
    ]
    assert hashes[0] == hashes[1]
    assert hashes[3] == hashes[4]
    assert len(set(hashes)) == len(hashes) - 2


def test_another_salt_gives_another_hash() -> None:
    answers = of({"a": "Ana"}), of({"a": "Eva"})
    (one,) = compare(*answers, CompareRules(), lambda text: digest("1" + text))
    (other,) = compare(*answers, CompareRules(), lambda text: digest("2" + text))
    assert one.control.hash != other.control.hash


def test_status_and_content_type_are_told_before_the_body() -> None:
    found = differences(of({"a": 1}), text("Unauthorized", status=401))
    assert [(each.path, each.kind) for each in found] == [("", "status"), ("", "content-type"), ("", "type")]
    assert (found[0].control, found[0].candidate) == (Leaf("200", None, None), Leaf("401", None, None))
    assert (found[2].control.type, found[2].candidate.type, found[2].candidate.length) == (
        "object",
        "text",
        12,
    )


@pytest.mark.parametrize(
    ("control", "candidate", "same"),
    [
        ("text/plain; charset=utf-8", 'TEXT/PLAIN;charset="UTF-8"', True),
        ("text/plain; charset=utf-8", "text/plain; charset=utf-8; format=flowed", True),
        ("text/plain; charset=utf-8", "text/plain", False),
        ("text/plain; charset=utf-8", "text/plain; charset=us-ascii", False),
        ("text/plain", "text/html", False),
        ("", "", True),
        ("", "text/plain", False),
        ("nothing", "Nothing", True),
        ("nothing", "another", False),
    ],
)
def test_a_content_type_is_its_media_type_and_charset(control: str, candidate: str, same: bool) -> None:
    found = differences(text("x", control), text("x", candidate))
    assert [each.kind for each in found] == ([] if same else ["content-type"])


def test_texts_are_compared_as_they_are() -> None:
    assert differences(text("Método"), text("Método")) == []
    (found,) = differences(text("Método"), text("Metodo"))
    assert (found.path, found.kind) == ("", "text")
    assert (found.control.type, found.control.length) == ("text", 6)


@pytest.mark.parametrize(
    ("control", "candidate", "kinds"),
    [
        (text("Método".encode("latin-1")), text("Método"), ["text"]),
        (
            text("Método".encode("latin-1"), "text/plain; charset=ISO-8859-1"),
            text("Método"),
            ["content-type"],
        ),
        (text(b"\xff"), text(b"\xfe"), ["text"]),
        (text(b"\xff"), text(b"\xff"), []),
        (text(b""), text(b"x"), ["text"]),
        (text(b""), text(b""), []),
    ],
)
def test_bytes_that_are_no_text_are_compared_too(
    control: Answer, candidate: Answer, kinds: list[str]
) -> None:
    assert [each.kind for each in differences(control, candidate)] == kinds


@pytest.mark.parametrize(
    ("control", "candidate", "expected"),
    [
        (b'{"a":', b'{"a":', []),
        (b'{"a":', b"{}", [("", "type", "text", "object")]),
        (b"{}", b"", [("", "type", "object", "text")]),
        (b'{"a":', b'{"b":', [("", "text", "text", "text")]),
        (b'{"a": 1, "a": 2}', b'{"a": 2}', [("", "type", "text", "object")]),
        (b"[" * 65 + b"]" * 65, b"[]", [("", "type", "text", "array")]),
        (b'"text"', b"text", [("", "type", "string", "text")]),
    ],
)
def test_json_that_does_not_parse_counts_as_text(
    control: bytes, candidate: bytes, expected: list[tuple[str, ...]]
) -> None:
    one, other = (Answer(200, body, "application/problem+json") for body in (control, candidate))
    found = differences(one, other)
    assert [(each.path, each.kind, each.control.type, each.candidate.type) for each in found] == expected


def test_json_X03_with_half_an_emoji_is_compared_by_its_fields() -> None:
    assert told({"a": "Ana \ud83d", "b": 1}, {"a": "Ana \ud83d", "b": 2}) == [("b", "value")]


def test_json_under_a_wrong_content_type_is_still_compared_by_its_fields() -> None:
    found = differences(of({"a": 1, "b": 1}, content_type="text/html"), of({"a": 1, "b": 2}))
    assert [(each.path, each.kind) for each in found] == [("", "content-type"), ("b", "value")]


def test_a_text_that_could_be_json_is_text_where_no_side_calls_it_so() -> None:
    assert [each.kind for each in differences(text('{"a": 1}'), text('{"a":1}'))] == ["text"]
    assert [each.control.type for each in differences(text("12"), of({}))][-1] == "text"


@pytest.mark.parametrize(
    ("ignore", "expected"),
    [
        (("document.input",), [("document.user", "value"), ("list", "length"), ("list[].name", "value")]),
        (("document",), [("list", "length"), ("list[].name", "value")]),
        (("list", "document.user"), [("document.input.x", "value")]),
        (("list[]", "document"), [("list", "length")]),
        (("list[].name", "document"), [("list", "length")]),
        (("docu", "list", "document.inp"), [("document.input.x", "value"), ("document.user", "value")]),
        (("",), []),
    ],
)
def test_what_stands_at_or_below_an_ignored_path_is_no_difference(
    ignore: tuple[str, ...], expected: list[tuple[str, str]]
) -> None:
    control = {"document": {"input": {"x": 1}, "user": "ana"}, "list": [{"name": "a"}]}
    candidate = {"document": {"input": {"x": 2}, "user": "eva"}, "list": [{"name": "b"}, {"name": "c"}]}
    assert told(control, candidate, ignore=ignore) == expected


def test_an_ignored_field_may_be_missing_and_does_not_hide_another_order() -> None:
    assert told({"a": 1}, {}, ignore=("a",)) == []
    control = [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}]
    candidate = [{"id": 9, "name": "b"}, {"id": 8, "name": "a"}]
    assert told(control, candidate, ignore=("[].id",)) == [("", "order")]
    assert told([1, 2], [2, 1], ignore=("[]",)) == []


def test_the_whole_body_can_be_ignored_and_the_status_cannot() -> None:
    rules = CompareRules(ignore=("",))
    assert differences(text("a"), text("b"), rules) == []
    assert [each.kind for each in differences(text("a"), text("b", status=500), rules)] == ["status"]


@pytest.mark.parametrize(
    ("control", "candidate", "types"),
    [
        (UUID, OTHER_UUID, None),
        (JWT, JWT + "x", None),
        ("2025-05-05T10:00:00Z", "2026-01-01T00:00:00.5+01:00", None),
        ("a" * 64, "b" * 64, None),
        ("a" * 64, "b" * 40, None),
        ("12", "345", None),
        (12, 3.5, None),
        ("Ana", "Eva Pérez", None),
        (None, None, None),
        (True, False, None),
        (UUID, "Ana", ("uuid", "string")),
        (JWT, "opaque-token-without-dots", ("jwt", "token")),
        ("2025-05-05T10:00:00Z", "2025-05-05 10:00", ("time", "string")),
        ("12", 12, ("numeral", "number")),
        ("Ana", "", ("string", "empty")),
        ("Ana", None, ("string", "null")),
        ({"a": 1}, [1], ("object", "array")),
    ],
)
def test_at_a_volatile_path_only_kinds_are_compared(
    control: Any, candidate: Any, types: tuple[str, str] | None
) -> None:
    found = differences(of({"v": control}), of({"v": candidate}), CompareRules(volatile=("v",)))
    assert [(each.path, each.kind) for each in found] == ([("v", "type")] if types else [])
    assert [(each.control.type, each.candidate.type) for each in found] == ([types] if types else [])


def test_below_a_volatile_path_the_structure_is_still_compared() -> None:
    control = {"v": {"id": UUID, "at": "2025-05-05T10:00:00Z", "list": [1, 2]}}
    candidate = {"v": {"id": "Ana", "list": [3], "new": 1}}
    expected = [("v.at", "missing"), ("v.id", "type"), ("v.list", "length"), ("v.new", "extra")]
    assert told(control, candidate, volatile=("v",)) == expected


def test_volatile_fields_do_not_hide_another_order() -> None:
    control = [{"id": UUID, "name": "a"}, {"id": OTHER_UUID, "name": "b"}]
    candidate = [{"id": UUID, "name": "b"}, {"id": OTHER_UUID, "name": "a"}]
    assert told(control, candidate, volatile=("[].id",)) == [("", "order")]
    assert told(control, control[::-1], volatile=("[].id", "[].name")) == []


def test_a_volatile_text_body_is_compared_by_its_kind() -> None:
    rules = CompareRules(volatile=("",))
    assert differences(text("una respuesta"), text("otra respuesta"), rules) == []
    (found,) = differences(text("una respuesta"), text(""), rules)
    assert (found.kind, found.control.type, found.candidate.type) == ("type", "string", "empty")
    (again,) = differences(text("otra respuesta"), text(""), rules)
    assert again.control.hash == found.control.hash


@pytest.mark.parametrize(
    ("control", "candidate", "percent", "same"),
    [
        (100, 105, 5, True),
        (100, 95.0, 5, True),
        (100, 105.01, 5, False),
        (-100, -105, 5, True),
        (-100, -106, 5, False),
        (0, 0.0001, 100, False),
        (0, 0, 5, True),
        (105, 100, 4.8, True),
        (100, 105, 4.8, False),
        (10**299, 10**299 + 1, 1, True),
        (1.7e308, -1.7e308, 100, False),
        (True, False, 100, False),
        ("100", "101", 5, False),
    ],
)
def test_a_number_may_differ_by_percent_of_the_controls(
    control: Any, candidate: Any, percent: float, same: bool
) -> None:
    found = told({"a": {"b": control}}, {"a": {"b": candidate}}, tolerance={"a.b": percent})
    assert (found == []) is same
    assert (told([{"b": control}], [{"b": candidate}], tolerance={"[]": percent}) == []) is same
    assert told({"a": control, "b": 1}, {"a": control, "b": 2}, tolerance={"a": percent}) == [("b", "value")]


def test_the_candidates_word_for_the_same_thing_is_read_as_the_controls() -> None:
    same = [("legacy-1", "new-1"), ("ana@legacy", "ana@new")]
    control = {"id": "legacy-1", "message": "Guardado legacy-1 de ana@legacy", "list": [{"id": "legacy-1"}]}
    candidate = {"id": "new-1", "message": "Guardado new-1 de ana@new", "list": [{"id": "new-1"}]}
    assert compare(of(control), of(candidate), CompareRules(), digest, same) == []
    assert compare(text("UUID: legacy-1"), text("UUID: new-1"), CompareRules(), digest, same) == []
    assert len(differences(of(control), of(candidate))) == 3


def test_words_for_the_same_thing_do_not_disturb_each_other() -> None:
    swapped = [("a1", "b1"), ("b1", "a1"), ("c", "a1x"), ("d", "")]
    assert compare(text("a1 b1 c"), text("b1 a1 a1x"), CompareRules(), digest, swapped) == []
    (left,) = compare(of({"id": "a1"}), of({"id": "zz"}), CompareRules(), digest, swapped)
    assert left.candidate.length == 2


def test_of_one_difference_in_a_thousand_elements_some_are_told_and_the_others_fit() -> None:
    control = [{"name": f"a{number}", "last": 1} for number in range(1000)]
    candidate = [{"name": f"b{number}", "last": 1} for number in range(1000)]
    candidate[999]["last"] = 2
    assert Counter(told(control, candidate)) == {("[].name", "value"): MAX_OF_ONE, ("[].last", "value"): 1}


def test_a_list_of_differences_ends_at_its_bound() -> None:
    control = {f"field_{letter}{number}": 1 for letter in "abcde" for number in range(100)}
    assert len(told(control, {})) == MAX_DIFFERENCES
    assert len(told(control, dict.fromkeys(control, 2))) == MAX_DIFFERENCES


def test_every_path_of_a_difference_can_be_written_in_a_mapping() -> None:
    keys = ["a b", "a.b", "a[0]", "", "%", "*", "Año", "x" * 100, "12345678", "ana@clinica.example"]
    paths = [path for path, _ in told([{key: {"x": [{"y": 1}]} for key in keys}], [dict.fromkeys(keys, 2)])]
    paths += [
        path
        for path, _ in told(
            [{key: {"x": [{"y": 1}]}} for key in keys], [{key: {"x": [{"y": 2}]}} for key in keys]
        )
    ]
    assert Compare(ignore=paths).ignore == paths
    assert told([dict.fromkeys(keys, 1)], [{}], ignore=tuple(paths)) == []


def test_twenty_thousand_elements_in_another_order_are_one_difference_and_two_hashes() -> None:
    """Needs no trial of all pairs: 400 million of them would not end within a test run."""
    asked: list[str] = []

    def counting(text: str) -> str:
        asked.append(text)
        return digest(text)

    rows = [{"id": number, "name": f"encounter {number}"} for number in range(20_000)]
    (found,) = compare(of(rows), of(rows[::-1]), CompareRules(), counting)
    assert found.kind == "order"
    assert len(asked) == 2


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.sampled_from([0.5, 1.0, -1.0, 1e300])
    | st.text("ab1", max_size=2)
    | st.just(UUID),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["a", "b", "c.d", ""]), inner, max_size=4)
    ),
    max_leaves=20,
)
paths = st.sampled_from(["a", "b", "a.b", "[]", "[].a", "a[]", "b[].a", "c%2Ed", "%"])
rules = st.builds(
    CompareRules,
    ignore=st.lists(paths, max_size=2).map(tuple),
    volatile=st.lists(paths, max_size=2).map(tuple),
    tolerance=st.dictionaries(paths, st.sampled_from([0.0, 10.0, 100.0]), max_size=2),
)
bodies = st.one_of(
    values.map(of),
    st.text("ab", max_size=3).map(text),
    st.binary(max_size=4).map(lambda body: Answer(200, body, "application/json")),
)


@settings(deadline=None)
@given(bodies, rules)
def test_an_answer_does_not_differ_from_itself(answer: Answer, rules: CompareRules) -> None:
    assert differences(answer, answer, rules) == []


def _kinds(found: list[Difference]) -> Counter[tuple[str, str]]:
    return Counter((each.path, each.kind) for each in found)


@settings(deadline=None)
@given(bodies, bodies, rules)
def test_the_other_way_round_what_was_missing_is_extra(
    one: Answer, other: Answer, rules: CompareRules
) -> None:
    there = differences(one, other, CompareRules(rules.ignore, rules.volatile))
    back = differences(other, one, CompareRules(rules.ignore, rules.volatile))
    turned = {"missing": "extra", "extra": "missing"}
    assert _kinds(back) == Counter((each.path, turned.get(each.kind, each.kind)) for each in there)
    assert [(each.candidate, each.control) for each in back] == [
        (each.control, each.candidate) for each in there
    ]


@settings(deadline=None)
@given(values, values)
def test_without_rules_equal_is_what_python_and_json_call_equal(one: Any, other: Any) -> None:
    def plain(value: Any) -> str:
        """Returns JSON in which 1 equals 1.0, but not True."""
        return json.dumps(json.loads(json.dumps(value), parse_int=float), sort_keys=True)

    assert (differences(of(one), of(other)) == []) is (plain(one) == plain(other))


secrets = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=12).map(
    "§".__add__
)
private = st.recursive(
    secrets | st.integers(10**15, 10**16),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["name", "list"]), inner, max_size=2)
    ),
)


def _leaves(value: Any) -> list[str]:
    if isinstance(value, dict | list):
        return [
            leaf for part in (value.values() if isinstance(value, dict) else value) for leaf in _leaves(part)
        ]
    return [str(value)]


@settings(deadline=None)
@given(private, private)
def test_no_value_is_in_a_difference(one: Any, other: Any) -> None:
    found = differences(of(one), of(other)) + differences(
        text(json.dumps(one)), text("§" + json.dumps(other))
    )
    said = repr(found)
    assert found
    assert [leaf for leaf in _leaves(one) + _leaves(other) if leaf in said or repr(leaf)[1:-1] in said] == []
