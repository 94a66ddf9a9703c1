"""POST /webhooks/llamalitica: signed deliveries of the new platform (CONTRACT W)."""

from collections.abc import Mapping, Sequence
from itertools import permutations
from pathlib import Path
from random import Random
from typing import Any, Final

import pytest

from proxy import jsons
from proxy.sandbox import SandboxConfig
from proxy.sandbox.reports import signature
from tests.captured import captured_log
from tests.conftest import Api, StartProxy
from tests.flows._client import Patient, Reply, patient, settled
from tests.flows.mutants import PATHS, TIMES, VALUES, replaced
from tests.flows.storms import NEW, OLD, SECRETS, Storm, lives
from tests.samples import wav
from tests.stores import ENGINES

PATH: Final = "/webhooks/llamalitica"
SECRET: Final = "sandbox-webhook-secret"
HEADER: Final = "X-Webhook-Signature"


def event(kind: str = "created", **changes: Any) -> dict[str, Any]:
    """A delivery as the document shows one; `changes` go over its keys, those of data over data's."""
    data = {
        "id": "report-1",
        "caseId": "case-1",
        "agent": {"id": "agent-1", "name": "Informe clínico"},
        "content": f"Texto de {kind}.",
        "structuredData": {"de": kind},
    }
    return {
        "event": f"report.{kind}",
        "organizationId": "organization-1",
        "timestamp": "2026-03-21T10:00:00Z",
        "data": {**data, **{key: value for key, value in changes.items() if key in data}},
        **{key: value for key, value in changes.items() if key not in data},
    }


async def post(api: Api, body: bytes, headers: Mapping[str, str] | Sequence[tuple[str, str]]) -> Reply:
    async with api.http.post(f"{api.url}{PATH}", data=body, headers=headers) as response:
        return Reply(response.status, response.headers, await response.read())


async def deliver(api: Api, body: bytes | dict[str, Any], secret: str = SECRET) -> Reply:
    """A delivery, rightly signed."""
    raw = body if isinstance(body, bytes) else jsons.dump(body)
    return await post(api, raw, {HEADER: signature(secret, raw), "Content-Type": "application/json"})


async def accepted(api: Api, *events: dict[str, Any]) -> None:
    for each in events:
        reply = await deliver(api, each)
        assert (reply.status, reply.json) == (200, {"received": True})


async def quiet_case(api: Api) -> Patient:
    """A case whose platform never tells of a report by itself."""
    api.sandbox.llamalitica.webhook_url = None
    return await patient(api)


async def shown(case: Patient) -> tuple[Any, Any]:
    """The report as doc shows it: its text and its data."""
    document = await case.document()
    return document.get("generated_text"), document.get("structured_data")


async def test_webhook_W01_a_good_signature_is_the_hex_digest_of_the_raw_bytes(api: Api) -> None:
    spaced = b' {  "event" : "report.archived", "x": "\xc3\xad"  } \n'
    reply = await deliver(api, spaced)
    assert (reply.status, reply.kind, reply.json) == (200, "application/json", {"received": True})


def wrong_signatures(body: bytes) -> dict[str, list[tuple[str, str]]]:
    good = signature(SECRET, body)
    return {
        "missing": [],
        "empty": [(HEADER, "")],
        "upper case": [(HEADER, good.upper())],
        "too short": [(HEADER, good[:-1])],
        "too long": [(HEADER, good + "0")],
        "with a prefix": [(HEADER, f"sha256={good}")],
        "not hex": [(HEADER, "g" * 64)],
        "not ASCII": [(HEADER, "é" * 32)],
        "other digits": [(HEADER, "٣" * 64)],
        "of another secret": [(HEADER, signature("another-secret", body))],
        "of another body": [(HEADER, signature(SECRET, body + b" "))],
        "of no secret": [(HEADER, signature("", body))],
        "twice": [(HEADER, good), (HEADER, good)],
        "two in one": [(HEADER, f"{good}, {good}")],
        "in another header": [("X-Signature", good)],
    }


