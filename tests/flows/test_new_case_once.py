"""newCase when something breaks on the way: one case at the most, and a record of what happened."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from proxy.sandbox import Fault, SandboxConfig
from proxy.sandbox.faults import Kind
from proxy.store.rollout.resolutions import Resolution
from proxy.values import Origin
from tests.conftest import IDENTITY, Api, StartProxy, bearer
from tests.flows._wire import committed, connect, form, new_case, part, refusal, talk, until
from tests.samples import docx, pdf

FORM: Final = form(part("ehr", '{"id": "p-1", "name": "Ana"}'), part("conversation", "Hola."))
KEY: Final = "Idempotency-Key: visita 1/ñ"
FAILED: Final = refusal(500, "Error al guardar el documento")
CONFLICT: Final = refusal(409, "Idempotency-Key ya utilizada con otra solicitud")

# After these nobody but the platform knows whether there is a case.
UNCLEAR: Final[tuple[tuple[Kind, int | None, str], ...]] = (
    ("cut_before_body", None, "llamalitica-cut"),
    ("cut_after_body", None, "llamalitica-cut"),
    ("truncated", None, "llamalitica-cut"),
    ("broken_json", None, "llamalitica-garbage"),
    ("wrong_content_type", None, "llamalitica-garbage"),
    ("html", None, "llamalitica-garbage"),
    ("oversized", None, "llamalitica-oversized"),
    ("redirect", None, "llamalitica-redirect"),
    ("status", 500, "llamalitica-500"),
    ("status", 503, "llamalitica-503"),
)
# With these the platform says that there is none.
CLEAR: Final = {
    **dict.fromkeys((400, 404, 409, 422, 429), FAILED),
    401: refusal(401, "Unauthorized"),
    402: refusal(500, "Créditos insuficientes"),
}


async def test_case_N17_of_an_unclear_end_is_never_sent_again(api: Api) -> None:
    for number, (kind, status, cause) in enumerate(UNCLEAR, 1):
        api.sandbox.llamalitica.faults.add(fault(kind, status))
        asked = new_case(FORM, f"Idempotency-Key: {number}")
        reply = await talk(api.url, asked)
        assert (reply.sentence, reply.header("X-Michiq-Cause")) == (FAILED, cause), kind
        again = await talk(api.url, asked)
        assert (again.sentence, again.header("X-Michiq-Cause")) == (FAILED, "outcome-unknown"), kind
        assert posts(api) == number, kind
    shown = [(entry.state, entry.cause) for entry in await pending(api)]
    assert shown == [("ambiguous", cause) for _, _, cause in UNCLEAR]


async def test_case_N17_that_an_operator_has_closed_is_never_sent_again_either(api: Api) -> None:
    api.sandbox.llamalitica.faults.add(fault("cut_after_body", None))
    asked = new_case(FORM, KEY, "X-Request-ID: request-1")
    await talk(api.url, asked)
    store = api.proxy.deps.store
    [call] = await store.pending()
    assert call.origin == Origin("request-1", store.sealer.organization(IDENTITY["organization"]))
    note = Resolution(None, "ana", "it is not there", "cli")
    await store.resolutions.resolve(call.id, note, api.proxy.deps.effects.clock())
    again = await talk(api.url, asked)
    assert (again.sentence, again.header("X-Michiq-Cause")) == (FAILED, "outcome-unknown")
    assert (posts(api), await store.pending()) == (1, [])


async def test_case_N17_that_was_refused_may_be_sent_again_under_its_key(api: Api) -> None:
    for status, sentence in CLEAR.items():
        api.sandbox.llamalitica.faults.add(fault("status", status))
        reply = await talk(api.url, new_case(FORM, f"Idempotency-Key: {status}"))
        assert (reply.sentence, reply.header("X-Michiq-Cause")) == (sentence, f"llamalitica-{status}")
        assert await pending(api) == []
        assert (await talk(api.url, new_case(FORM, f"Idempotency-Key: {status}"))).status == 200, status
    assert posts(api) == 2 * len(CLEAR)
    assert len(api.sandbox.llamalitica.cases) == len(CLEAR)


async def test_case_N17_of_which_no_byte_arrived_may_be_sent_again_under_its_key(
    start_proxy: StartProxy, tmp_path: Path
) -> None:
    async with closing_platform() as platform:
        urls = {f"MICHIQ_LLAMALITICA_{side}_URL": platform for side in ("API", "WEB")}
        async with start_proxy(**urls) as api:
            reply = await talk(api.url, new_case(FORM, KEY))
            assert (reply.sentence, reply.header("X-Michiq-Cause")) == (FAILED, "llamalitica-unreachable")
            assert journal(tmp_path) == [("failed", "llamalitica-unreachable", None)]
    async with start_proxy() as api:
        assert (await talk(api.url, new_case(FORM, KEY))).status == 200
        assert posts(api) == 1


async def test_case_N17_is_not_begun_for_a_user_whom_the_platform_does_not_confirm(
    api: Api, tmp_path: Path
) -> None:
    api.sandbox.llamalitica.faults.add(Fault(kind="status", method="GET"))
    assert (await talk(api.url, new_case(FORM, KEY))).sentence == FAILED
    assert (posts(api), journal(tmp_path)) == (0, [])
    assert (await talk(api.url, new_case(FORM, KEY))).status == 200


async def test_case_N17_each_answer_stands_for_one_case(api: Api) -> None:
    answers = await asyncio.gather(*(talk(api.url, new_case(FORM)) for _ in range(8)))
    ids = {reply.json["michiq_uuid"] for reply in answers}
    assert ids == set(api.sandbox.llamalitica.cases)
    assert len(ids) == posts(api) == 8


async def test_key_N17_gets_the_first_answer_again(api: Api) -> None:
    first = await talk(api.url, new_case(FORM, KEY))
    # The same form, with its parts in another order and another boundary.
    parts = [part("conversation", "Hola."), part("ehr", '{"id": "p-1", "name": "Ana"}')]
    other = "Content-Type: multipart/form-data; boundary=otra"
    for body, kind in ((FORM, {}), (form(*parts).replace(b"frontera", b"otra"), {"content_type": other})):
        again = await talk(api.url, new_case(body, KEY, **kind))
        assert (again.status, again.body, again.header("Content-Type")) == (
            200,
            first.body,
            "application/json",
        )
    assert posts(api) == 1


async def test_key_N17_with_another_request_is_a_conflict(api: Api) -> None:
    assert (await talk(api.url, new_case(FORM, KEY))).status == 200
    file = part("files", "1", filename="1.txt")
    ehr, conversation = part("ehr", '{"id": "p-1", "name": "Ana"}'), part("conversation", "Hola.")
    others = {
        "another ehr": form(part("ehr", '{"id": "p-1", "name": "Eva"}'), conversation),
        "another conversation": form(ehr, part("conversation", "Adiós.")),
        "no conversation": form(ehr),
        "a file more": form(ehr, conversation, file),
    }
    for name, body in others.items():
        assert (await talk(api.url, new_case(body, KEY))).sentence == CONFLICT, name
    assert (await talk(api.url, new_case(FORM, KEY, "template: 1"))).sentence == CONFLICT
    assert posts(api) == 1


async def test_key_N17_with_another_request_is_a_conflict_also_where_the_first_one_has_no_clear_end(
    api: Api,
) -> None:
    """A client that reads "unknown" would look for a case that was never asked for."""
    api.sandbox.llamalitica.faults.add(fault("cut_after_body", None))
    assert (await talk(api.url, new_case(FORM, "Idempotency-Key: a"))).sentence == FAILED
    other = form(part("ehr", '{"id": "p-2", "name": "Eva"}'), part("conversation", "Hola."))
    assert (await talk(api.url, new_case(other, "Idempotency-Key: a"))).sentence == CONFLICT
    assert posts(api) == 1


async def test_key_N17_belongs_to_its_user(api: Api) -> None:
    other = new_case(FORM, KEY).replace(b"ana@clinica.example", b"bea@clinica.example")
    first, second = await talk(api.url, new_case(FORM, KEY)), await talk(api.url, other)
    assert first.json["michiq_uuid"] != second.json["michiq_uuid"]


async def test_key_N17_gives_nothing_to_one_whom_the_platform_does_not_know(api: Api) -> None:
    assert (await talk(api.url, new_case(FORM, KEY))).status == 200
    stranger = new_case(FORM, KEY).replace(b"sandbox-api-key", b"another-api-key")
    assert (await talk(api.url, stranger)).sentence == refusal(401, "Unauthorized")


async def test_key_N17_of_several_requests_at_once_makes_one_case(api: Api) -> None:
    replies = await asyncio.gather(*(talk(api.url, new_case(FORM, KEY)) for _ in range(5)))
    assert {reply.status for reply in replies} == {200}
    assert len({reply.body for reply in replies}) == 1
    assert posts(api) == 1


async def test_key_N17_is_remembered_for_a_day(api: Api) -> None:
    first = await talk(api.url, new_case(FORM, KEY))
    await sweep(api, timedelta(hours=23))
    assert (await talk(api.url, new_case(FORM, KEY))).body == first.body
    await sweep(api, timedelta(hours=25))
    assert (await talk(api.url, new_case(FORM, KEY))).json["michiq_uuid"] != first.json["michiq_uuid"]


async def test_key_N17_outlives_the_process(start_proxy: StartProxy) -> None:
    async with start_proxy() as api:
        first = await talk(api.url, new_case(FORM, KEY))
    async with start_proxy() as api:
        assert (await talk(api.url, new_case(FORM, KEY))).body == first.body
        assert posts(api) == 0


async def test_case_N17_that_the_process_did_not_survive_is_shown_and_never_sent_again(
    start_proxy: StartProxy, tmp_path: Path
) -> None:
    async with start_proxy(MICHIQ_DRAIN_SECONDS="0") as api:
        api.sandbox.llamalitica.faults.add(Fault(kind="delay", method="POST", delay=60))
        asked = asyncio.create_task(talk(api.url, new_case(FORM, KEY)))
        await until(lambda: posts(api) == 1)
    with pytest.raises(OSError):  # noqa: PT011  the connection ends without an answer
        await asked
    async with start_proxy() as api:
        assert [(entry.state, entry.cause) for entry in await pending(api)] == [("ambiguous", "interrupted")]
        assert (await talk(api.url, new_case(FORM, KEY))).sentence == FAILED
        assert posts(api) == 0


async def test_case_N17_is_in_the_journal_before_it_is_sent(start_proxy: StartProxy, tmp_path: Path) -> None:
    seen: list[list[tuple[Any, ...]]] = []

    async with start_proxy(config=telling(lambda: seen.append(journal(tmp_path)))) as api:
        seen.clear()
        assert (await talk(api.url, new_case(FORM))).status == 200
    # What was committed whenever the platform made an id: of the user first, then of the case.
    assert seen[0] == []
    assert [("intent", None, None)] in seen
    (final,) = journal(tmp_path)
    assert final[:2] == ("recorded", None)


async def test_case_N17_of_a_client_that_left_is_recorded(start_proxy: StartProxy, tmp_path: Path) -> None:
    leave: list[Callable[[], None]] = []

    async with start_proxy(config=telling(lambda: [each() for each in leave])) as api:
        session = (await talk(api.url, new_case(FORM))).json
        with closing(connect(api.url)) as connection:
            leave.append(connection.close)  # as soon as the platform has begun to answer
            connection.sendall(new_case(FORM, KEY))
            await until(lambda: len(journal(tmp_path)) == 2 and journal(tmp_path)[1][0] == "recorded")
        leave.clear()
        assert len(await encounters(api, session)) == 2
        assert (await talk(api.url, new_case(FORM, KEY))).status == 200
        assert posts(api) == 2


async def test_case_N17_that_takes_longer_than_the_client_waits_is_recorded(
    start_proxy: StartProxy, tmp_path: Path
) -> None:
    def hurried(text: str) -> str:
        return text.replace('timeout = "60 s"', 'timeout = "300 ms"')

    async with start_proxy(edit={"new_case": hurried}) as api:
        api.sandbox.llamalitica.faults.add(Fault(kind="delay", method="POST", delay=1))
        assert (await talk(api.url, new_case(FORM, KEY))).sentence == FAILED
        await until(lambda: [row[0] for row in journal(tmp_path)] == ["recorded"])
        again = await talk(api.url, new_case(FORM, KEY))
        assert again.json["michiq_uuid"] in api.sandbox.llamalitica.cases
        assert posts(api) == 1


async def test_record_N18_is_on_disk_when_the_client_has_its_answer(api: Api, tmp_path: Path) -> None:
    answer = (await talk(api.url, new_case(FORM))).json
    assert journal(tmp_path) == [("recorded", None, answer["michiq_uuid"])]
    assert committed(tmp_path, "SELECT id FROM cases") == [(answer["michiq_uuid"],)]


async def test_record_N18_the_legacy_id_is_the_platforms_own(api: Api) -> None:
    answer = (await talk(api.url, new_case(FORM))).json
    assert list(api.sandbox.llamalitica.cases) == [answer["michiq_uuid"]]


async def test_record_N18_holds_everything_of_the_case_after_a_restart(start_proxy: StartProxy) -> None:
    body = form(
        part("ehr", '{"id": "p-1", "name": "Ana", "dosis": 1.5}'),
        part("conversation", "Hola."),
        part("files", pdf(["Alergia a la penicilina"]), filename="alergias.pdf"),
        part("files", docx(["Carta"]), "Content-Type: application/x-carta", filename="carta.docx"),
    )
    async with start_proxy() as api:
        session = (await talk(api.url, new_case(body, "template: 1"))).json
        made = api.sandbox.llamalitica.cases[session["michiq_uuid"]]
    async with start_proxy() as api:
        document, metadata = (await doc(api, session)).values()
        (encounter,) = await encounters(api, session)
    assert document["michiq_uuid"] == encounter["MichiqUUID"] == made.id
    assert (document["username"], document["organization_id"]) == ("ana@clinica.example", "Clínica Norte")
    assert (metadata["title"], metadata["fileExtension"]) == ("Caso de Ana", ".pdf")
    assert [(file["name"], file["type"]) for file in metadata["files"]] == [
        ("alergias.pdf", "application/pdf"),
        ("carta.docx", "application/x-carta"),
    ]
    kept = encounter["Input"]
    assert (kept["conversation"], kept["ehr"]) == ("Hola.", {"id": "p-1", "name": "Ana", "dosis": 1.5})
    assert [file["text"].strip() for file in kept["documents"]] == ["Alergia a la penicilina", "Carta"]
    assert document["timestamp"].startswith(made.created_at.strftime("%Y-%m-%dT%H:%M:%S"))


def fault(kind: Kind, status: int | None) -> Fault:
    return Fault(kind=kind, status=status, method="POST", path_prefix="/api/cases")


def posts(api: Api) -> int:
    return sum(call.path == "/api/cases" for call in api.sandbox.llamalitica.calls)


async def pending(api: Api) -> list[Any]:
    return list(await api.proxy.deps.store.journal.pending())


def journal(folder: Path) -> list[tuple[Any, ...]]:
    return committed(folder, "SELECT state, cause, case_id FROM journal ORDER BY created_at")


def telling(about: Callable[[], object]) -> SandboxConfig:
    """A sandbox that says whenever it makes an id."""
    make = SandboxConfig().random_bytes

    def made(count: int) -> bytes:
        about()
        return make(count)

    return SandboxConfig(random_bytes=made)


async def sweep(api: Api, ahead: timedelta) -> None:
    """Does what the proxy does once an hour, at a later hour."""
    await api.proxy.deps.store.retention.sweep(api.clock() + ahead, content_days=90, audio_days=30)


async def doc(api: Api, session: dict[str, str]) -> dict[str, dict[str, Any]]:
    url = f"{api.url}/michiQ/doc/{session['michiq_uuid']}"
    async with api.http.get(url, headers=bearer(session["token"])) as response:
        answer: dict[str, dict[str, Any]] = await response.json()
        return answer


async def encounters(api: Api, session: dict[str, str]) -> list[dict[str, Any]]:
    async with api.http.get(f"{api.url}/michiQ/encounters", headers=bearer(session["token"])) as response:
        answer: list[dict[str, Any]] = await response.json()
        return answer


@asynccontextmanager
async def closing_platform() -> AsyncIterator[str]:
    """A platform that confirms one user, and is gone before their case comes."""

    spare: set[asyncio.StreamWriter] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        spare.add(writer)
        try:
            await reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        server.close()
        spare.remove(writer)
        for other in spare:
            other.transport.abort()
        user = b'{"user": {"accessToken": "t", "id": "u", "organization": {"id": "o", "name": "n"}}}'
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n"
        writer.write(head + b"Content-Length: %d\r\n\r\n" % len(user) + user)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
