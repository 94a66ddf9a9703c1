"""Webhook deliveries that wait for the operator's own consumer."""

import asyncio
from datetime import timedelta

from sqlalchemy import BigInteger, Connection, select, type_coerce, update

from proxy.store import Store
from proxy.store.audit.trail import CASE_ERASED
from proxy.store.records.deliveries import Delivery, Subject
from proxy.store.sql.tables import Moment, deliveries
from tests.store.examples import NOW, event
from tests.stores import EngineName

UNTIL = NOW + timedelta(seconds=30)


async def receive(store: Store, body: bytes, report_id: str | None = "report-1", **later: float) -> None:
    delivery = Delivery(body, "f" * 64, "application/json")
    await store.deliveries.receive(delivery, Subject(report_id, "case-1"), event(), NOW + timedelta(**later))


async def claimed(store: Store, **later: float) -> bytes | None:
    now = NOW + timedelta(**later)
    found = await store.deliveries.claim(now, now + timedelta(seconds=30))
    return None if found is None else found.delivery.body


async def test_deliveries_W04_what_is_claimed_comes_back_as_it_was_received(store: Store) -> None:
    await receive(store, b"\x00\xff{}")
    found = await store.deliveries.claim(NOW, UNTIL)
    assert found is not None
    assert found.delivery == Delivery(b"\x00\xff{}", "f" * 64, "application/json")
    assert (found.attempts, found.received_at) == (1, NOW)


async def test_deliveries_W04_its_event_is_kept_with_it(store: Store) -> None:
    await receive(store, b"1")
    assert [report.id for report in await store.reports.of_cases(["case-1"])] == ["report-1"]


async def test_deliveries_W04_no_two_claim_the_same_one(store: Store) -> None:
    for number in range(5):
        await receive(store, b"%d" % number, f"report-{number}")
    found = await asyncio.gather(*(claimed(store) for _ in range(12)))
    assert sorted(body for body in found if body is not None) == [b"%d" % number for number in range(5)]


async def test_deliveries_W04_a_claim_runs_out(store: Store, engine: EngineName) -> None:
    await receive(store, b"1")
    assert await claimed(store) == b"1"
    assert await claimed(store, seconds=29) is None
    if engine == "postgresql":  # by its own clock
        await store.database.write(lambda conn: _bring_forward(conn, timedelta(seconds=30)))
    assert await claimed(store, seconds=30) == b"1"


async def test_deliveries_W04_a_report_has_one_under_way_and_others_do_not_wait_for_it(store: Store) -> None:
    await receive(store, b"a1")
    await receive(store, b"a2", seconds=-9)  # received later by a clock that was set back
    await receive(store, b"b1", "report-2")
    await receive(store, b"x1", None)
    await receive(store, b"x2", None)
    assert [await claimed(store) for _ in range(5)] == [b"a1", b"b1", b"x1", b"x2", None]
    first = (await _numbers(store))[0]
    await store.deliveries.put_off(first, NOW, NOW + timedelta(hours=1))
    assert await claimed(store, seconds=10) is None
    await store.deliveries.sent(first)
    assert await claimed(store, seconds=10) == b"a2"


async def test_deliveries_W04_a_repeat_is_known_until_the_day_is_over(store: Store) -> None:
    for _ in range(2):
        await receive(store, b"1")
        await receive(store, b"1")
        assert await store.deliveries.waiting() == 1
        [number] = await _numbers(store)
        await store.deliveries.sent(number)
        await receive(store, b"1")
        assert await store.deliveries.waiting() == 0
        await store.retention.sweep(NOW + timedelta(hours=25), content_days=90, audio_days=30)


async def test_deliveries_W04_one_that_was_given_up_is_new_when_it_comes_again(store: Store) -> None:
    await receive(store, b"1")
    [number] = await _numbers(store)
    await store.deliveries.give_up(number)
    assert await claimed(store) is None
    await receive(store, b"1")
    assert await _numbers(store) > [number], "a number stands for two deliveries"


async def test_deliveries_W04_nothing_of_an_erased_case_is_sent_on(store: Store) -> None:
    await store.audit.add("ana", CASE_ERASED, store.sealer.case("case-1"), NOW)
    await receive(store, b"late")
    assert await _numbers(store) == []
    assert await store.reports.of_cases(["case-1"]) == []


async def test_retention_W04_what_no_consumer_took_within_a_day_goes_and_is_counted(store: Store) -> None:
    await receive(store, b"old")
    await receive(store, b"new", "report-2", hours=2)
    swept = await store.retention.sweep(NOW + timedelta(hours=25), content_days=90, audio_days=30)
    assert swept.unsent == 1
    assert await claimed(store, hours=25) == b"new"


def _bring_forward(conn: Connection, by: timedelta) -> None:
    """Makes all that waits due so much earlier."""
    micros = type_coerce(deliveries.c.next_at, BigInteger) - by // timedelta(microseconds=1)
    conn.execute(update(deliveries).values(next_at=type_coerce(micros, Moment)))


async def _numbers(store: Store) -> list[int]:
    def work(conn: Connection) -> list[int]:
        return list(conn.execute(select(deliveries.c.id).order_by(deliveries.c.id)).scalars())

    return await store.database.read(work)
