"""Lessons from the legacy server: findings against our answers."""

from dataclasses import dataclass
from typing import Final

import pytest

from proxy.mapping.shape import Tree
from proxy.rollout.evidence.expected import MappedAnswer, mapped_answer
from proxy.rollout.evidence.findings import Finding
from proxy.rollout.evidence.learner import findings
from proxy.values import Side

JSON: Final = "application/json; charset=latin1"
TREE: Final[Tree] = {
    "document": {"username": "case.user", "cost": "`0`", "text": {"when_known": "report.content"}},
    "files": "files[].{name: name}",
}


@dataclass(frozen=True)
class Row:
    """A row in the store's form."""

    route: str
    side: Side
    status: int
    content_type: str
    path: str
    type: str
    count: int


def rows(
    side: Side,
    *paths: tuple[str, str],
    status: int = 200,
    kind: str = JSON,
    count: int = 12,
    route: str = "r",
) -> list[Row]:
    """Returns the rows of `count` equal answers, the whole an object."""
    return [Row(route, side, status, kind, path, type_, count) for path, type_ in [("", "object"), *paths]]


def text(side: Side, status: int, count: int = 12, kind: str = "text/plain; charset=utf-8") -> list[Row]:
    return [Row("r", side, status, kind, "", "text", count)]


def said(found: list[Finding]) -> list[tuple[str, str, str]]:
    return [(each.kind, each.path, each.sentence) for each in found]


@pytest.mark.parametrize(
    ("tree", "at", "fields", "optional"),
    [
        (
            TREE,
            "",
            {"", "document", "document.username", "document.cost", "document.text", "files"},
            {"document.text"},
        ),
        ({"a": "x", "b.c": "y"}, "[]", {"[]", "[].a", "[].b%2Ec"}, set()),
        ("a single expression", "", {""}, set()),
        ({"a": {"when_known": {"b": "x"}}}, "", {"", "a", "a.b"}, {"a", "a.b"}),
    ],
)
def test_a_mapping_tells_its_fields_before_any_answer(
    tree: "str | Tree", at: str, fields: set[str], optional: set[str]
) -> None:
    assert mapped_answer(tree, [401, 500], at) == MappedAnswer(
        frozenset(fields), frozenset(optional), frozenset({200, 401, 500})
    )


def test_two_sides_alike_are_no_finding() -> None:
    same = (("a", "string"), ("list", "array"), ("list[]", "object"), ("list[].b", "null"))
    seen = rows("legacy", *same) + rows("new", *same, count=1) + text("legacy", 401) + text("new", 401)
    assert findings(seen, {"r": mapped_answer({"a": "x", "list": "y"}, [401])}) == []


def test_a_field_of_one_side_alone_is_found_with_how_often_it_came() -> None:
    seen = rows("legacy", ("a", "string"), ("old", "number")) + rows(
        "new", ("a", "string"), ("mine", "null"), count=1
    )
    assert said(findings(seen, {})) == [
        ("only-legacy", "old", "Only the legacy server has `old` (number 12 times)."),
        ("only-new", "mine", "Only our side has `mine` (null 1 time)."),
    ]


def test_of_what_stands_in_a_field_that_one_side_lacks_nothing_is_said() -> None:
    seen = rows("legacy", ("old", "object"), ("old.a", "object"), ("old.a.b", "null")) + rows(
        "new", ("mine", "array"), ("mine[]", "object"), ("mine[].c", "string")
    )
    assert [each.path for each in findings(seen, {})] == ["old", "mine"]


def test_an_array_that_was_always_empty_says_nothing_of_its_elements() -> None:
    full = (("list", "array"), ("list[]", "object"), ("list[].name", "string"))
    assert findings(rows("legacy", ("list", "array")) + rows("new", *full), {}) == []
    assert findings(rows("legacy", *full) + rows("new", ("list", "array")), {}) == []


def test_the_mappings_own_fields_count_as_ours_before_we_ever_answered() -> None:
    seen = rows(
        "legacy", ("document", "object"), ("document.username", "string"), ("document.Cost", "number")
    )
    seen += rows("legacy", ("document.version", "string"), ("files", "array"), ("files[]", "object"))
    seen += rows("legacy", ("files[].name", "string"))
    assert said(findings(seen, {"r": mapped_answer(TREE, [])})) == [
        ("casing", "document.Cost", "`document.Cost` of the legacy server is `document.cost` on our side."),
        (
            "only-legacy",
            "document.version",
            "Only the legacy server has `document.version` (string 12 times).",
        ),
    ]


def test_a_field_that_the_legacy_server_lacks_is_found_unless_ours_may_lack_it_too() -> None:
    seen = rows("legacy", ("document", "object"), ("document.username", "string"), ("files", "array"))
    assert said(findings(seen, {"r": mapped_answer(TREE, [])})) == [
        ("only-new", "document.cost", "Only our side has `document.cost`.")
    ]
    ours = rows("new", ("document", "object"), ("document.text", "string"))
    assert "document.text" in [each.path for each in findings(seen + ours, {"r": mapped_answer(TREE, [])})]