async def test_webhook_W01_any_other_signature_is_401_and_nothing_is_stored(api: Api) -> None:
    case = await quiet_case(api)
    body = jsons.dump(event(caseId=case.id))
    for what, headers in wrong_signatures(body).items():
        reply = await post(api, body, headers)
        assert (reply.status, reply.kind) == (401, "application/json"), what
        assert list(reply.json) == ["error"], what
    assert await shown(case) == (None, None)


async def test_webhook_W01_surrounding_blanks_are_no_part_of_a_header(api: Api) -> None:
    body = jsons.dump(event())
    reply = await post(api, body, {HEADER: f"  {signature(SECRET, body)} "})
    assert reply.status == 200


async def test_webhook_W01_each_of_several_secrets_is_good(start_proxy: StartProxy) -> None:
    async with start_proxy(MICHIQ_WEBHOOK_SECRETS="first,second") as api:
        statuses = [(await deliver(api, event(), secret)).status for secret in ("first", "second", SECRET)]
        assert statuses == [200, 200, 401]


async def test_webhook_W01_without_a_secret_nothing_is_good(start_proxy: StartProxy) -> None:
    async with start_proxy(MICHIQ_WEBHOOK_SECRETS="") as api:
        assert [(await deliver(api, event(), secret)).status for secret in ("", SECRET)] == [401, 401]


async def test_webhook_W01_the_signature_is_judged_before_the_body(api: Api) -> None:
    assert (await post(api, b"not json", {})).status == 401


async def test_webhook_W02_a_report_shows_in_the_documents_of_its_case(api: Api) -> None:
    case = await quiet_case(api)
    await accepted(api, event(caseId=case.id))
    assert await shown(case) == ("Texto de created.", {"de": "created"})
    await accepted(api, event("updated", caseId=case.id, timestamp="2026-03-21T10:00:01Z"))
    assert await shown(case) == ("Texto de updated.", {"de": "updated"})
    (encounter,) = (await case.call("GET", "/michiQ/encounters")).json
    assert (encounter["GeneratedText"], encounter["StructuredData"]) == (
        "Texto de updated.",
        {"de": "updated"},
    )
    await accepted(api, event("deleted", caseId=case.id, timestamp="2026-03-21T10:00:02Z"))
    assert await shown(case) == (None, None)


async def test_webhook_W02_what_was_acknowledged_is_there_after_a_restart(start_proxy: StartProxy) -> None:
    async with start_proxy() as before:
        case = await quiet_case(before)
        await accepted(before, event(caseId=case.id))
    async with start_proxy() as after:
        assert await shown(Patient(after, case.id, case.token)) == ("Texto de created.", {"de": "created"})


async def test_webhook_W02_the_platforms_own_deliveries_are_taken(api: Api) -> None:
    case = await patient(api)
    await settled(api)
    await api.sandbox.llamalitica.send("report.updated", case.id, "Revisado por Ana.")
    assert (await shown(case))[0] == "Revisado por Ana."
    await api.sandbox.llamalitica.send("report.deleted", case.id)
    assert await shown(case) == (None, None)
    assert {delivery.status for delivery in api.sandbox.llamalitica.webhooks.deliveries} == {200}


async def test_webhook_W02_no_text_of_a_report_is_in_the_clear_on_disk(api: Api, tmp_path: Path) -> None:
    await accepted(api, event(content="CANARY", structuredData={"CANARY": 1}))
    stored = await ENGINES.bytes_of(tmp_path)
    assert b"report-1" in stored
    assert b"CANARY" not in stored


