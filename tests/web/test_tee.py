"""Webhooks that are sent on to the operator's own consumer (CONTRACT W04)."""

from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any, Final

import pytest
from pytest_aiohttp import AiohttpServer
from sqlalchemy import Connection, Row, select

from proxy import jsons
from proxy.flows import tee
from proxy.flows.tee import is_too_old, pause, verdict_of
from proxy.sandbox.reports import signature
from proxy.store.sql.tables import deliveries
from tests.captured import captured_log
from tests.conftest import Api, StartProxy
from tests.damage import damage
from tests.flows._client import until
from tests.flows.test_webhooks import BAD_BODIES, HEADER, SECRET, accepted, deliver, event, post
from tests.rollout.moving import eventually
from tests.stores import ENGINES
from tests.web.consumer import Consumer, consuming

SPACED: Final = b' {"event": "report.archived",\n "x": "\xc3\xad"}'


async def rows(api: Api) -> list[Row[Any]]:
    def work(conn: Connection) -> list[Row[Any]]:
        return list(conn.execute(select(deliveries).order_by(deliveries.c.id)))

    return await api.proxy.deps.store.database.read(work)


async def idle(api: Api) -> None:
    """Returns once no delivery waits."""
    await eventually(api.proxy.deps.store.deliveries.waiting, lambda waiting: waiting == 0)


async def later(api: Api, folder: Path, time: timedelta) -> None:
    """Moves the clock on. By the deliveries: on PostgreSQL the server's own clock says what is due."""
    await damage(folder, f"UPDATE deliveries SET next_at = next_at - {time // timedelta(microseconds=1)}")
    api.clock.ahead += time


async def tried_again(api: Api, folder: Path, log: StringIO, attempts: int) -> None:
    """Moves the clock on after each of the first `attempts` has failed: the next one is due then."""
    for number in range(1, attempts + 1):
        await until(partial(_put_off, log, number))
        await later(api, folder, timedelta(hours=1))


def _put_off(log: StringIO, times: int) -> bool:
    return log.getvalue().count("tee_put_off") >= times


def heard(consumer: Consumer) -> list[str]:
    return [jsons.load(body)["data"]["content"] for body in consumer.bodies]  # type: ignore[index,call-overload,misc]


async def test_tee_W04_the_consumer_gets_the_same_bytes_signature_and_type(
    start_proxy: StartProxy, consumer: Consumer
) -> None:
    async with start_proxy(MICHIQ_TEE_URL=consumer.url) as api:
        signed = {HEADER: signature(SECRET, SPACED), "Content-Type": "application/json; v=1"}
        reply = await post(api, SPACED, {**signed, "Cookie": "a=b", "Authorization": "Bearer x"})
        assert (reply.status, reply.json) == (200, {"received": True})
        await until(lambda: consumer.bodies)
        [headers] = consumer.headers
        assert consumer.bodies == [SPACED]
        assert {**headers, **signed} == dict(headers)
        assert not {"Cookie", "Authorization", "X-Request-ID"} & set(headers)


@pytest.mark.parametrize("kind", ["text/\N{LATIN SMALL LETTER N WITH TILDE}", "a\tb", "a/" + "b" * 199])
async def test_tee_W04_a_type_that_not_every_program_reads_alike_stays_here(
    start_proxy: StartProxy, kind: str, consumer: Consumer
) -> None:
    async with start_proxy(MICHIQ_TEE_URL=consumer.url) as api:
        signed = {HEADER: signature(SECRET, SPACED), "Content-Type": kind}
        assert (await post(api, SPACED, signed)).status == 200
        await until(lambda: consumer.bodies)
        assert consumer.bodies == [SPACED]
        assert "Content-Type" not in consumer.headers[0]


