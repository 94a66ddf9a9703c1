"""The faults of every kind, as a client on a real socket meets them, and the sandbox's own paths."""

import json

import pytest
from aiohttp import ClientConnectionError, ClientPayloadError, ClientSession, ClientTimeout

from proxy.sandbox import Fault, Sandbox
from tests.sandbox.conftest import CHAT_KEY
from tests.sandbox.test_llamalitica_api import form, me, post


async def start(sandbox: Sandbox, http: ClientSession) -> tuple[int, str, bytes]:
    url = f"{sandbox.llamachat.url}/api/conversations"
    headers = {"X-Api-Key": CHAT_KEY}
    async with http.post(url, headers=headers, allow_redirects=False) as answer:
        return answer.status, answer.content_type, await answer.read()


async def test_a_status_fault_has_the_shape_of_the_apps_own_errors(
    sandbox: Sandbox, http: ClientSession
) -> None:
    sandbox.llamachat.faults.add(Fault(kind="status", status=502))
    sandbox.llamalitica.faults.add(Fault(kind="status"))
    status, _, body = await start(sandbox, http)
    assert (status, json.loads(body)) == (502, {"error": "Fault on demand"})
    assert await me(sandbox, http) == (500, {"message": "Fault on demand"})


async def test_a_fault_happens_as_often_as_asked_and_then_no_more(
    sandbox: Sandbox, http: ClientSession
) -> None:
    sandbox.llamachat.faults.add(Fault(kind="status", times=2))
    assert [(await start(sandbox, http))[0] for _ in range(3)] == [500, 500, 200]


async def test_faults_happen_in_the_order_in_which_they_were_asked_for(
    sandbox: Sandbox, http: ClientSession
) -> None:
    for status in (503, 429):
        sandbox.llamachat.faults.add(Fault(kind="status", status=status))
    assert [(await start(sandbox, http))[0] for _ in range(3)] == [503, 429, 200]


@pytest.mark.parametrize("other", [{"method": "GET"}, {"path_prefix": "/api/transcription"}])
async def test_a_fault_waits_for_the_call_it_is_meant_for(
    sandbox: Sandbox, http: ClientSession, other: dict[str, str]
) -> None:
    sandbox.llamachat.faults.add(Fault.model_validate({"kind": "status"} | other))
    assert (await start(sandbox, http))[0] == 200
    assert len(sandbox.llamachat.faults.pending) == 1


async def test_a_delay_changes_nothing_else(sandbox: Sandbox, http: ClientSession) -> None:
    sandbox.llamachat.faults.add(Fault(kind="delay", delay=0.01))
    assert (await start(sandbox, http))[0] == 200


async def test_a_delay_longer_than_the_client_waits_is_a_timeout(
    sandbox: Sandbox, http: ClientSession
) -> None:
    sandbox.llamachat.faults.add(Fault(kind="delay", delay=3600))
    headers = {"X-Api-Key": CHAT_KEY}
    with pytest.raises(TimeoutError):
        await http.post(
            f"{sandbox.llamachat.url}/api/conversations", headers=headers, timeout=ClientTimeout(total=0.05)
        )
    assert not sandbox.llamachat.conversations


async def test_a_redirect_leads_to_another_host(sandbox: Sandbox, http: ClientSession) -> None:
    sandbox.llamachat.faults.add(Fault(kind="redirect"))
    assert (await start(sandbox, http))[0] == 307


async def test_an_html_fault_is_a_page_with_status_200(sandbox: Sandbox, http: ClientSession) -> None:
    sandbox.llamachat.faults.add(Fault(kind="html"))
    status, content_type, body = await start(sandbox, http)
    assert (status, content_type) == (200, "text/html")
    assert body.startswith(b"<html>")


async def test_broken_json_is_no_json(sandbox: Sandbox, http: ClientSession) -> None:
    sandbox.llamachat.faults.add(Fault(kind="broken_json"))
    status, content_type, body = await start(sandbox, http)
    assert (status, content_type) == (200, "application/json")
    with pytest.raises(json.JSONDecodeError):
        json.loads(body)


async def test_a_wrong_content_type_carries_the_good_answer(sandbox: Sandbox, http: ClientSession) -> None:
    sandbox.llamachat.faults.add(Fault(kind="wrong_content_type"))
    _, content_type, body = await start(sandbox, http)
    assert content_type == "application/octet-stream"
    assert json.loads(body)["id"] in sandbox.llamachat.conversations


