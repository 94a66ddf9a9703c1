"""The override in force: the newest that has not ended, the organization's own before everyone's."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest

from proxy.modes import EVERYONE, NONE, BadChange, Change, Override, as_json, overrides_of, validate

NOW: Final = datetime(2026, 3, 21, 10, tzinfo=UTC)
HERE: Final = "hash of h1"


def hours(number: float) -> datetime:
    return NOW + timedelta(hours=number)


def override(revision: int, mode: str | None, **changes: Any) -> Override:
    values: dict[str, Any] = {
        "revision": revision,
        "at": NOW,
        "actor": "ana",
        "route": "query",
        "scope": EVERYONE,
        "organization": None,
        "mode": mode,
        "percent": None,
        "until": None,
        "reason": "evidence",
        "undoes": None,
    }
    return Override(**{**values, **changes})


def mode_at(history: list[Override], now: datetime = NOW, scope: str | None = None) -> str | None:
    found = overrides_of(history).in_force("query", scope, now)
    return None if found is None else found.mode


def test_without_a_change_the_mapping_is_in_charge() -> None:
    assert (NONE.in_force("query", HERE, NOW), NONE.all_in_force(NOW)) == (None, [])


def test_the_newest_change_is_in_force_whatever_the_order_they_are_read_in() -> None:
    history = [override(2, "shadow"), override(3, "new"), override(1, "legacy")]
    assert (mode_at(history), overrides_of(history).revision) == ("new", 3)


def test_a_change_of_one_route_says_nothing_of_another() -> None:
    assert mode_at([override(1, "off", route="doc")]) is None


@pytest.mark.parametrize(
    ("scope", "expected"), [(HERE, "new"), ("hash of h2", "legacy"), (None, "legacy")], ids=str
)
def test_an_organizations_own_override_goes_before_everyones(scope: str | None, expected: str) -> None:
    history = [override(1, "new", scope=HERE), override(2, "legacy")]
    assert mode_at(history, scope=scope) == expected


def test_an_organization_that_is_given_back_has_what_everyone_has() -> None:
    history = [override(1, "legacy"), override(2, "new", scope=HERE), override(3, None, scope=HERE)]
    assert mode_at(history, scope=HERE) == "legacy"


def test_a_route_that_is_given_back_is_its_mappings() -> None:
    assert mode_at([override(1, "legacy"), override(2, None)]) is None


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (hours(0), "off"),
        (hours(1) - timedelta(microseconds=1), "off"),
        (hours(1), "shadow"),
        (hours(2), "legacy"),
        (hours(9), "legacy"),
    ],
    ids=str,
)
def test_an_override_with_an_end_falls_back_by_itself_to_what_was_in_force_before(
    now: datetime, expected: str
) -> None:
    history = [
        override(1, "legacy"),
        override(2, "shadow", until=hours(2)),
        override(3, "new", until=hours(0.5)),
        override(4, "off", until=hours(1)),
    ]
    assert mode_at(history, now) == expected


def test_a_route_given_back_for_a_while_returns_to_its_override() -> None:
    history = [override(1, "legacy"), override(2, None, until=hours(1))]
    assert (mode_at(history), mode_at(history, hours(1))) == (None, "legacy")


def test_what_was_undone_does_not_come_back_when_what_a_rollback_restored_ends() -> None:
    history = [
        override(1, "legacy"),
        override(2, "shadow", until=hours(1)),
        override(3, "new"),
        override(4, "shadow", until=hours(1), undoes=3),
    ]
    assert (mode_at(history), mode_at(history, hours(1))) == ("shadow", "legacy")


def test_what_an_older_rollback_restored_does_not_come_back_when_a_newer_one_ends() -> None:
    history = [
        override(1, "legacy"),
        override(2, "off", until=hours(1)),
        override(3, "shadow", until=hours(2)),
        override(4, "new"),
        override(5, "shadow", until=hours(2), undoes=4),
        override(6, "off", until=hours(1), undoes=3),
    ]
    assert (mode_at(history), mode_at(history, hours(1))) == ("off", "legacy")


def test_only_what_can_still_matter_is_kept() -> None:
    history = [
        override(1, "legacy"),
        override(2, "shadow"),
        override(3, "new", until=hours(1)),
        override(4, "off", until=hours(2)),
    ]
    (stack,) = overrides_of(history).stacks.values()
    assert [each.revision for each in stack] == [4, 2]


def test_all_in_force_is_one_for_each_route_and_scope_everyones_first() -> None:
    history = [
        override(1, "new", scope=HERE, organization="h1"),
        override(2, "legacy"),
        override(3, "off", until=hours(-1), route="doc"),
        override(4, None, route="encounters"),
    ]
    assert [each.revision for each in overrides_of(history).all_in_force(NOW)] == [2, 1]


CHANGE: Final = Change(
    actor="ana", route="query", organization="Clínica", mode="canary", percent=5, reason="r"
)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"percent": None},
        {"percent": 0},
        {"percent": 100.0},
        {"organization": None},
        {"mode": None, "percent": None},
        {"reason": "r" * 300},
        {"reason": "más — «sí» \U0001f642"},
        {"until": hours(0.1)},
        {"until": NOW + timedelta(days=3650)},
    ],
    ids=str,
)
def test_a_change_that_is_whole_may_be_written(changes: dict[str, Any]) -> None:
    validate(replace(CHANGE, **changes), NOW)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"reason": ""}, "the reason needs 1 to 300 printable characters"),
        ({"reason": "  "}, "the reason"),
        ({"reason": "r" * 301}, "the reason"),
        ({"reason": "two\nlines"}, "the reason"),
        ({"reason": "\x1b[2J"}, "the reason"),
        ({"reason": "\ud800"}, "the reason"),
        ({"actor": ""}, "the actor needs 1 to 100"),
        ({"actor": "a\tb"}, "the actor"),
        ({"organization": ""}, "the organization"),
        ({"organization": "a\x00b"}, "the organization"),
        ({"mode": "shadow"}, "a percent goes only with the mode canary"),
        ({"mode": None}, "a percent goes only with the mode canary"),
        ({"percent": -0.1}, "from 0 to 100"),
        ({"percent": 100.1}, "from 0 to 100"),
        ({"percent": float("nan")}, "from 0 to 100"),
        ({"until": NOW}, "in the past"),
        ({"until": hours(-1)}, "in the past"),
        ({"until": datetime(2027, 1, 1)}, "needs a time zone"),  # noqa: DTZ001
        ({"until": datetime.fromisoformat("9999-12-31T23:59:59-23:00")}, "more than 3650 days"),
    ],
    ids=str,
)
def test_a_change_that_may_not_be_written_is_refused_with_its_mend(
    changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(BadChange, match=said):
        validate(replace(CHANGE, **changes), NOW)


def test_for_programs_an_override_has_its_times_in_utc_and_its_organization_by_name() -> None:
    until = datetime.fromisoformat("2026-03-21T14:30:00.5+02:00")
    told = as_json(override(7, "canary", percent=5.0, until=until, scope=HERE, organization="h1", undoes=6))
    assert told == {
        "revision": 7,
        "at": "2026-03-21T10:00:00.000Z",
        "actor": "ana",
        "route": "query",
        "scope": HERE,
        "organization": "h1",
        "mode": "canary",
        "percent": 5.0,
        "until": "2026-03-21T12:30:00.500Z",
        "reason": "evidence",
        "undoes": 6,
    }


def test_no_repr_shows_an_organization() -> None:
    assert "Clínica" not in repr(CHANGE) + repr(override(1, "new", organization="Clínica"))
