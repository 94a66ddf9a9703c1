"""Accesses to cases in the audit: each user, case and route once a day, and nothing of a patient."""

import json
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from proxy.store import Store
from proxy.store.audit.trail import Access, AuditEvent
from tests.store.examples import NOW, OTHER, OWNER, ago, opened

pytestmark = pytest.mark.usefixtures("engine")


def access(**changes: Any) -> Access:
    return Access(**{"owner": OWNER, "case": "c" * 64, "route": "doc", "at": NOW, **changes})


async def noted(store: Store, *batches: Sequence[Access]) -> list[AuditEvent]:
    """Returns the audit's rows once the batches were written, one after the other."""
    for batch in batches:
        await store.evidence.add(accesses=batch, at=NOW)
    return await store.audit.all()


async def test_an_access_is_a_row_of_hashes_and_the_route(store: Store) -> None:
    rows = await noted(store, [access()])
    assert rows == [AuditEvent(NOW, OWNER, "case_accessed", "c" * 64, '{"route": "doc"}')]


async def test_the_same_access_is_noted_once_a_day_in_one_batch_and_in_several(store: Store) -> None:
    later = access(at=NOW + timedelta(hours=3))
    assert len(await noted(store, [access(), access(), later], [later], [access()])) == 1


async def test_another_process_does_not_note_it_again(tmp_path: Path) -> None:
    for _ in range(2):
        async with opened(tmp_path) as store:
            rows = await noted(store, [access()])
    assert len(rows) == 1


async def test_another_day_user_case_or_route_is_another_access(store: Store) -> None:
    others = [access(at=ago(days=1)), access(owner=OTHER), access(case="d" * 64), access(route="query")]
    rows = await noted(store, [access()], others)
    assert len(rows) == 5
    assert {json.loads(row.detail)["route"] for row in rows} == {"doc", "query"}


async def test_the_day_is_that_of_utc(store: Store) -> None:
    midnight = NOW.replace(hour=0, minute=0, second=0, microsecond=0)
    rows = await noted(store, [access(at=midnight)], [access(at=midnight - timedelta(microseconds=1))])
    assert len(rows) == 2


async def test_accesses_are_links_of_the_chain(store: Store) -> None:
    await store.audit.add("ana", "mode_set", "*", NOW)
    await noted(store, [access(route=f"route-{number}") for number in range(5)])
    await store.audit.add("ana", "mode_set", "*", NOW)
    verdict = await store.audit.verify()
    assert (verdict.first_bad, verdict.chained) == (None, 7)


async def test_no_access_writes_nothing(store: Store) -> None:
    assert await noted(store, []) == []
