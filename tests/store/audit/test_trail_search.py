"""The search of the audit, on both engines."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest

from proxy.store import Store
from proxy.store.audit import trail_search
from proxy.store.audit.trail import AuditEvent
from proxy.store.audit.trail_search import AuditFilters
from tests.store.examples import opened
from tests.stores import EngineName

NOW: Final = datetime(2027, 1, 31, 12, tzinfo=UTC)
ALL: Final = frozenset({"mode_set", "case_accessed", "user_erased"})


async def filled(store: Store) -> None:
    """Writes 12 rows, one a minute: every third one is of an operator."""
    for number in range(12):
        at, route = NOW + timedelta(minutes=number), ("new_case", "newXcase")[number % 2]
        mine = number % 3 == 0
        action = ("user_erased" if number == 9 else "mode_set") if mine else "case_accessed"
        detail = json.dumps({"route": route}, separators=(",", ":") if number % 4 else None)
        await store.audit.add("ana" if mine else f"{number:064x}", action, f"s{number % 2}", at, detail)


async def found(store: Store, filters: AuditFilters, limit: int = 50) -> list[int]:
    """Returns the numbers of all rows that fit, read in parts."""
    numbers, before = [], None
    for _ in range(50):
        part = await store.trail.part(filters, limit, before)
        numbers += [number for number, _ in part.rows]
        if (before := part.before) is None:
            return numbers
    raise AssertionError("the parts do not end")


async def test_the_rows_of_clients_are_left_out_unless_they_are_asked_for(
    engine: EngineName, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trail_search, "_WINDOW", 4)
    async with opened(tmp_path) as store:
        await filled(store)
        assert await store.trail.actions() == ["case_accessed", "mode_set", "user_erased"]
        cases: Sequence[tuple[AuditFilters, list[int]]] = [
            (AuditFilters(), [10, 7, 4, 1]),
            (AuditFilters(actions=ALL), [*range(12, 0, -1)]),
            (AuditFilters(actions=frozenset({"case_accessed"}), scope="s0"), [11, 9, 5, 3]),
            (AuditFilters(actions=ALL, actor="ana"), [10, 7, 4, 1]),
            (AuditFilters(actions=frozenset({"user_erased"})), [10]),
            (AuditFilters(actions=frozenset({"nothing"})), []),
            (AuditFilters(route="new_case"), [7, 1]),
            (AuditFilters(actions=ALL, route="newXcase"), [12, 10, 8, 6, 4, 2]),
            (AuditFilters(since=NOW + timedelta(minutes=3)), [10, 7, 4]),
            (AuditFilters(until=NOW + timedelta(minutes=3)), [1]),
            (
                AuditFilters(actions=ALL, since=NOW + timedelta(minutes=2), until=NOW + timedelta(minutes=5)),
                [5, 4, 3],
            ),
            (AuditFilters(actions=ALL, since=NOW + timedelta(days=1)), []),
            (AuditFilters(actions=ALL, until=NOW - timedelta(days=1)), []),
        ]
        for filters, numbers in cases:
            for limit in (1, 3, 50):
                assert await found(store, filters, limit) == numbers, (filters, limit)


async def test_the_end_of_the_chain_is_the_newest_rows_hash(engine: EngineName, tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        assert await store.trail.end() is None
        assert await found(store, AuditFilters()) == []
        await filled(store)
        verdict = await store.audit.verify()
        assert await store.trail.end() == (12, verdict.end)


async def test_an_event_is_found_whole(engine: EngineName, tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        event = AuditEvent(NOW, "ana", "mode_set", "*", '{"route": "doc"}')
        await store.audit.add(event.actor, event.action, event.subject, event.at, event.detail)
        assert (await store.trail.part(AuditFilters(), 5)).rows == [(1, event)]
