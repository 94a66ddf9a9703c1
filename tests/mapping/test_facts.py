"""Expressions are checked before any request."""

from typing import Final

import pytest

from proxy.mapping.facts import check, reads
from proxy.mapping.shape import Expression

FACTS: Final = frozenset({"case.id", "case.title", "tokens.input", "input.ehr.*", "files.*", "legacy_id"})


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ("legacy_id", {"legacy_id"}),
        ("case.id", {"case", "case.id"}),
        ("input.ehr.a.b", {"input", "input.ehr", "input.ehr.a", "input.ehr.a.b"}),
        ("case | id", {"case", "case.id"}),
        ("@.case.id", {"case", "case.id"}),
        ("@", set()),
        ("'fijo'", set()),
        ("`0`", set()),
        ("case.id || legacy_id && !tokens", {"case", "case.id", "legacy_id", "tokens"}),
        ("legacy_id == 'x'", {"legacy_id"}),
        ("case.{a: id, b: title}", {"case", "case.id", "case.title"}),
        ("case.[id, title]", {"case", "case.id", "case.title"}),
        ("{a: case.id}", {"case", "case.id"}),
        ("{a: legacy_id} | a", {"legacy_id"}),
        ("case.*", {"case"}),
        ("files[0].name", {"files"}),
        ("files[].name", {"files"}),
        ("files[*].{n: name}", {"files"}),
        ("files[-2:].name", {"files"}),
        ("files[::2]", {"files"}),
        ("files[?size > `3`].name", {"files"}),
        ("input.documents[0].text", {"input", "input.documents"}),
        ("sort_by(files, &size)[0].name", {"files"}),
        ("map(&name, files)", {"files"}),
        ("join('-', [legacy_id, case.id])", {"legacy_id", "case", "case.id"}),
        ("not_null(case.id, legacy_id)", {"case", "case.id", "legacy_id"}),
    ],
)
def test_every_form_of_expression_shows_which_facts_it_reads(text: str, paths: set[str]) -> None:
    assert reads(Expression(text, "answer.x")) == paths


@pytest.mark.parametrize(
    "text",
    [
        "case.id",
        "case",
        "case.*",
        "@",
        "input",
        "input.ehr",
        "input.ehr.any.thing",
        "files[].any",
        "tokens.input",
    ],
)
def test_a_known_fact_may_be_read_whole_or_in_part(text: str) -> None:
    assert list(check(text, "answer.x", FACTS)) == []


@pytest.mark.parametrize(
    ("text", "unknown"),
    [
        ("hola", "hola"),
        ("case.idd", "case.idd"),
        ("case.id.more", "case.id.more"),
        ("case.id.more[0]", "case.id.more"),
        ("case | idd", "case.idd"),
        ("@.case.idd", "case.idd"),
        ("case.{a: id, b: nombre}", "case.nombre"),
        ("case.[id, nombre]", "case.nombre"),
        ("case.id || nombre", "nombre"),
        ("!nombre", "nombre"),
        ("nombre == `1`", "nombre"),
        ("length(nombre)", "nombre"),
        ("sort_by(nombre, &size)", "nombre"),
        ("nombre[0]", "nombre"),
        ("nombre[1:]", "nombre"),
        ("nombre[].x", "nombre"),
        ("nombre[?x].y", "nombre"),
        ("nombre.*", "nombre"),
        ("filess[].name", "filess"),
        ("input.documents[0].text", "input.documents"),
        ("input.ehrs", "input.ehrs"),
        ("cas", "cas"),
    ],
)
def test_an_unknown_fact_is_named(text: str, unknown: str) -> None:
    [bad] = check(text, "answer.x", FACTS)
    assert bad.key == "answer.x"
    assert f"reads an unknown fact: {unknown};" in bad.reason


@pytest.mark.parametrize(
    ("text", "hint"),
    [("case.idd", "did you mean case.id?"), ("zzz", "there are case.id, case.title, files, input.ehr,")],
)
def test_a_complaint_about_a_fact_offers_those_that_there_are(text: str, hint: str) -> None:
    [bad] = check(text, "answer.x", FACTS)
    assert hint in bad.reason


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("to_strin(case.id)", "calls an unknown function: to_strin(); did you mean to_string?"),
        ("case.id | upper(@)", "calls an unknown function: upper()"),
        ("length()", "gives length() 0 arguments; it takes 1"),
        ("length(case, case)", "gives length() 2 arguments; it takes 1"),
        ("merge()", "gives merge() 0 arguments; it takes 1 or more"),
        ("files[::0]", "has a slice whose step is 0"),
    ],
)
def test_what_would_fail_at_every_request_is_refused_before(text: str, reason: str) -> None:
    [bad] = check(text, "answer.x", FACTS)
    assert reason in bad.reason


def test_over_free_data_every_path_may_be_read_but_not_every_function_called() -> None:
    assert list(check("paciente.nombre", "patient.name", None)) == []
    assert [bad.key for bad in check("first(paciente)", "patient.name", None)] == ["patient.name"]


@pytest.mark.parametrize(
    ("tree", "keys"),
    [
        ({"a": "case.", "b": {"c": "nope", "d": "case.id"}}, ["answer.a", "answer.b.c"]),
        ({"a": 3}, ["answer.a"]),
        ({"a": {"b": True}}, ["answer.a.b"]),
        ({"a": ["case.id"]}, ["answer.a"]),
        (3, ["answer"]),
        ({"a": {"when_known": "nope"}}, ["answer.a"]),
        ({"a": {"when_known": "case.id", "b": "case.id"}}, ["answer.a"]),
        ({"a": {"when_known": {"b": "case.id"}}}, ["answer.a"]),
        ({"a": {"when_known": "case.id"}, "b": {"when_knwon": "case.id"}}, []),
    ],
)
def test_every_field_of_a_table_is_judged_at_its_own_place(tree: object, keys: list[str]) -> None:
    assert [bad.key for bad in check(tree, "answer", FACTS)] == keys