def test_the_same_letters_in_another_case_are_one_finding() -> None:
    seen = rows(
        "legacy", ("Doc", "object"), ("Doc.user", "string"), ("Doc.ID", "string"), ("Doc.list", "array")
    ) + rows("new", ("doc", "object"), ("doc.user", "string"), ("doc.id", "string"), ("doc.list", "array"))
    assert said(findings(seen, {})) == [
        ("casing", "Doc", "`Doc` of the legacy server is `doc` on our side."),
        ("casing", "Doc.ID", "`Doc.ID` of the legacy server is `doc.id` on our side."),
    ]


def test_a_field_in_another_case_is_compared_by_its_types_and_parts_too() -> None:
    seen = rows("legacy", ("List", "array"), ("List[]", "object"), ("List[].a", "string")) + rows(
        "new", ("list", "array"), ("list[]", "object"), ("list[].a", "number"), ("list[].b", "null")
    )
    assert [(each.kind, each.path) for each in findings(seen, {})] == [
        ("casing", "List"),
        ("type", "List[].a"),
        ("only-new", "list[].b"),
    ]


def test_two_of_our_fields_of_the_same_letters_are_no_other_case_of_a_third() -> None:
    seen = rows("legacy", ("ID", "string")) + rows("new", ("id", "string"), ("Id", "string"))
    assert [(each.kind, each.path) for each in findings(seen, {})] == [
        ("only-legacy", "ID"),
        ("only-new", "Id"),
        ("only-new", "id"),
    ]


def test_other_types_are_found_with_how_often_each_came() -> None:
    seen = rows("legacy", ("a", "number"), ("b", "string")) + rows(
        "legacy", ("a", "null"), status=201, count=1
    )
    seen += rows("new", ("a", "string"), ("b", "string"), count=1000)
    assert said(findings(seen, {})) == [
        ("status", "", "The legacy server answered with status 201 (1 time); our side never did."),
        (
            "type",
            "a",
            "`a` is null 1 time, number 12 times on the legacy server, and string 1,000 times on our side.",
        ),
    ]


def test_a_list_against_an_object_is_another_type_and_nothing_more() -> None:
    seen = rows("legacy", ("x", "array"), ("x[]", "string")) + rows("new", ("x", "object"), ("x.a", "null"))
    assert [(each.kind, each.path) for each in findings(seen, {})] == [("type", "x")]


def test_an_answer_that_is_a_text_on_one_side_is_another_type() -> None:
    found = findings(text("legacy", 200, kind=JSON) + rows("new", ("a", "string")), {})
    assert said(found) == [
        (
            "type",
            "",
            "The whole answer is text 12 times on the legacy server, and object 12 times on our side.",
        )
    ]


def test_fields_are_those_of_answers_that_went_well() -> None:
    seen = rows("legacy", ("a", "string")) + rows("new", ("a", "string"))
    seen += rows("legacy", ("error", "string"), status=500) + text("new", 500, kind=JSON)
    assert findings(seen, {}) == []


def test_other_content_types_are_found_status_by_status() -> None:
    seen = rows("legacy", kind="application/json") + rows(
        "new", kind="Application/JSON; Charset=Latin1", count=1
    )
    seen += text("legacy", 401) + text("legacy", 401, kind="?", count=1) + text("new", 401)
    assert said(findings(seen, {})) == [
        (
            "content-type",
            "",
            "With status 200 the legacy server sends application/json (12 times); "
            "our side sends application/json; charset=latin1 (1 time).",
        ),
        (
            "content-type",
            "",
            "With status 401 the legacy server sends none that can be read (1 time), "
            "text/plain; charset=utf-8 (12 times); our side sends text/plain; charset=utf-8 (12 times).",
        ),
    ]


def test_the_legacy_servers_own_failures_are_told_apart() -> None:
    seen = rows("legacy", ("a", "null")) + rows("new", ("a", "null")) + text("legacy", 503, 3)
    assert said(findings(seen, {})) == [
        (
            "control-failed",
            "",
            "The legacy server itself failed with status 503 (3 times). That is no difference.",
        )
    ]


def test_a_status_that_one_side_never_gave_is_found_unless_the_mapping_has_it() -> None:
    seen = (
        text("legacy", 403, count=3)
        + text("legacy", 404)
        + rows("legacy")
        + rows("new")
        + text("new", 502, count=1)
    )
    assert said(findings(seen, {"r": mapped_answer({}, [404, 413])})) == [
        ("status", "", "The legacy server answered with status 403 (3 times); our side never did."),
        ("status", "", "Our side answered with status 502 (1 time); the legacy server never did."),
    ]


def test_nothing_is_said_where_one_side_is_not_known() -> None:
    assert findings(rows("new", ("a", "string")), {"r": mapped_answer(TREE, [401])}) == []
    assert findings(rows("legacy", ("a", "string")) + text("legacy", 401), {}) == []
    assert findings([], {"r": mapped_answer(TREE, [])}) == []


def test_each_route_is_held_against_itself() -> None:
    seen = rows("legacy", ("a", "string"), route="two") + rows("new", ("b", "string"), route="one")
    seen += rows("legacy", ("b", "number"), route="one") + rows("new", ("a", "null"), route="two")
    assert [(each.route, each.path) for each in findings(seen, {})] == [("one", "b"), ("two", "a")]
