"""Faults that hostile input has shown, each with the input that did."""

import asyncio
import gc
import weakref
from contextlib import closing

from proxy.flows.shared.offload import load_json
from proxy.isolated.pool import IsolatedPool
from proxy.jsons import BadJson
from tests.conftest import Api, StartProxy
from tests.flows._wire import (
    IDENTITY_LINES,
    MULTIPART,
    NEW_CASE,
    connect,
    form,
    new_case,
    part,
    read_reply,
    refusal,
    request,
    talk,
)

BAD_EHR = refusal(500, "Error al leer la historia clínica")
MALFORMED = refusal(400, "Solicitud incorrecta")


async def test_ehr_N08_behind_two_byte_order_marks_is_no_json(api: Api) -> None:
    """The proxy once skipped both marks and sent the ehr on with one, for the platform to refuse."""
    marked = part("ehr", b'\xef\xbb\xbf\xef\xbb\xbf{"id": "p-1"}')
    reply = await talk(api.url, new_case(form(marked)))
    assert reply.sentence == BAD_EHR
    assert not api.sandbox.llamalitica.calls


async def test_ehr_N08_of_more_values_than_any_record_has_is_refused(api: Api) -> None:
    """9 MB of brackets took a quarter of a gigabyte, and everybody's time."""
    many = part("ehr", b'{"a": [' + b"[]," * 3_000_000 + b"[]]}")
    reply = await talk(api.url, new_case(form(many)))
    assert (reply.sentence, reply.header("X-Michiq-Cause")) == (BAD_EHR, "ehr-too-many-values")


async def test_form_N16_whose_later_chunk_is_broken_is_refused_at_once(api: Api) -> None:
    """The form's reader once waited for the rest until its timeout."""
    head = request(NEW_CASE, [*IDENTITY_LINES, MULTIPART, "Transfer-Encoding: chunked"])
    with closing(connect(api.url)) as connection:
        connection.sendall(head + b"5\r\nhello\r\n")
        await api.new_case()  # it has been read by now
        connection.sendall(b"zz\r\n")
        reply = await asyncio.to_thread(read_reply, connection, "POST")
    assert (reply.sentence, reply.header("X-Michiq-Cause")) == (MALFORMED, "body-cut")


async def test_expectation_G10_at_a_path_without_a_route_is_not_quoted(api: Api) -> None:
    reply = await talk(api.url, request("GET /nothing HTTP/1.1", ["Expect: canario-4711"]))
    assert (reply.status, reply.text) == (417, "Solicitud incorrecta")
    reply = await talk(api.url, request("GET /nothing HTTP/1.1", [b"Expect: canario-4711\xff"]))
    assert reply.sentence == MALFORMED


async def test_user_N06_that_only_the_legacy_server_takes_gets_its_answer(start_proxy: StartProxy) -> None:
    """The legacy server had made the case, and the client was answered that the request is malformed."""
    edit = {"new_case": lambda text: text.replace('mode = "new"', 'mode = "legacy"')}
    async with start_proxy(edit=edit, legacy=True) as api:
        lines = [line.replace("ana@", "ana\t@") for line in IDENTITY_LINES]
        body = form(part("ehr", '{"id": "p-1"}'))
        reply = await talk(api.url, request(NEW_CASE, [*lines, MULTIPART], body))
        assert reply.status == api.sandbox.michiq.calls[-1].status == 200


async def test_a_text_that_is_refused_is_let_go_at_once() -> None:
    """The pool keeps the error of a task, and that kept the frames it had gone through, and all in them."""
    refused: list[weakref.ref[BadJson]] = []

    async def read(data: bytes) -> None:
        try:
            await load_json(workers, data)
        except BadJson as error:
            refused.append(weakref.ref(error))

    async with IsolatedPool(
        (
            "proxy.flows.shared.offload",
            "proxy.flows.new_case.documents",
            "proxy.flows.query.planning",
        )
    ) as workers:
        await workers.warm()
        gc.disable()
        try:
            await read(b"[" + b"1," * 100_000)
            assert [each() for each in refused] == [None]
        finally:
            gc.enable()
