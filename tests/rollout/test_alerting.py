"""Alerts: signed, sent once for all processes, tried again, and about nothing but templates and codes."""

import hmac
import json
from contextlib import AsyncExitStack
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import pytest
from pytest_aiohttp import AiohttpServer

from proxy.rollout.alerting import Alert, Seen, alerts_between
from proxy.sandbox import Fault
from tests.captured import captured_log
from tests.conftest import Api, StartProxy
from tests.flows._client import until
from tests.rollout.moving import new_case
from tests.web.consumer import Consumer, consuming

SECRET: Final = "alert-secret"


@pytest.fixture
async def receiver(aiohttp_server: AiohttpServer) -> Consumer:
    return await consuming(aiohttp_server)


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.rollout.alerting._LOOK_SECONDS", 0.02)


def environ(receiver: Consumer) -> dict[str, str]:
    return {"MICHIQ_ALERT_URL": receiver.url, "MICHIQ_ALERT_SECRET": SECRET}


def alerts(receiver: Consumer) -> list[dict[str, Any]]:
    return [json.loads(body) for body in receiver.bodies]


async def broken(api: Api) -> None:
    """Makes five calls in a row fail."""
    api.sandbox.llamalitica.faults.add(Fault(kind="status", status=503, times=99))
    for _ in range(6):
        await new_case(api)


async def test_an_open_breaker_is_posted_once_signed_and_with_its_time(
    start_proxy: StartProxy, receiver: Consumer
) -> None:
    with captured_log() as log:
        async with AsyncExitStack() as stack:
            proxies = [await stack.enter_async_context(start_proxy(**environ(receiver))) for _ in range(2)]
            ends = ("alert_sent", "alert_sent_by_another")
            for api in proxies:
                await broken(api)
            await until(lambda: all(f'"{each}"' in log.getvalue() for each in ends))
    [alert] = alerts(receiver)
    assert (alert["alert"], alert["subject"], alert["revision"]) == ("breaker-open", "llamalitica", 0)
    [headers] = receiver.headers
    signed = headers["X-Michiq-Timestamp"].encode() + b"." + receiver.bodies[0]
    assert headers["X-Michiq-Signature"] == hmac.new(SECRET.encode(), signed, sha256).hexdigest()
    assert abs(int(headers["X-Michiq-Timestamp"]) - proxies[0].clock().timestamp()) < 60
    assert headers["Content-Type"] == "application/json"


async def test_a_receiver_that_fails_is_tried_again(
    start_proxy: StartProxy, receiver: Consumer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("proxy.rollout.alerting._PAUSES", (0.0, 0.0))
    receiver.answers = [500, 0]
    with captured_log() as log:
        async with start_proxy(**environ(receiver)) as api:
            await broken(api)
            await until(lambda: "alert_sent" in log.getvalue())
        receiver.answers = [500] * 3
        async with start_proxy(watch=True, **environ(receiver)):
            (tmp_path / "mappings" / "doc.toml").write_text("mode = 1\n", "utf-8")
            await until(lambda: "alert_not_sent" in log.getvalue())
    assert [each["alert"] for each in alerts(receiver)] == ["breaker-open"] * 3 + ["mappings-rejected"] * 3
    assert receiver.url not in log.getvalue()
    assert SECRET not in log.getvalue()


async def test_no_setting_no_alert(start_proxy: StartProxy, receiver: Consumer) -> None:
    async with start_proxy() as api:
        await broken(api)
        assert api.proxy.deps.upstreams.states()["llamalitica"] == "open"
    assert receiver.bodies == []


@pytest.mark.parametrize(
    ("before", "now", "kinds"),
    [
        (Seen(), Seen(), []),
        (Seen(), Seen(breakers={"legacy": "closed"}), []),
        (Seen(), Seen(breakers={"legacy": "open"}), [("breaker-open", "legacy")]),
        (Seen(breakers={"legacy": "half-open"}), Seen(breakers={"legacy": "open"}), []),
        (Seen(step_backs={"doc": 1}), Seen(step_backs={"doc": 2, "query": 0}), [("step-back", "doc")]),
        (Seen(), Seen(low=True), [("disk-low", "store")]),
        (Seen(low=True), Seen(low=True), []),
        (Seen(full=1), Seen(full=3), [("disk-full", "store")]),
        (Seen(rejected=("a",)), Seen(rejected=("a",)), []),
        (Seen(rejected=("a",)), Seen(), []),
    ],
)
def test_what_changed_is_an_alert_once(before: Seen, now: Seen, kinds: list[tuple[str, str]]) -> None:
    assert [(each.kind, each.subject) for each in alerts_between(before, now)] == kinds


def test_other_faults_of_the_mapping_files_are_another_alert() -> None:
    [one] = alerts_between(Seen(), Seen(rejected=("doc.toml:3: mode: x",)))
    [other] = alerts_between(Seen(rejected=("doc.toml:3: mode: x",)), Seen(rejected=("doc.toml:4: mode: x",)))
    assert one.kind == other.kind == "mappings-rejected"
    assert one.subject != other.subject
    assert isinstance(one, Alert)
    assert "doc.toml" not in one.text
