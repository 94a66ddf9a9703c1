"""Tests the ledger's sums by organization."""

from datetime import UTC, datetime, time
from typing import Any

import pytest

from proxy.store import Store
from proxy.store.audit.callers import RouteCallers
from proxy.store.audit.usage import Visit
from tests.store.examples import NOW, ago

pytestmark = pytest.mark.usefixtures("engine")

NORTE, SUR = "c" * 64, "d" * 64


def visit(organization: str = "Norte", digest: str = NORTE, **changes: Any) -> Visit:
    values: dict[str, Any] = {"route": "doc", "mode": "new", "status": 200, "at": NOW, "agent": "okhttp/4.9"}
    return Visit("k", "u", organization, digest, **{**values, **changes})


async def found(store: Store, *visits: Visit) -> RouteCallers:
    await store.evidence.add(visits=visits, at=NOW)
    return await store.callers.of_route("doc", ago(days=30).date(), ago(days=7).date())


async def test_calls_are_summed_by_organization_over_clients_modes_and_days(store: Store) -> None:
    many = visit(), visit(agent="curl"), visit(status=404), visit(mode="shadow", at=ago(days=2))
    sums = await found(store, *many, visit("Sur", SUR), visit(route="query"))
    assert {(each.organization, each.organization_hash, each.calls) for each in sums.callers} == {
        ("Norte", NORTE, 4),
        ("Sur", SUR, 1),
    }


async def test_calls_before_the_counted_days_make_an_organization_known_and_count_no_more(
    store: Store,
) -> None:
    (norte,) = (await found(store, visit(at=ago(days=20)), visit("Sur", SUR, at=ago(days=40)))).callers
    assert (norte.organization, norte.calls, norte.last_day) == ("Norte", 0, ago(days=20).date())


async def test_an_organization_that_was_only_refused_is_left_out(store: Store) -> None:
    sums = await found(store, visit("Sur", SUR, status=401), visit("", ""))
    assert sums.callers == ()


async def test_the_time_begins_with_the_first_client_or_the_first_day(store: Store) -> None:
    assert (await found(store, visit(at=ago(hours=3)))).begin == ago(hours=3)
    begin = (await found(store, visit(agent="old", at=ago(days=20)))).begin
    assert begin == datetime.combine(ago(days=7).date(), time(), UTC)