LATER: Final = "2026-03-21T10:00:01Z"
LIVES: Final[dict[str, tuple[list[dict[str, Any]], str | None]]] = {
    "a repeat": ([event(), event()], "Texto de created."),
    "updated": ([event(), event("updated", timestamp=LATER)], "Texto de updated."),
    "of one time": ([event(), event("updated")], "Texto de updated."),
    "updated twice": (
        [event("updated", content="viejo"), event("updated", content="nuevo", timestamp=LATER)],
        "nuevo",
    ),
    "in time zones": (
        [
            event("updated", content="viejo", timestamp="2026-03-21T12:59:00+02:00"),
            event("updated", content="nuevo", timestamp="2026-03-21T11:00:00.000001Z"),
        ],
        "nuevo",
    ),
    "deleted": ([event(), event("updated", timestamp=LATER), event("deleted", timestamp=LATER)], None),
    "deleted before it was updated": ([event("updated", timestamp=LATER), event("deleted")], None),
    "two reports": ([event(id="a"), event("updated", id="b", timestamp=LATER)], "Texto de updated."),
    "one of two deleted": ([event(id="a"), event("deleted", id="b", timestamp=LATER)], "Texto de created."),
}


async def test_webhook_W03_the_order_of_arrival_changes_nothing(api: Api) -> None:
    """Sends each life in every order, then once more: from the last new event on nothing may change."""
    for life, (events, text) in LIVES.items():
        for order in permutations(events):
            case = await quiet_case(api)
            for number, each in enumerate((*order, *order)):
                data = {**each["data"], "caseId": case.id, "id": f"{each['data']['id']} of {case.id}"}
                await accepted(api, {**each, "data": data})
                assert number < len(order) - 1 or (await shown(case))[0] == text, (life, order)


@pytest.mark.parametrize("count", [2, 20])
async def test_webhook_W03_of_updates_of_one_second_the_later_arrival_is_shown(api: Api, count: int) -> None:
    """A draft and its correction: a hash decided, and the draft was shown for every other one."""
    case = await quiet_case(api)
    drafts = [event("updated", caseId=case.id, content=f"Borrador {number}.") for number in range(count)]
    await accepted(api, *drafts)
    assert (await shown(case))[0] == f"Borrador {count - 1}."
    await accepted(api, *drafts, event(caseId=case.id, content="Primero."))
    assert (await shown(case))[0] == f"Borrador {count - 1}."
    await accepted(api, event("deleted", caseId=case.id), *drafts)
    assert await shown(case) == (None, None)


async def test_webhook_W03_an_event_that_comes_before_its_case_waits_for_it(
    start_proxy: StartProxy, tmp_path: Path
) -> None:
    """Two sandboxes with the same randomness make the same case: the first tells its id."""
    case_id = ""
    for run, events in [("first", []), ("second", [event("updated", content="Antes de tiempo.")])]:
        config = SandboxConfig(random_bytes=Random(7).randbytes)
        database = f"sqlite:///{tmp_path}/{run}.db"
        async with start_proxy(config=config, MICHIQ_DATABASE_URL=database) as api:
            for early in events:
                await accepted(api, {**early, "data": {**early["data"], "caseId": case_id}})
            case = await quiet_case(api)
            assert case_id in ("", case.id)
            case_id = case.id
            assert (await shown(case))[0] == ("Antes de tiempo." if events else None)


async def test_webhook_W03_a_report_of_a_linked_case_is_one_of_the_main_case(api: Api) -> None:
    case = await quiet_case(api)
    await case.uploaded(wav(0.1))
    await case.transcribed()
    await settled(api)
    linked = (await case.page()).json["linkedCases"][0]["caseId"]
    await accepted(api, event(caseId=linked, content="Del audio."))
    assert (await shown(case))[0] == "Del audio."


async def test_webhook_W03_an_unknown_event_is_acknowledged_and_ignored(api: Api) -> None:
    case = await quiet_case(api)
    for kind in ["report.archived", "case.created", "", "REPORT.CREATED"]:
        await accepted(api, {**event(caseId=case.id), "event": kind}, {"event": kind, "other": [1]})
        assert await shown(case) == (None, None), kind


