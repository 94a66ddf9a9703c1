"""Legacy bodies from facts, by the expressions of a mapping."""

import jmespath
import pytest

from proxy.mapping.getters import getter_of
from proxy.mapping.shape import BadExpression, Expression, Tree, compile_shape
from proxy.values import Json

FACTS: Json = {
    "case": {"id": "c-1", "title": "Caso de Ana", "agent": None},
    "tokens": {"input": 7},
    "files": [{"name": "a.pdf", "size": 3}, {"name": "b.txt", "size": 5}],
    "report": None,
}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("case.id", "c-1"),
        ("'un texto fijo'", "un texto fijo"),
        ("`0`", 0),
        ("`null`", None),
        ("case.agent || case.title", "Caso de Ana"),
        ("files[].name", ["a.pdf", "b.txt"]),
        ("files[?size > `3`].name | [0]", "b.txt"),
        ("files[1:].{archivo: name}", [{"archivo": "b.txt"}]),
        ("length(files)", 2),
        ("join(': ', [case.id, case.title])", "c-1: Caso de Ana"),
        ("report.content", None),
        ("@.tokens.input", 7),
    ],
)
def test_an_expression_gives_its_value_over_the_facts(text: str, value: Json) -> None:
    assert Expression(text, "answer.x").over(FACTS) == value


@pytest.mark.parametrize(
    "text",
    ["join(', ', case)", "length(tokens.input)", "sum(files[].name)", "to_number(report).x", "abs(report)"],
)
def test_a_function_that_meets_what_it_cannot_take_gives_null(text: str) -> None:
    assert Expression(text, "answer.x").over(FACTS) is None


@pytest.mark.parametrize("text", ["", " ", "case.", "[", "Un texto suelto", "'abierto", "case..id", "a b"])
def test_a_text_that_is_no_expression_is_refused_with_its_place(text: str) -> None:
    with pytest.raises(BadExpression) as caught:
        Expression(text, "answer.message")
    assert caught.value.key == "answer.message"
    assert repr(text) in caught.value.reason


def test_a_shape_makes_the_legacy_object_in_the_order_of_the_mapping() -> None:
    tree: Tree = {"z": "case.id", "a": {"n": "tokens.input", "m": "'fijo'"}}
    shape = compile_shape(tree, "answer")
    made = shape.over(FACTS)
    assert made == {"z": "c-1", "a": {"n": 7, "m": "fijo"}}
    assert isinstance(made, dict)
    assert list(made) == ["z", "a"]


def test_a_field_that_is_null_stays_unless_it_is_asked_for_only_when_known() -> None:
    tree: Tree = {
        "always": "report.content",
        "sometimes": {"when_known": "report.content"},
        "known": {"when_known": "tokens.input"},
    }
    assert compile_shape(tree, "answer").over(FACTS) == {"always": None, "known": 7}


def test_zero_false_and_empty_are_known() -> None:
    tree: Tree = {name: {"when_known": f"`{name}`"} for name in ("0", "false", "[]")}
    assert compile_shape(tree, "answer").over(FACTS) == {"0": 0, "false": False, "[]": []}


def test_a_single_expression_can_stand_for_the_whole_body() -> None:
    assert compile_shape("case.title", "answer").over(FACTS) == "Caso de Ana"


def test_a_shape_leaves_its_facts_as_they_were() -> None:
    facts: Json = {"files": [2, 1]}
    compile_shape({"x": "sort(files)"}, "answer").over(facts)
    assert facts == {"files": [2, 1]}


def test_the_refusal_of_a_shape_names_the_field() -> None:
    with pytest.raises(BadExpression, match=r"^answer\.a\.b: not a JMESPath"):
        compile_shape({"a": {"b": "case."}}, "answer")


_EHRS: tuple[Json, ...] = (
    {"a": {"id": 1, "x": [1, None]}, "b": [{"id": None}, {"id": "z"}, 3, [{"id": 0}]], "id": False},
    [{"id": 1}, [2, [3]], None, "text"],
    "text",
    7,
    None,
    [],
    {},
)


@pytest.mark.parametrize("facts", _EHRS)
@pytest.mark.parametrize(
    "text",
    [
        "id",
        "a.id",
        "@",
        "*",
        "*.id",
        "a.*",
        "b[].id",
        "b[*].id",
        "[id, a.x, *.id][]",
        "[][]",
        "a | id",
        "'t'",
    ],
)
def test_an_expression_compiled_to_a_function_gives_what_jmespath_does(text: str, facts: Json) -> None:
    assert getter_of(jmespath.compile(text).parsed) is not None
    assert Expression(text, "answer.x").over(facts) == jmespath.search(text, facts)


@pytest.mark.parametrize("text", ["a || b", "a[0]", "length(@)", "*.[a || b]", "[?a]", "{a: b}"])
def test_an_expression_that_needs_jmespath_is_left_to_it(text: str) -> None:
    assert getter_of(jmespath.compile(text).parsed) is None