async def test_tee_W04_nobody_else_takes_up_a_delivery_whose_attempt_may_still_go_on(
    start_proxy: StartProxy, tmp_path: Path, consumer: Consumer
) -> None:
    """A slow attempt may take its whole time; later deliveries are sent meanwhile."""
    async with start_proxy(MICHIQ_TEE_URL=consumer.url) as api:
        consumer.open.clear()
        await accepted(api, event(id="r-1", content="first"))
        await until(lambda: consumer.bodies)
        await later(api, tmp_path, timedelta(seconds=tee._SECONDS))
        await accepted(api, event(id="r-2", content="second"), event(id="r-3", content="third"))
        await until(lambda: "third" in heard(consumer))
        assert sorted(heard(consumer)) == ["first", "second", "third"]
        consumer.open.set()
        await idle(api)


@pytest.mark.parametrize(("after", "too_old"), [(-1, False), (0, False), (1, True)])
def test_tee_W04_is_tried_to_the_end_of_the_24th_hour(after: int, too_old: bool) -> None:
    received = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
    assert is_too_old(received, received + timedelta(hours=24, microseconds=after)) is too_old


async def test_tee_W04_a_slow_consumer_delays_no_200(start_proxy: StartProxy, consumer: Consumer) -> None:
    async with start_proxy(MICHIQ_TEE_URL=consumer.url) as api:
        consumer.open.clear()
        for number in range(10):
            await accepted(api, event(id=f"r-{number}"))
        await until(lambda: consumer.bodies)
        consumer.open.set()
        await idle(api)
        assert sorted(consumer.bodies) == sorted({*consumer.bodies})
        assert len(consumer.bodies) == 10


async def test_tee_W04_only_what_is_authentic_and_acknowledged_is_sent_on(
    start_proxy: StartProxy, consumer: Consumer
) -> None:
    async with start_proxy(MICHIQ_TEE_URL=consumer.url) as api:
        for body in BAD_BODIES.values():
            assert (await deliver(api, body)).status == 400
        assert (await deliver(api, event(id="forged"), "another-secret")).status == 401
        assert await rows(api) == []
        await accepted(api, event("archived"), event())
        await idle(api)
        assert len(consumer.bodies) == 2


async def test_tee_W04_without_a_consumer_nothing_is_kept_for_one(api: Api) -> None:
    await accepted(api, event())
    assert await rows(api) == []


REFUSE_DELIVERIES: Final = {
    "here": "CREATE TRIGGER no BEFORE INSERT ON deliveries BEGIN SELECT RAISE(ABORT, 'no'); END",
    "replicated": "ALTER TABLE deliveries ADD CHECK (false)",
}


async def test_tee_W04_the_report_and_its_delivery_are_written_together_or_not_at_all(
    start_proxy: StartProxy, tmp_path: Path, stored_in: str, consumer: Consumer
) -> None:
    async with start_proxy(MICHIQ_TEE_URL=consumer.url) as api:
        await damage(tmp_path, REFUSE_DELIVERIES[stored_in])
        assert (await deliver(api, event())).status == 500
        assert ENGINES.rows(tmp_path, "SELECT id FROM reports") == []


async def test_tee_W04_who_can_not_take_it_now_is_asked_again_until_it_can(
    start_proxy: StartProxy, tmp_path: Path, consumer: Consumer
) -> None:
    failures = [500, 503, 408, 429, 307, 0, 599]
    with captured_log() as log:
        consumer.answers = [*failures]
        async with start_proxy(MICHIQ_TEE_URL=consumer.url) as api:
            await accepted(api, event())
            await tried_again(api, tmp_path, log, len(failures))
            await idle(api)
    assert consumer.bodies == [jsons.dump(event())] * (len(failures) + 1)
    assert len({headers[HEADER] for headers in consumer.headers}) == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 422])