async def test_an_oversized_answer_is_good_json_of_over_1_mib(sandbox: Sandbox, http: ClientSession) -> None:
    sandbox.llamachat.faults.add(Fault(kind="oversized"))
    _, content_type, body = await start(sandbox, http)
    assert content_type == "application/json"
    assert json.loads(body)["id"]
    assert len(body) > 1024 * 1024


async def test_a_truncated_answer_ends_before_its_announced_length(
    sandbox: Sandbox, http: ClientSession
) -> None:
    sandbox.llamachat.faults.add(Fault(kind="truncated"))
    with pytest.raises(ClientPayloadError):
        await start(sandbox, http)


async def test_a_cut_before_the_body_leaves_nothing_done(sandbox: Sandbox, http: ClientSession) -> None:
    sandbox.llamalitica.faults.add(Fault(kind="cut_before_body"))
    with pytest.raises(ClientConnectionError):
        await post(sandbox, http, form(("files", bytes(1024 * 1024), "x.bin")))
    assert not sandbox.llamalitica.cases
    assert [call.path for call in sandbox.llamalitica.calls] == ["/api/cases"]


async def test_a_cut_after_the_body_leaves_the_work_done_and_unanswered(
    sandbox: Sandbox, http: ClientSession
) -> None:
    sandbox.llamalitica.faults.add(Fault(kind="cut_after_body"))
    with pytest.raises(ClientConnectionError):
        await post(sandbox, http, form())
    assert len(sandbox.llamalitica.cases) == 1


async def test_a_gzip_answer_is_the_good_one_packed_though_nobody_asked(
    sandbox: Sandbox, http: ClientSession
) -> None:
    sandbox.llamachat.faults.add(Fault(kind="gzip"))
    headers = {"X-Api-Key": CHAT_KEY, "Accept-Encoding": "identity"}
    async with http.post(f"{sandbox.llamachat.url}/api/conversations", headers=headers) as answer:
        assert answer.headers["Content-Encoding"] == "gzip"
        assert (await answer.json())["id"] in sandbox.llamachat.conversations


async def test_the_app_works_on_after_a_cut(sandbox: Sandbox, http: ClientSession) -> None:
    sandbox.llamachat.faults.add(Fault(kind="cut_before_body"))
    with pytest.raises(ClientConnectionError):
        await start(sandbox, http)
    assert (await start(sandbox, http))[0] == 200


@pytest.fixture(params=["llamalitica", "llamachat", "michiq"])
def control(request: pytest.FixtureRequest, sandbox: Sandbox) -> str:
    return str(getattr(sandbox, request.param).url)


async def test_faults_are_asked_for_over_http(http: ClientSession, control: str) -> None:
    async with http.post(f"{control}/_sandbox/faults", json={"kind": "status", "status": 418}) as answer:
        assert (answer.status, await answer.json()) == (200, {"pending": 1})
    statuses = []
    for _ in range(2):
        async with http.get(f"{control}/nowhere") as answer:
            statuses.append(answer.status)
    assert statuses == [418, 404]


async def test_faults_are_cleared_over_http(http: ClientSession, control: str) -> None:
    await http.post(f"{control}/_sandbox/faults", json={"kind": "status", "times": 9})
    async with http.delete(f"{control}/_sandbox/faults") as answer:
        assert await answer.json() == {"pending": 0}
    async with http.get(f"{control}/nowhere") as answer:
        assert answer.status == 404


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"{}",
        b'{"kind": "explode"}',
        b'{"kind": "status", "surplus": 1}',
        b'{"kind": "status", "times": 0}',
        b'{"kind": "status", "status": "500"}',
        b'{"kind": "delay", "delay": -1}',
    ],
)
async def test_a_fault_that_does_not_exist_is_refused(
    http: ClientSession, sandbox: Sandbox, body: bytes
) -> None:
    async with http.post(f"{sandbox.llamachat.url}/_sandbox/faults", data=body) as answer:
        assert answer.status == 400
    assert not sandbox.llamachat.faults.pending


async def test_calls_are_listed_over_http_without_the_sandboxs_own(
    http: ClientSession, sandbox: Sandbox
) -> None:
    _, made = await post(sandbox, http, form(("files", "x", "ñ.txt")), X_ORGANIZATION="Clínica")
    async with http.get(f"{sandbox.llamalitica.url}/_sandbox/calls") as answer:
        (call,) = (await answer.json())["calls"]
    assert (call["method"], call["path"], call["status"]) == ("POST", "/api/cases", 200)
    assert ["X-ORGANIZATION", "Clínica"] in call["headers"]
    assert call["facts"]["caseId"] == made["caseId"]
    assert [part["filename"] for part in call["facts"]["parts"]] == [None, "ñ.txt"]
