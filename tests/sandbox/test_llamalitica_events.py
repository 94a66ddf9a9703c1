"""Webhooks: their deliveries, signatures and retries."""

import hashlib
import hmac
import json
from typing import Any

import pytest
from aiohttp import ClientSession

from proxy.sandbox import Sandbox, SandboxConfig, run_sandbox
from tests.sandbox.conftest import KEY, WEBHOOK_SECRET, Receiver
from tests.sandbox.test_llamalitica_api import form, post


async def new_case(sandbox: Sandbox, http: ClientSession) -> str:
    _, body = await post(sandbox, http, form(("files", "x", "informe.txt")))
    await sandbox.llamalitica.webhooks.idle()
    return str(body["caseId"])


async def send(sandbox: Sandbox, http: ClientSession, body: Any) -> tuple[int, Any]:
    async with http.post(f"{sandbox.llamalitica.url}/_sandbox/events", json=body) as answer:
        return answer.status, await answer.json()


async def test_a_new_case_is_told_of_by_report_created_then_report_updated(
    sandbox: Sandbox, http: ClientSession, receiver: Receiver
) -> None:
    sandbox.llamalitica.webhook_url = receiver.url
    case_id = await new_case(sandbox, http)
    created, updated = (json.loads(body) for body, _ in receiver.got)
    assert [created["event"], updated["event"]] == ["report.created", "report.updated"]
    assert created["timestamp"] < updated["timestamp"]
    assert created["data"]["id"] == updated["data"]["id"]
    assert {created["data"]["caseId"], updated["data"]["caseId"]} == {case_id}


async def test_an_event_has_the_documented_shape_and_tells_of_the_case(
    sandbox: Sandbox, http: ClientSession, receiver: Receiver
) -> None:
    sandbox.llamalitica.webhook_url = receiver.url
    await new_case(sandbox, http)
    event = json.loads(receiver.got[0][0])
    assert event.keys() == {"event", "organizationId", "timestamp", "data"}
    assert event["data"].keys() == {"id", "caseId", "agent", "content", "structuredData"}
    assert event["data"]["agent"].keys() == {"id", "name"}
    assert event["data"]["content"].startswith("Informe de Ana: ")
    assert event["data"]["structuredData"]["archivos"] == ["informe.txt"]


async def test_the_signature_is_the_hmac_of_the_raw_body(
    sandbox: Sandbox, http: ClientSession, receiver: Receiver
) -> None:
    sandbox.llamalitica.webhook_url = receiver.url
    await new_case(sandbox, http)
    assert receiver.got
    for body, signature in receiver.got:
        assert signature == hmac.new(WEBHOOK_SECRET.encode(), body, hashlib.sha256).hexdigest()


async def test_a_refused_delivery_is_sent_again_unchanged(
    sandbox: Sandbox, http: ClientSession, receiver: Receiver
) -> None:
    sandbox.llamalitica.webhook_url = receiver.url
    receiver.statuses = [503, 401]
    await new_case(sandbox, http)
    bodies = [body for body, _ in receiver.got]
    assert bodies[0] == bodies[1] == bodies[2] != bodies[3]
    assert [(d.attempts, d.accepted) for d in sandbox.llamalitica.webhooks.deliveries] == [
        (3, True),
        (1, True),
    ]


async def test_a_delivery_is_given_up_when_nobody_listens(sandbox: Sandbox, http: ClientSession) -> None:
    sandbox.llamalitica.webhook_url = "http://127.0.0.1:1/hook"
    await new_case(sandbox, http)
    deliveries = sandbox.llamalitica.webhooks.deliveries
    assert [(d.attempts, d.status) for d in deliveries] == [(3, None), (3, None)]


async def test_without_an_address_the_report_exists_and_nothing_is_sent(
    sandbox: Sandbox, http: ClientSession
) -> None:
    case_id = await new_case(sandbox, http)
    assert sandbox.llamalitica.reports[case_id].content.endswith("Revisado.")
    assert not sandbox.llamalitica.webhooks.deliveries


async def test_an_event_can_be_sent_on_demand(
    sandbox: Sandbox, http: ClientSession, receiver: Receiver
) -> None:
    case_id = await new_case(sandbox, http)
    sandbox.llamalitica.webhook_url = receiver.url
    asked = {"event": "report.updated", "case_id": case_id, "content": "Nuevo", "structured_data": {"a": 1}}
    assert await send(sandbox, http, asked) == (200, {"attempts": 1, "status": 200})
    data = json.loads(receiver.got[0][0])["data"]
    assert (data["content"], data["structuredData"]) == ("Nuevo", {"a": 1})


async def test_a_deleted_report_is_gone(sandbox: Sandbox, http: ClientSession, receiver: Receiver) -> None:
    case_id = await new_case(sandbox, http)
    report_id = sandbox.llamalitica.reports[case_id].id
    sandbox.llamalitica.webhook_url = receiver.url
    await sandbox.llamalitica.send("report.deleted", case_id)
    event = json.loads(receiver.got[0][0])
    assert (event["event"], event["data"]["id"]) == ("report.deleted", report_id)
    assert case_id not in sandbox.llamalitica.reports


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"event": "report.read"}, 400),
        ({"case_id": None}, 400),
        ({"surplus": 1}, 400),
        ({"structured_data": []}, 400),
        ({"case_id": "unknown"}, 404),
        ({}, 409),
    ],
)
async def test_an_event_that_cannot_be_sent_is_refused(
    sandbox: Sandbox, http: ClientSession, change: dict[str, Any], status: int
) -> None:
    asked = {"event": "report.updated", "case_id": await new_case(sandbox, http)}
    assert (await send(sandbox, http, asked | change))[0] == status


async def test_the_end_waits_for_first_attempts_but_for_no_retry(http: ClientSession) -> None:
    config = SandboxConfig(
        api_keys=frozenset({KEY}), webhook_url="http://127.0.0.1:1/hook", webhook_retries=(3600.0,)
    )
    async with run_sandbox(config) as sandbox:
        await post(sandbox, http, form())
    deliveries = sandbox.llamalitica.webhooks.deliveries
    assert [(d.event, d.attempts) for d in deliveries] == [("report.created", 1), ("report.updated", 1)]