async def test_tee_W04_what_it_refuses_is_given_up_and_logged(
    start_proxy: StartProxy, status: int, consumer: Consumer
) -> None:
    with captured_log() as log:
        consumer.answers = [status]
        async with start_proxy(MICHIQ_TEE_URL=consumer.url) as api:
            await accepted(api, event())
            await until(lambda: "tee_given_up" in log.getvalue())
            assert await rows(api) == []
            await accepted(
                api, event()
            )  # the platform delivers it anew, perhaps since the operator asked it to
            await idle(api)
            assert len(consumer.bodies) == 2


async def test_tee_W04_after_a_day_in_vain_it_is_given_up(
    start_proxy: StartProxy, tmp_path: Path, consumer: Consumer
) -> None:
    with captured_log() as log:
        consumer.answers = [500] * 99
        async with start_proxy(MICHIQ_TEE_URL=consumer.url) as api:
            await accepted(api, event())
            await until(lambda: "tee_put_off" in log.getvalue())
            await later(api, tmp_path, timedelta(hours=24))
            await until(lambda: "tee_given_up" in log.getvalue())
            assert (await rows(api), len(consumer.bodies)) == ([], 2)


async def test_tee_W04_what_waits_survives_a_restart(start_proxy: StartProxy, consumer: Consumer) -> None:
    with captured_log() as log:
        consumer.answers = [500]
        async with start_proxy(MICHIQ_TEE_URL=consumer.url) as api:
            await accepted(api, event())
            await until(lambda: "tee_put_off" in log.getvalue())
        async with start_proxy(MICHIQ_TEE_URL=consumer.url) as api:
            await idle(api)
        assert consumer.bodies == [jsons.dump(event())] * 2


@pytest.mark.on_both
async def test_tee_W04_what_a_dead_process_was_sending_is_sent_when_its_claim_has_run_out(
    start_proxy: StartProxy, tmp_path: Path, consumer: Consumer
) -> None:
    consumer.open.clear()
    async with start_proxy(MICHIQ_TEE_URL=consumer.url) as api:
        await accepted(api, event())
        await until(lambda: consumer.bodies)
    consumer.open.set()
    async with start_proxy(MICHIQ_TEE_URL=consumer.url) as api:
        await accepted(api, event(id="another"))
        await until(lambda: len(consumer.bodies) == 2)
        await later(api, tmp_path, timedelta(seconds=31))
        await idle(api)
    assert [jsons.load(body)["data"]["id"] for body in consumer.bodies] == [  # type: ignore[index,call-overload]
        "report-1",
        "another",
        "report-1",
    ]


async def test_tee_W04_those_of_one_report_arrive_in_order_and_hold_up_no_other(
    start_proxy: StartProxy, tmp_path: Path, consumer: Consumer
) -> None:
    with captured_log() as log:
        consumer.answers = [500, 500]
        async with start_proxy(MICHIQ_TEE_URL=consumer.url) as api:
            await accepted(api, event(content="a1"))
            await until(lambda: "tee_put_off" in log.getvalue())
            consumer.answers.clear()
            consumer.answers.append(200)
            await accepted(api, event("updated", content="a2"), event("updated", content="a3"))
            await accepted(api, event(id="another", content="b1"))
            await until(lambda: "b1" in heard(consumer))
            assert heard(consumer) == ["a1", "b1"]
            await later(api, tmp_path, timedelta(minutes=1))
            await idle(api)
            assert heard(consumer) == ["a1", "b1", "a1", "a2", "a3"]


async def test_tee_W04_a_repeat_is_not_sent_on_again(start_proxy: StartProxy, consumer: Consumer) -> None:
    secrets = f"{SECRET},newer"
    async with start_proxy(MICHIQ_TEE_URL=consumer.url, MICHIQ_WEBHOOK_SECRETS=secrets) as api:
        for secret in (SECRET, SECRET, "newer"):
            assert (await deliver(api, event(), secret)).status == 200
        await idle(api)
        assert (await deliver(api, event())).status == 200
        await accepted(api, event("updated"))
        await idle(api)
        assert heard(consumer) == ["Texto de created.", "Texto de updated."]


