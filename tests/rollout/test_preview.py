"""Tests which side each organization is on, and what a change would move."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest

from proxy.flows.registry import SPECS
from proxy.mapping.loader import load_table
from proxy.mapping.moving import Canary
from proxy.mapping.table import Table
from proxy.modes import EVERYONE, Override, overrides_of
from proxy.rollout.canary import BUCKETS
from proxy.rollout.preview.effects import Preview, preview
from proxy.rollout.preview.membership import Organization, Roster, membership
from proxy.rollout.snapshot import Snapshot
from tests.conftest import ROOT

NOW: Final = datetime(2026, 11, 25, 10, tzinfo=UTC)
ROUTE: Final = "doc"


def digest(bucket: int) -> str:
    """Returns a hash of this bucket."""
    return f"{bucket:016x}" + "0" * 48


NORTE: Final = Organization(digest(412), "Clínica Norte", calls=240)
SUR: Final = Organization(digest(7_000), "Clínica Sur", calls=24)
NAMELESS: Final = Organization(digest(9_999), None)
ROSTER: Final = Roster((NORTE, SUR, NAMELESS), hours=24.0)


@pytest.fixture(scope="module")
def table() -> Table:
    return load_table(ROOT / "mappings", SPECS, has_legacy=True)


def override(mode: Any, revision: int = 0, **changes: Any) -> Override:
    values = {
        "revision": revision,
        "at": NOW,
        "actor": "ana",
        "route": ROUTE,
        "scope": EVERYONE,
        "organization": None,
        "mode": mode,
        "percent": None,
        "until": None,
        "reason": "x",
    }
    return Override(**{**values, **changes})


def snapshot(table: Table, *history: Override, **canary: Any) -> Snapshot:
    """Returns mappings and overrides; `canary` has the names that a mapping allows or denies."""
    route = table.routes[ROUTE]
    mapping = route.mapping.model_copy(update={"canary": Canary(**canary)})
    object.__setattr__(changed := object.__new__(type(route)), "mapping", mapping)
    return Snapshot(Table({ROUTE: changed}, table.organizations), overrides_of(history))


def seen(found: Snapshot, *, has_legacy: bool = True) -> list[tuple[Any, ...]]:
    own = [membership(ROUTE, found, one, NOW, has_legacy=has_legacy) for one in ROSTER.organizations]
    return [(each.side, each.rule, each.set_by) for each in own]


def previewed(found: Snapshot, change: Override, *, has_legacy: bool = True) -> Preview:
    return preview(change, found, ROSTER, NOW, has_legacy=has_legacy, makes_case=True)


@pytest.mark.parametrize(
    ("history", "canary", "expected"),
    [
        ([], {}, [("new", "mode", "mapping")] * 3),
        ([override("shadow", 1)], {}, [("legacy", "mode", "everyone")] * 3),
        ([override("off", 1)], {}, [(None, "mode", "everyone")] * 3),
        (
            [override("canary", 1, percent=70)],
            {},
            [
                ("new", "percent", "everyone"),
                ("legacy", "percent", "everyone"),
                ("legacy", "percent", "everyone"),
            ],
        ),
        (
            [override("canary", 1, percent=70)],
            {"allow": ["Clínica Sur", "Clínica Norte"], "deny": ["Clínica Norte"]},
            [("legacy", "deny", "everyone"), ("new", "allow", "everyone"), ("legacy", "percent", "everyone")],
        ),
        (
            [override("legacy", 1), override("new", 2, scope=SUR.scope)],
            {},
            [("legacy", "mode", "everyone"), ("new", "mode", "organization"), ("legacy", "mode", "everyone")],
        ),
    ],
)
def test_each_organization_has_its_side_and_the_rule_behind_it(
    table: Table, history: list[Override], canary: dict[str, Any], expected: list[tuple[Any, ...]]
) -> None:
    assert seen(snapshot(table, *history, **canary)) == expected


def test_without_a_legacy_server_the_new_side_answers_all(table: Table) -> None:
    found = seen(snapshot(table, override("new", 1)), has_legacy=False)
    assert found == [("new", "only-new", "everyone")] * 3


def test_an_organization_has_the_bucket_of_its_hash(table: Table) -> None:
    found = membership(ROUTE, snapshot(table), NORTE, NOW, has_legacy=True)
    assert (found.bucket, BUCKETS) == (412, 10_000)


def test_a_canary_moves_those_below_its_percent_with_their_calls_an_hour(table: Table) -> None:
    found = previewed(snapshot(table, override("legacy", 7)), override("canary", percent=5))
    assert [(each.organization.name, each.before.side, each.after.side) for each in found.moves] == [
        ("Clínica Norte", "legacy", "new")
    ]
    assert (found.revision, found.total, found.moving_an_hour, found.calls_an_hour) == (7, 3, 10.0, 11.0)
    assert (found.before.mode, found.after.mode, found.after.percent) == ("legacy", "canary", 5)


def test_everyones_change_does_not_move_an_organization_with_its_own_override(table: Table) -> None:
    history = override("legacy", 1), override("legacy", 2, scope=NORTE.scope)
    found = previewed(snapshot(table, *history), override("new"))
    assert [each.organization for each in found.moves] == [SUR, NAMELESS]


def test_one_organizations_change_moves_that_one(table: Table) -> None:
    found = previewed(snapshot(table, override("legacy", 1)), override("new", scope=SUR.scope))
    assert [each.organization for each in found.moves] == [SUR]
    assert (found.before.mode, found.after.mode, found.after.scope) == ("legacy", "new", SUR.scope)


def test_off_moves_all_to_nobody(table: Table) -> None:
    found = previewed(snapshot(table), override("off"))
    assert [each.after.side for each in found.moves] == [None] * 3


def test_clearing_an_organizations_override_gives_it_back_to_everyones_mode(table: Table) -> None:
    history = override("legacy", 1), override("new", 2, scope=SUR.scope)
    found = previewed(snapshot(table, *history), override(None, scope=SUR.scope))
    assert [(each.before.side, each.after.side) for each in found.moves] == [("new", "legacy")]


def test_a_rollback_brings_back_what_the_change_covered(table: Table) -> None:
    history = override("legacy", 1), override("off", 2)
    found = previewed(snapshot(table, *history), override("legacy", undoes=2))
    assert (found.before.mode, found.after.mode, found.unchanged) == ("off", "legacy", False)


def test_what_is_in_force_already_is_unchanged(table: Table) -> None:
    until = NOW + timedelta(hours=1)
    standing = snapshot(table, override("canary", 1, percent=5, until=until))
    assert previewed(standing, override("canary", percent=5, until=until)).unchanged
    assert not previewed(standing, override("canary", percent=5)).unchanged
    assert previewed(snapshot(table), override(None)).unchanged


STEPPED_BACK: Final = override("legacy", 1, actor="proxy")


@pytest.mark.parametrize(
    ("history", "change", "risks"),
    [
        ([override("legacy", 1)], override("new"), {"new"}),
        ([override("legacy", 1)], override("off"), {"off"}),
        ([override("legacy", 1)], override("canary", percent=25), set()),
        ([override("legacy", 1)], override("canary", percent=25.5), {"canary-over-25"}),
        ([override("new", 1)], override("canary", percent=50), set()),
        ([override("off", 1)], override("legacy"), set()),
        ([STEPPED_BACK], override(None), {"new", "step-back"}),
        ([STEPPED_BACK], override("canary", percent=5), {"step-back"}),
        ([STEPPED_BACK], override("shadow"), set()),
        ([override("new", 1)], override("legacy"), set()),
        ([override("legacy", 1)], override("new", scope=SUR.scope), set()),
        ([override("legacy", 1)], override("off", scope=SUR.scope), {"off"}),
    ],
)
def test_what_lowers_the_safety_is_named(
    table: Table, history: list[Override], change: Override, risks: set[str]
) -> None:
    assert set(previewed(snapshot(table, *history), change).risks) == risks


@pytest.mark.parametrize(
    ("before", "change", "forward", "held"),
    [
        ("legacy", override("new"), True, True),
        ("legacy", override("canary", percent=1), True, True),
        ("legacy", override(None), True, False),
        ("legacy", override("new", undoes=1), True, False),
        ("new", override("canary", percent=99), False, False),
        ("shadow", override("off"), False, False),
    ],
)
def test_only_a_change_that_goes_forward_is_held_to_the_evidence(
    table: Table, before: str, change: Override, *, forward: bool, held: bool
) -> None:
    found = previewed(snapshot(table, override(before, 1)), change)
    assert (found.forward, found.held) == (forward, held)


def test_without_a_legacy_server_nothing_goes_forward(table: Table) -> None:
    found = previewed(snapshot(table, override("off", 1)), override("new"), has_legacy=False)
    assert (found.forward, found.held) == (False, False)
