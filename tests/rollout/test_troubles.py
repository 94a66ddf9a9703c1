"""Troubles now, from the facts: each kind, and the order."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from proxy.modes import NONE, Override
from proxy.rollout.operations.troubles import Condition, Kind, troubles
from proxy.rollout.snapshot import Snapshot
from proxy.store import Space
from proxy.store.rollout.processes import Process
from tests.conftest import edited_table

NOW: Final = datetime(2026, 3, 21, 10, tzinfo=UTC)
DAYS: Final = timedelta(days=1)
BEHIND: Final = Process("p-1", "host:1", NOW, NOW, 2, "", ())
MINUTE: Final = timedelta(minutes=1)
BY_ITSELF: Final = Override(3, NOW - MINUTE, "proxy", "doc", "*", None, "legacy", None, None, "errors")
BROWNOUT: Final = "brownouts = [{ begin = 2026-03-21T09:00:00Z, end = 2026-03-21T11:00:00Z }]\n"


@pytest.fixture
def well(tmp_path: Path) -> Condition:
    """Returns the facts of a proxy with which nothing is wrong."""
    return Condition(
        fault=None,
        keys_missing=False,
        space=Space(free=50, total=100),
        breakers={"llamalitica": "closed"},
        rejected=(),
        snapshot=Snapshot(edited_table(tmp_path, {}), replace(NONE, revision=3)),
        changes=[replace(BY_ITSELF, actor="ana")],
        processes=[replace(BEHIND, revision=3)],
        pending=0,
        certificate_end=NOW + 14 * DAYS,
        held=None,
    )


def test_nothing_is_wrong_with_a_proxy_that_is_well(well: Condition) -> None:
    assert troubles(well, NOW) == []


@pytest.mark.parametrize(
    ("changed", "kind", "is_bad"),
    [
        ({"fault": "store-full"}, "store", True),
        ({"keys_missing": True}, "keys", True),
        ({"space": Space(free=9, total=100)}, "disk", True),
        ({"breakers": {"llamachat": "half-open"}}, "breaker", True),
        ({"rejected": ["doc.toml:1"]}, "rejected", True),
        ({"changes": [BY_ITSELF]}, "step-back", False),
        ({"processes": [BEHIND]}, "behind", False),
        ({"pending": 2}, "pending", False),
        ({"certificate_end": NOW + 13 * DAYS}, "certificate", False),
        ({"certificate_end": NOW}, "certificate", True),
        ({"held": "clock-jumped"}, "retention", False),
    ],
)
def test_each_trouble_is_found(well: Condition, changed: dict[str, Any], kind: Kind, is_bad: bool) -> None:
    assert [(each.kind, each.is_bad) for each in troubles(replace(well, **changed), NOW)] == [(kind, is_bad)]


def test_a_process_is_not_behind_a_change_of_this_moment(well: Condition) -> None:
    change = replace(BY_ITSELF, actor="ana", at=NOW)
    assert troubles(replace(well, processes=[BEHIND], changes=[change]), NOW) == []


def test_a_brownout_is_one_while_it_runs_and_says_its_end(well: Condition, tmp_path: Path) -> None:
    table = edited_table(tmp_path / "brownout", {"doc": lambda text: BROWNOUT + text})
    found = replace(well, snapshot=replace(well.snapshot, table=table), certificate_end=None)
    [trouble] = troubles(found, NOW)
    assert (trouble.kind, trouble.subject, trouble.at) == ("brownout", "doc", NOW + timedelta(hours=1))
    assert troubles(found, NOW + timedelta(hours=1)) == []


def test_what_hurts_clients_stands_before_what_will(well: Condition) -> None:
    every = replace(
        well,
        held="clock-ahead",
        pending=1,
        changes=[BY_ITSELF],
        rejected=["doc.toml:1"],
        fault="store-full",
        certificate_end=NOW,
    )
    assert [each.kind for each in troubles(every, NOW)] == [
        "store",
        "rejected",
        "certificate",
        "step-back",
        "pending",
        "retention",
    ]