async def test_tee_W04_no_redirect_is_followed_and_no_cookie_kept(
    start_proxy: StartProxy, tmp_path: Path, consumer: Consumer, aiohttp_server: AiohttpServer
) -> None:
    elsewhere = await consuming(aiohttp_server)
    consumer.answers = [307]
    with captured_log() as log:
        consumer.more = {"Location": elsewhere.url, "Set-Cookie": "a=b; Path=/"}
        async with start_proxy(MICHIQ_TEE_URL=consumer.url) as api:
            await accepted(api, event())
            await tried_again(api, tmp_path, log, 1)
            await idle(api)
        assert (len(consumer.bodies), elsewhere.bodies) == (2, [])
        assert not any("Cookie" in headers for headers in consumer.headers)


async def test_tee_W04_an_attempt_has_an_end(
    start_proxy: StartProxy, monkeypatch: pytest.MonkeyPatch, consumer: Consumer
) -> None:
    monkeypatch.setattr("proxy.flows.tee._SECONDS", 0.05)
    with captured_log() as log:
        async with start_proxy(MICHIQ_TEE_URL=consumer.url) as api:
            consumer.open.clear()
            await accepted(api, event())
            await until(lambda: "tee_put_off" in log.getvalue())
            assert [row.attempts for row in await rows(api)] == [1]


async def test_tee_W04_a_consumer_that_is_not_there_harms_nothing(start_proxy: StartProxy) -> None:
    with captured_log() as log:
        async with start_proxy(MICHIQ_TEE_URL="http://127.0.0.1:9/") as api:
            await accepted(api, event())
            await until(lambda: "tee_put_off" in log.getvalue())
            [row] = await rows(api)
            assert (row.state, row.attempts) == ("waiting", 1)


async def test_tee_W04_two_processes_send_each_once(start_proxy: StartProxy, consumer: Consumer) -> None:
    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(start_proxy(MICHIQ_TEE_URL=consumer.url))
        other = await stack.enter_async_context(start_proxy(MICHIQ_TEE_URL=consumer.url))
        for number in range(30):
            await accepted((one, other)[number % 2], event(id=f"r-{number % 7}", content=f"{number}"))
        await idle(one)
        assert sorted(heard(consumer), key=int) == [f"{number}" for number in range(30)]


async def test_tee_W04_G10_what_waits_is_sealed_and_what_was_sent_is_forgotten(
    start_proxy: StartProxy, tmp_path: Path, consumer: Consumer
) -> None:
    with captured_log() as log:
        consumer.answers = [500]
        async with start_proxy(MICHIQ_TEE_URL=consumer.url) as api:
            await accepted(api, event(content="CANARY"))
            await until(lambda: "tee_put_off" in log.getvalue())
            assert b"CANARY" not in await ENGINES.bytes_of(tmp_path)
            await later(api, tmp_path, timedelta(minutes=1))
            await idle(api)
            [row] = await rows(api)
            assert (row.state, row.body, row.headers) == ("sent", None, None)
    assert "CANARY" not in log.getvalue()
    assert consumer.url not in log.getvalue()
    assert signature(SECRET, consumer.bodies[0]) not in log.getvalue()


def test_tee_W04_pauses_double_up_to_an_hour_and_are_scattered() -> None:
    assert [pause(number, 0.0).total_seconds() for number in (1, 2, 3, 11, 12, 13, 1000)] == [
        *(1, 2, 4, 1024, 2048, 3600, 3600)
    ]
    assert [pause(3, chance).total_seconds() for chance in (0.5, 1.0)] == [3, 2]


def test_tee_W04_what_an_answer_means() -> None:
    meaning = {"sent": (200, 201, 204, 299), "again": (None, 100, 302, 408, 429, 500, 599)}
    given_up = (400, 401, 404, 410, 413, 425, 499)
    for verdict, statuses in {**meaning, "given-up": given_up}.items():
        assert {verdict_of(status) for status in statuses} == {verdict}, verdict