def without(path: str) -> dict[str, Any]:
    changed = event()
    *above, last = path.split(".")
    node = changed
    for step in above:
        node = node[step]
    del node[last]
    return changed


BAD_BODIES: Final[dict[str, bytes | dict[str, Any]]] = {
    "empty": b"",
    "no JSON": b"report.created",
    "cut": jsons.dump(event())[:-1],
    "not UTF-8": jsons.dump(event(content="x")).replace(b"x", b"\xff"),
    "NaN": jsons.dump(event(structuredData=1.5)).replace(b"1.5", b"NaN"),
    "a key twice": jsons.dump(event()).replace(b'{"event"', b'{"event":"x","event"'),
    "too deep": jsons.dump(event(structuredData=1.5)).replace(b"1.5", b"[" * 500 + b"]" * 500),
    "a list": jsons.dump([event()]),
    "null": b"null",
    "no event": without("event"),
    "an event that is no text": event() | {"event": 1},
    "no organization": without("organizationId"),
    "an id with a NUL": event(id="report\0"),
    "a case with a line end": event(caseId="case-1\n"),
    "an agent with a control character": event(agent={"id": "a\x7f"}),
    "no time": without("timestamp"),
    "a number for a time": event(timestamp=1711015200),
    "digits for a time": event(timestamp="1711015200"),
    "a local time": event(timestamp="2026-03-21T10:00:00"),
    "a day for a time": event(timestamp="2026-03-21"),
    "no such day": event(timestamp="2026-02-30T10:00:00Z"),
    "before the calendar": event(timestamp="0001-01-01T00:00:00+14:00"),
    "after the calendar": event(timestamp="9999-12-31T23:59:59-14:00"),
    "no data": without("data"),
    "data that is no object": event() | {"data": []},
    "no report": without("data.id"),
    "an empty report": event(id=""),
    "a report that is no text": event(id=7),
    "a very long report id": event(id="r" * 201),
    "no case": without("data.caseId"),
    "an empty case": event(caseId=""),
    "no content": without("data.content"),
    "no content in an update": event("updated", content=None),
    "content that is no text": event(content={"a": 1}),
    "an agent that is no object": event(agent="agent-1"),
    "an agent without id": event(agent={"name": "x"}),
}


async def test_webhook_W03_a_body_of_another_shape_is_400(api: Api) -> None:
    for what, body in BAD_BODIES.items():
        reply = await deliver(api, body)
        assert (reply.status, reply.kind) == (400, "application/json"), what
        assert list(reply.json) == ["error"], what


GOOD_BODIES: Final = {
    "no agent": without("data.agent"),
    "no structured data": without("data.structuredData"),
    "structured data of any kind": event(structuredData=[1, None, "a"]),
    "further keys": event(later=True) | {"data": {**event()["data"], "later": {"a": 1}}},
    "a deletion without content": event("deleted", id="gone") | {"data": {"id": "gone", "caseId": "case-1"}},
    "a time with a fraction": event(timestamp="2026-03-21T10:00:00.123456789Z"),
    "content of 900 KB": event(content="ñ" * 450_000),
}


async def test_webhook_W03_what_the_document_leaves_open_is_taken(api: Api) -> None:
    for what, body in GOOD_BODIES.items():
        assert (await deliver(api, body)).status == 200, what


async def test_webhook_W03_X03_half_an_emoji_in_a_report_reads_as_one_odd_sign(api: Api) -> None:
    case = await quiet_case(api)
    body = jsons.dump(event(caseId=case.id, content="Bien |", structuredData={"|": ["|"]}))
    assert (await deliver(api, body.replace(b"|", rb"\ud83d"))).status == 200
    assert await shown(case) == ("Bien \ufffd", {"\ufffd": ["\ufffd"]})


