"""The runner of the real clients: that its eyes are good, and that docs/clients.md tells of all of them."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final

import pytest

from proxy.sandbox.accounts import Organization, User
from proxy.sandbox.cases import Case, StoredFile
from proxy.sandbox.service import Call
from proxy.values import Json
from tests.clients import document
from tests.clients.habits import habits
from tests.clients.relay import relaying
from tests.clients.roster import ROSTER
from tests.clients.session import (
    CONVERSATION,
    EHR,
    FILES,
    ORGANIZATION,
    RECORDING,
    Materials,
    make_materials,
    wrongs,
)
from tests.clients.wire import Session, read_session, requests
from tests.conftest import API_KEY, IDENTITY, Api, case_form

PDF: Final = "informe año.pdf"


def new_case(
    *, head: str = "", boundary: str = "----x-12345", organization: bytes = b"Cl\xc3\xadnica Norte"
) -> bytes:
    """A newCase as it may stand on the wire, its PDF's name told by `head`."""
    disposition = head or f'Content-Disposition: form-data; name="files"; filename="{PDF}"'
    mark = boundary.strip('"')
    body = (
        f'--{mark}\r\nContent-Disposition: form-data; name="conversation"\r\n\r\nuno\ndos\r\n'
        f"--{mark}\r\n{disposition}\r\n\r\n%PDF\r\n--{mark}--\r\n"
    ).encode()
    lines = (
        f"Api_key: {API_KEY}\r\nContent-Type: multipart/form-data; boundary={boundary}\r\n"
        f"Content-Length: {len(body)}\r\norganization: "
    ).encode()
    return b"POST /michiQ/newCase HTTP/1.1\r\n" + lines + organization + b"\r\n\r\n" + body


def session(stream: bytes) -> Session:
    return read_session([stream])


def test_requests_on_one_connection_are_told_apart_whatever_their_framing() -> None:
    chunked = b"POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n2\r\n\r\n\r\n0\r\n\r\n"
    plain = b"POST /b HTTP/1.1\r\nContent-Length: 3\r\n\r\ndef"
    got = list(requests(chunked + plain + b"GET /c HTTP/1.1\r\nHost: x\r\n\r\n"))
    assert [(each.target, each.body) for each in got] == [(b"/a", b"abc\r\n"), (b"/b", b"def"), (b"/c", b"")]


@pytest.mark.parametrize("stream", [b"GET / HTTP/1.1\r\nHost: x\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"])
def test_what_is_not_http_1_1_is_not_passed_over(stream: bytes) -> None:
    with pytest.raises(ValueError, match="not a whole"):
        list(requests(stream))


@pytest.mark.parametrize(
    ("sent", "habit", "shown"),
    [
        (new_case(), "api_key", "`Api_key`"),
        (new_case(), "organization", "UTF-8"),
        (new_case(organization=b"Cl\xednica Norte"), "organization", "Latin-1"),
        (new_case(organization=b"Cl?nica Norte"), "organization", "lost: `?`"),
        (new_case(), "boundary", "11 characters, `----x-…`"),
        (new_case(boundary='"abc-12"'), "boundary", "quoted, 6 characters"),
        (new_case(boundary="abcdef-12"), "boundary", "9 characters"),
        (new_case(), "filename", f'`filename="{PDF}"`'),
        (
            new_case(
                head="Content-Disposition: form-data; name=files; filename*=UTF-8''informe%20a%C3%B1o.pdf"
            ),
            "filename",
            "`filename*=UTF-8''informe%20a%C3%B1o.pdf`",
        ),
        (new_case(), "pdf_type", "none"),
        (new_case(), "line_end", "as given"),
        (new_case(), "further", "a connection for each request"),
    ],
)
def test_a_habit_is_shown_as_it_is_on_the_wire(sent: bytes, habit: str, shown: str) -> None:
    assert getattr(habits(session(sent)), habit) == shown


