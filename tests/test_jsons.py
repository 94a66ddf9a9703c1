"""The one JSON reader: any bytes end in a value or in BadJson, and nothing else."""

import json
from contextlib import suppress
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.jsons import ANSWER, RECORD, STRICT, BadJson, Rules, dump, load, load_object
from proxy.values import Json

BROKEN: Final[dict[str, tuple[bytes, str]]] = {
    "nothing": (b"", "syntax"),
    "only white space": (b" \n", "syntax"),
    "cut object": (b'{"a": 1', "syntax"),
    "cut string": (b'"abc', "syntax"),
    "cut after a backslash": (b'"abc\\', "syntax"),
    "trailing comma": (b'{"a": 1,}', "syntax"),
    "trailing data": (b'{"a": 1} {"b": 2}', "syntax"),
    "single quotes": (b"{'a': 1}", "syntax"),
    "key without quotes": (b"{a: 1}", "syntax"),
    "comment": (b'{"a": 1} // no', "syntax"),
    "leading zero": (b"01", "syntax"),
    "hexadecimal number": (b"0x1F", "syntax"),
    "raw line end in a string": (b'"a\nb"', "syntax"),
    "raw NUL": (b'{"a": "\x00"}', "syntax"),
    "unknown escape": (rb'"\x41"', "syntax"),
    "unfinished escape": (rb'"\u12"', "syntax"),
    "wrong closing bracket": (b'{"a": [1}', "syntax"),
    "a form instead": (b"a=1&b=2", "syntax"),
    "NaN": (b'{"a": NaN}', "not-a-number"),
    "minus Infinity": (b"[-Infinity]", "not-a-number"),
    "repeated key": (b'{"a": 1, "a": 2}', "duplicate-key"),
    "repeated key, once escaped": (rb'{"a": 1, "\u0061": 2}', "duplicate-key"),
    "high surrogate alone": (rb'{"a": "\ud800"}', "lone-surrogate"),
    "low surrogate as a key": (rb'{"\uDC00": 1}', "lone-surrogate"),
    "surrogate in UTF-8": (b'"\xed\xa0\x80"', "not-utf8"),
    "Latin-1": ('{"a": "Clínica"}'.encode("latin-1"), "not-utf8"),
    "UTF-16": ('{"a": 1}'.encode("utf-16"), "not-utf8"),
    "UTF-16 without a mark": ('{"a": 1}'.encode("utf-16-le"), "syntax"),
    "UTF-32": ('{"a": 1}'.encode("utf-32"), "not-utf8"),
    "mark of order twice": (b"\xef\xbb\xbf" * 2 + b"{}", "syntax"),
    "65 levels": (b"[" * 65 + b"]" * 65, "too-deep"),
    "a million levels": (b'{"a":' * 1_000_000, "too-deep"),
    "levels after a string of brackets": (b'["]]]]", ' + b"[" * 70, "too-deep"),
    "301 digits": (b"1" * 301, "number-too-big"),
    "a million digits": (b"[" + b"9" * 1_000_000 + b"]", "number-too-big"),
    "overflow to infinity": (b"[1e999]", "number-too-big"),
    "a megabyte of escaped quotes": (b'"' + b'\\"' * 500_000, "syntax"),
}