async def test_webhook_W03_a_body_over_1_MiB_is_413(api: Api) -> None:
    reply = await deliver(api, event(content="x" * 1024 * 1024))
    assert (reply.status, list(reply.json)) == (413, ["error"])


async def test_webhook_W03_an_encoded_body_is_400(api: Api) -> None:
    body = jsons.dump(event())
    headers = {HEADER: signature(SECRET, body), "Content-Encoding": "gzip"}
    assert (await post(api, body, headers)).status == 400


async def test_webhook_W01_G10_neither_signature_nor_report_is_logged(api: Api) -> None:
    with captured_log() as log:
        case = await quiet_case(api)
        good = event(caseId=case.id, content="CANARY", structuredData={"CANARY": 1})
        await deliver(api, good)
        await deliver(api, {**good, "timestamp": "CANARY"})
        await post(api, b"CANARY", {HEADER: "CANARY"})
    assert log.getvalue().count(PATH) == 3
    assert "CANARY" not in log.getvalue()
    assert signature(SECRET, jsons.dump(good)) not in log.getvalue()


async def test_webhook_G08_an_unknown_expectation_is_ignored(api: Api) -> None:
    body = jsons.dump(event("archived"))
    reply = await post(api, body, {HEADER: signature(SECRET, body), "Expect": "the-impossible"})
    assert (reply.status, reply.json) == (200, {"received": True})


SEED: Final = 7


def storm_on(api: Api, seed: int, how_many: int) -> Storm:
    random = Random(seed)
    return Storm(api.url, api.http, api.proxy.deps.store, random, list(lives(how_many, random)))


async def test_webhook_W03_a_storm_out_of_order_leaves_what_the_newest_events_say(
    start_proxy: StartProxy,
) -> None:
    async with start_proxy(MICHIQ_WEBHOOK_SECRETS=SECRETS) as api:
        storm = storm_on(api, SEED, 60)
        await storm.out_of_order()
        assert set(storm.sent("event")) == {200}
        assert await storm.wrong_rows() == []
        before = await storm.rows()
        await storm.replays(400)
        assert storm.sent("replay") == {200: 400}
        assert await storm.rows() == before, "a replay was processed"


async def test_webhook_W01_nothing_forged_is_accepted_and_nothing_odd_is_a_fault(
    start_proxy: StartProxy,
) -> None:
    async with start_proxy(MICHIQ_WEBHOOK_SECRETS=SECRETS) as api:
        storm = storm_on(api, SEED, 5)
        await storm.out_of_order()
        await storm.mutants(600)
        await storm.missigned(200)
        assert set(storm.sent("forged")) <= {401, 413}
        assert set(storm.sent("odd")) == {200, 400, 413}
        assert storm.sent("missigned") == {401: 200}
        assert storm.broken == 0
        assert await storm.wrong_rows() == []


async def test_webhook_W01_every_odd_value_in_every_place_has_a_verdict(api: Api) -> None:
    plain = jsons.dump(event())
    for path in PATHS:
        for value in VALUES:
            reply = await deliver(api, replaced(plain, path, value))
            assert reply.status in (200, 400), (path, value[:40], reply.status)
    for time in TIMES:
        reply = await deliver(api, event(timestamp=time))
        assert reply.status in (200, 400), time
        assert (await deliver(api, event("deleted", id="edge", timestamp=time))).status == reply.status


async def test_webhook_W01_a_secret_that_was_taken_away_signs_nothing_more(start_proxy: StartProxy) -> None:
    async with start_proxy(MICHIQ_WEBHOOK_SECRETS=SECRETS) as api:
        assert [(await deliver(api, event(), secret)).status for secret in (OLD, NEW)] == [200, 200]
    async with start_proxy(MICHIQ_WEBHOOK_SECRETS=NEW) as api:
        assert [(await deliver(api, event(), secret)).status for secret in (OLD, NEW)] == [401, 200]