async def test_the_relay_hands_on_every_byte_and_keeps_it(api: Api) -> None:
    host, port = api.url.removeprefix("http://").split(":")
    async with relaying(host, int(port)) as relay:
        async with api.http.post(
            f"{relay.url}/michiQ/newCase", data=case_form(), headers=IDENTITY
        ) as response:
            assert response.status == 200
        seen = session(b"".join(relay.take()))
    assert seen.conversation() == b"Hola."
    assert seen.case.header("organization") == "Clínica Norte".encode()


@pytest.fixture(scope="module")
def materials() -> Materials:
    return make_materials()


@pytest.fixture
def case(materials: Materials) -> Case:
    """A case at the platform to which everything came as it was sent."""
    contents = {**{name: materials.files[name] for name in FILES}, "conversation.txt": CONVERSATION.encode()}
    return Case(
        id="c-1",
        user=User("u-1", "ana@clinica.example", Organization("o-1", ORGANIZATION)),
        organization_header=ORGANIZATION.encode(),
        patient_id="p-1",
        patient_metadata={"id": "prueba-0001", "name": EHR["name"], "other-clinical-data": EHR},
        files=tuple(_stored(name, content) for name, content in contents.items()),
        title="",
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


def _stored(name: str, content: bytes) -> StoredFile:
    return StoredFile(name, name, "", len(content), sha256(content).hexdigest())


def _heard(name: str, digest: str) -> Call:
    return Call("POST", "/api/transcription", "", (), {"parts": [{"filename": name, "sha256": digest}]})


def _wrongs(case: Case | None, materials: Materials, *calls: Call) -> list[str]:
    heard = calls or (_heard(RECORDING, materials.digest(RECORDING)),)
    return list(wrongs(case, heard, materials, CONVERSATION.encode()))


def test_a_session_that_arrived_as_it_was_sent_has_nothing_wrong(case: Case, materials: Materials) -> None:
    assert _wrongs(case, materials) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda case: None, "no case of the platform"),
        (lambda case: replace(case, organization_header=b"Cl\xednica Norte"), "X-ORGANIZATION arrived as"),
        (lambda case: replace(case, organization_header=None), "X-ORGANIZATION arrived as None"),
        (lambda case: _with_metadata(case, "name", "Nunez"), "the patient's name"),
        (lambda case: _with_metadata(case, "other-clinical-data", {}), "the ehr did not arrive whole"),
        (lambda case: replace(case, files=case.files[:1] + case.files[2:]), "the files arrived as"),
        (lambda case: replace(case, files=case.files[::-1]), "the files arrived as"),
        (lambda case: _with_file(case, replace(case.files[0], sha256="0" * 64)), "the files arrived as"),
        (
            lambda case: _with_file(case, replace(case.files[0], name="informe ano.pdf")),
            "the files arrived as",
        ),
    ],
)
def test_what_was_lost_or_altered_on_the_way_is_told(
    case: Case, materials: Materials, change: Callable[[Case], Case | None], said: str
) -> None:
    told = _wrongs(change(case), materials)
    assert [said in each for each in told] == [True]


def test_a_recording_that_was_altered_or_sent_twice_is_told(case: Case, materials: Materials) -> None:
    whole = _heard(RECORDING, materials.digest(RECORDING))
    assert _wrongs(case, materials, _heard(RECORDING, "0" * 64))
    assert _wrongs(case, materials, whole, whole)


def _with_metadata(case: Case, key: str, value: Json) -> Case:
    return replace(case, patient_metadata={**case.patient_metadata, key: value})


def _with_file(case: Case, file: StoredFile) -> Case:
    return replace(case, files=(file, *case.files[1:]))


@pytest.mark.parametrize("name", ["steps", "wire"])
def test_the_page_has_a_row_for_every_client(name: str) -> None:
    rows = document.block(document.DOCUMENT.read_text("utf-8"), name).splitlines()[2:]
    assert [row.split(" | ")[0].removeprefix("| ") for row in rows] == [client.title for client in ROSTER]


def test_a_row_that_the_page_lacks_is_told() -> None:
    page = "<!-- steps: x -->\n| a | yes |\n| b | yes |\n<!-- /steps -->\n"
    assert document.differences(page, "steps", "| a | yes |\n") == []
    assert document.differences(page, "steps", "| b | **no** |\n") == [
        "docs/clients.md, steps: not there: | b | **no** |"
    ]
