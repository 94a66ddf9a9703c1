"""The outgoing form: exact length, any bytes, any name, read back by an independent parser."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multipart import MultipartParser

from proxy.headers import media_type
from proxy.spool import Bytes
from proxy.upstream.call import OutgoingBody
from proxy.upstream.form import Part, form
from proxy.values import OutgoingFile
from tests.upstream.wire import Repeated, fixed


async def sent(body: OutgoingBody) -> bytes:
    return b"".join([chunk async for chunk in body.content.chunks()])


def boundary(body: OutgoingBody) -> str:
    kind, parameters = media_type(body.content_type)
    assert kind == "multipart/form-data"
    return parameters["boundary"]


async def test_form_is_written_as_rfc_7578_has_it() -> None:
    body = form([("a", Bytes(b"1")), ("files", OutgoingFile("í.txt", "text/plain", Bytes(b"2")))], fixed)
    mark = b"--michiq-" + b"5a" * 16
    assert await sent(body) == (
        mark + b'\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n'
        + mark + b'\r\nContent-Disposition: form-data; name="files"; filename="\xc3\xad.txt"\r\n'
        + b"Content-Type: text/plain\r\n\r\n2\r\n"
        + mark + b"--\r\n"
    )  # fmt: skip


def test_form_has_a_new_boundary_for_new_randomness() -> None:
    one, other = form([], lambda size: b"a" * size), form([], lambda size: b"b" * size)
    assert boundary(one) != boundary(other)


@given(st.lists(st.binary(max_size=200), max_size=8))
async def test_form_N10_every_file_is_read_back_unchanged_and_in_order(contents: list[bytes]) -> None:
    parts: list[Part] = [
        ("files", OutgoingFile(f"{number}.bin", "application/x-a", Bytes(content)))
        for number, content in enumerate(contents)
    ]
    body = form(parts, fixed)
    whole = await sent(body)
    read = list(MultipartParser(io.BytesIO(whole), boundary(body), content_length=len(whole), strict=True))
    assert [(part.name, part.filename, part.content_type, part.raw) for part in read] == [
        ("files", f"{number}.bin", "application/x-a", content) for number, content in enumerate(contents)
    ]


@pytest.mark.parametrize(
    "parts",
    [
        [],
        [("a", Bytes(b""))],
        [("ñ", Bytes("ñ".encode()))],
        [("files", OutgoingFile('"ñ"\r\n🩺.pdf', "application/pdf", Repeated(3)))],
        [("files", OutgoingFile("", "", Bytes(b""))), ("a", Bytes(b"1"))],
    ],
)
async def test_form_its_size_is_the_number_of_its_bytes(parts: list[Part]) -> None:
    body = form(parts, fixed)
    assert body.content.size == len(await sent(body))


async def test_form_can_be_sent_again_from_its_beginning() -> None:
    body = form([("files", OutgoingFile("a", "text/plain", Repeated(2)))], fixed)
    assert await sent(body) == await sent(body)


@pytest.mark.parametrize("content_type", ["text/plain\r\nX-Evil: 1", "text/plain\n", "a\x00b"])
async def test_form_a_content_type_never_ends_its_line(content_type: str) -> None:
    whole = await sent(form([("files", OutgoingFile("a", content_type, Bytes(b"1")))], fixed))
    assert b"\r\nContent-Type: application/octet-stream\r\n\r\n1\r\n" in whole


async def test_form_N10_a_content_type_with_parameters_is_kept() -> None:
    file = OutgoingFile("a", 'text/plain; charset="utf-8"', Bytes(b"1"))
    assert b'\r\nContent-Type: text/plain; charset="utf-8"\r\n\r\n' in await sent(
        form([("files", file)], fixed)
    )