SOUND: Final[dict[str, tuple[bytes, Json]]] = {
    "64 levels": (b"[" * 64 + b"]" * 64, json.loads("[" * 64 + "]" * 64)),
    "brackets in a string": (b'"' + b"[" * 500 + b'"', "[" * 500),
    "an escaped quote before brackets": (b'"\\"' + b"[" * 500 + b'"', '"' + "[" * 500),
    "300 digits": (b"1" * 300, int("1" * 300)),
    "many digits in a string": (b'"' + b"1" * 5000 + b'"', "1" * 5000),
    "a mark of order": (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
    "a surrogate pair": (rb'"\ud83d\ude00"', "😀"),
    "an escaped backslash before ud800": (rb'"\\ud800"', r"\ud800"),
    "the same key in two objects": (b'[{"a": 1}, {"a": 1}]', [{"a": 1}, {"a": 1}]),
    "white space around": (b"\r\n\t {} ", {}),
    "underflow to zero": (b"1e-999", 0.0),
}

# Each by the rules that take it; by any others it is refused.
BY_RULES: Final[dict[str, tuple[bytes, Json, tuple[Rules, ...]]]] = {
    "repeated key": (b'{"a": 1, "b": 3, "a": 2}', {"a": 2, "b": 3}, (RECORD,)),
    "repeated key, once escaped": (rb'[{"a": 1, "\u0061": 2}]', [{"a": 2}], (RECORD,)),
    "high surrogate alone": (rb'"Ana \ud83d"', "Ana \ufffd", (ANSWER, RECORD)),
    "low surrogate alone": (rb'["\uDE00 Ana"]', ["\ufffd Ana"], (ANSWER, RECORD)),
    "a pair the wrong way round": (rb'"\ude00\ud83d"', "\ufffd\ufffd", (ANSWER, RECORD)),
    "a half behind a pair": (rb'"\ud83d\ude00\ud83d"', "😀\ufffd", (ANSWER, RECORD)),
    "a half behind a backslash": (rb'"\\\ud83d\\ud83d"', "\\\ufffd\\ud83d", (ANSWER, RECORD)),
    "a half as a key": (rb'{"\ud83d": 1.5e3}', {"\ufffd": 1500.0}, (ANSWER, RECORD)),
    "two halves as keys": (rb'{"\ud83d": 1, "\ud83e": 2}', {"\ufffd": 2}, (ANSWER, RECORD)),
    "a half and a key twice": (rb'{"a": 1, "a": "\ud83d"}', {"a": "\ufffd"}, (RECORD,)),
}
# Whatever is read with a half of a pair in it stays what it is for the rest.
BESIDE: Final = (
    b"1.10",
    b"-0",
    b"-0.0",
    b"1" * 300,
    b"1e-999",
    b"1.7976931348623157e308",
    b"[" * 62 + b"]" * 62,
)

leaves = (
    st.none()
    | st.booleans()
    | st.integers(-(10**200), 10**200)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
values = st.recursive(leaves, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))


def _cause(data: bytes) -> str:
    with pytest.raises(BadJson) as refused:
        load(data)
    return refused.value.cause


@pytest.mark.parametrize("text", [b"[1,2]", b'{"a":[2]}', b'[",[{",2]', b"[[],2]"])
def test_how_many_values_there_are_is_limited_where_a_limit_is_given(text: bytes) -> None:
    """Counts commas between values, and the brackets of values that hold others."""
    values = 3 if text == b"[[],2]" else 2
    assert load(text, max_values=values) == load(text)
    with pytest.raises(BadJson) as caught:
        load(text, max_values=values - 1)
    assert caught.value.cause == "too-many-values"


@pytest.mark.parametrize(("data", "cause"), BROKEN.values(), ids=BROKEN)
def test_jsons_N08_broken_json_is_refused_with_its_cause(data: bytes, cause: str) -> None:
    assert _cause(data) == cause


@pytest.mark.parametrize(("data", "value"), SOUND.values(), ids=SOUND)
def test_what_only_looks_broken_is_read(data: bytes, value: Json) -> None:
    assert load(data) == value


@pytest.mark.parametrize(("data", "value", "takers"), BY_RULES.values(), ids=BY_RULES)
def test_jsons_N08_X03_what_is_read_in_two_ways_is_read_by_its_rules(
    data: bytes, value: Json, takers: tuple[Rules, ...]
) -> None:
    for rules in (STRICT, ANSWER, RECORD):
        if rules in takers:
            assert load(data, rules=rules) == value
        else:
            with pytest.raises(BadJson):
                load(data, rules=rules)


@pytest.mark.parametrize("beside", BESIDE)
def test_half_a_pair_changes_nothing_beside_it(beside: bytes) -> None:
    read = load(b'["\\ud83d", ' + beside + b"]", rules=RECORD)
    assert repr(read) == repr(["\ufffd", load(beside)])


@settings(deadline=None)
@given(st.binary() | st.text(alphabet='[]{}",:\\ud8019eE+-.nulatrfsINy \n').map(str.encode))
def test_any_bytes_are_a_value_or_bad_json(data: bytes) -> None:
    with suppress(BadJson):
        dump(load(data))


@settings(deadline=None)
@given(values)
def test_what_is_dumped_is_loaded_unchanged(value: Json) -> None:
    assert load(dump(value)) == value


@settings(deadline=None)
@given(values)
def test_every_standard_json_of_moderate_size_is_read_as_the_standard_library_reads_it(value: Json) -> None:
    data = json.dumps(value, indent=1).encode()
    assert load(data) == json.loads(data)


def test_dump_is_compact_and_keeps_letters_as_they_are() -> None:
    assert dump({"clínica": ["ñ", 1, None]}) == '{"clínica":["ñ",1,null]}'.encode()


@pytest.mark.parametrize("data", [b"[]", b'"a"', b"1", b"null"])
def test_jsons_N08_a_value_that_is_no_object_is_refused_where_an_object_is_asked_for(data: bytes) -> None:
    with pytest.raises(BadJson, match=r"^not-an-object$"):
        load_object(data)


def test_the_depth_can_be_limited_further() -> None:
    with pytest.raises(BadJson, match=r"^too-deep$"):
        load(b"[[1]]", max_depth=1)


def test_jsons_G10_a_refusal_quotes_nothing_of_the_data() -> None:
    with pytest.raises(BadJson) as refused:
        load(b'{"name": "Ana Garcia", }')
    assert str(refused.value) == "syntax"
    assert refused.value.__cause__ is None
