"""The description of a value: types, kinds of texts, unambiguous paths that hold no data."""

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.compare.paths import child, element, kind_of, parent, type_of
from proxy.values import Json


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (None, "null"),
        (True, "bool"),
        (0, "number"),
        (0.0, "number"),
        ("", "string"),
        ([], "array"),
        ({}, "object"),
    ],
)
def test_each_value_has_its_json_type_and_a_truth_is_no_number(value: Json, name: str) -> None:
    assert type_of(value) == name


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("", "empty"),
        ("1d4834c3-6fa0-4aa9-9f68-37e763efb999", "uuid"),
        ("1D4834C3-6FA0-4AA9-9F68-37E763EFB999", "uuid"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJ4In0.c2ln", "jwt"),
        ("eyJhbGciOiJub25lIn0.e30.", "jwt"),
        ("2025-05-05T10:00:00Z", "time"),
        ("2025-05-05T10:00:00.123456+02:00", "time"),
        ("2025-05-05T10:00:00", "string"),
        ("2025-05-05", "string"),
        ("d41d8cd98f00b204e9800998ecf8427e", "digest"),
        ("1" * 64, "digest"),
        ("123", "numeral"),
        ("-1.5e3", "numeral"),
        ("١٢٣", "string"),
        ("Zm9vYmFyYmF6cXV4cXV1eA==", "token"),
        ("abcdefghijklmnopqrstu", "token"),
        ("paciente", "string"),
        ("Un texto con espacios y 3 números", "string"),
        ("123\n", "string"),
    ],
)
def test_a_text_has_one_kind(text: str, kind: str) -> None:
    assert kind_of(text) == kind


@pytest.mark.parametrize(
    ("keys", "path"),
    [
        (["document", "username"], "document.username"),
        ([None, "Input", "documents", None, "name"], "[].Input.documents[].name"),
        ([None, None], "[][]"),
        (["a", None, None, "b"], "a[][].b"),
        (["a.b"], "a%2Eb"),
        (["a[]"], "a%5B%5D"),
        (["100%"], "100%25"),
        (["*"], "%2A"),
        ([""], "%"),
        (["", ""], "%.%"),
        (["Año"], "Año"),
    ],
)
def test_a_path_is_written_in_one_way(keys: list[str | None], path: str) -> None:
    made = ""
    for key in keys:
        made = element(made) if key is None else child(made, key)
    assert made == path


@pytest.mark.parametrize(
    "key",
    [
        "ana@clinica.example",
        "Ana García",
        "Ana\u2003García",
        "ana\x1b[2J",
        "12345",
        "nhc-00123456",
        "2025-05-05",
        "x" * 65,
        "1d4834c3-6fa0-4aa9-9f68-37e763efb999",
        "a" * 32,
    ],
)
def test_a_key_that_looks_like_data_is_not_told(key: str) -> None:
    assert child("patients", key) == "patients.*"


@pytest.mark.parametrize(
    "key", ["michiq_core_version", "StructuredData", "x" * 17, "iso27001", "fileExtension"]
)
def test_a_fields_own_name_is_told(key: str) -> None:
    assert child("", key) == key


steps = st.lists(st.none() | st.text("ab.[]%* 1", max_size=4), max_size=4)


def _path(keys: list[str | None]) -> str:
    path = ""
    for key in keys:
        path = element(path) if key is None else child(path, key)
    return path


def test_two_places_share_a_path_only_where_a_key_is_not_told() -> None:
    # Each sign that a path is made of, and a key that is not told; None is an element.
    keys = [None, "", "a", "b", ".", "[", "]", "[]", "*", "%", "%2E", "a.b", "a[]", "a[", "]b", "una frase"]
    places = [list(steps) for length in range(4) for steps in product(keys, repeat=length)]
    assert len({_path(place) for place in places}) == len(places)
    assert _path(["una frase", "a"]) == _path(["otra frase", "a"]) == "*.a"


@settings(deadline=None)
@given(steps.filter(bool))
def test_the_parent_of_a_path_is_the_path_before_its_last_step(keys: list[str | None]) -> None:
    assert parent(_path(keys)) == _path(keys[:-1])
