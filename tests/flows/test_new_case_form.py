"""Forms that newCase must refuse, forms that it must not lose anything of, and how much it takes."""

import asyncio
import quopri
from base64 import encodebytes
from collections.abc import Iterator
from contextlib import closing
from hashlib import sha256
from itertools import permutations
from select import select
from typing import Any, Final

import pytest
from structlog.testing import capture_logs
from structlog.typing import EventDict

from tests.conftest import Api, StartProxy
from tests.flows._wire import (
    IDENTITY_LINES,
    MULTIPART,
    NEW_CASE,
    Reply,
    chunked,
    connect,
    form,
    new_case,
    new_case_chunked,
    part,
    read_reply,
    refusal,
    request,
    talk,
    talk_each,
    until,
)

LIMIT: Final = 10_000_000
LEEWAY: Final = 256 * 1024
CANARY: Final = "canario-4711"

MALFORMED: Final = refusal(400, "Solicitud incorrecta")
TOO_LARGE: Final = refusal(413, "Solicitud demasiado grande")
ENCODED: Final = refusal(415, "Codificación no admitida")

EHR: Final = part("ehr", '{"id": "p-1"}')
FILE: Final = part("files", "1", filename="1.txt")
SOUND: Final = form(EHR, FILE)
# As the legacy document shows a form: its delimiters lack the dashes in front.
DOCUMENTED: Final = SOUND.replace(b"--frontera", b"frontera")

NOT_FORMS: Final = {
    "no type": "X-Type: none",
    "JSON": "Content-Type: application/json",
    "a text": "Content-Type: text/plain",
    "an urlencoded form": "Content-Type: application/x-www-form-urlencoded",
    "another multipart": "Content-Type: multipart/mixed; boundary=frontera",
    "no boundary": "Content-Type: multipart/form-data",
    "empty boundary": "Content-Type: multipart/form-data; boundary=",
    "empty quoted boundary": 'Content-Type: multipart/form-data; boundary=""',
    "two boundaries": "Content-Type: multipart/form-data; boundary=frontera; boundary=otra",
    "too long a boundary": f"Content-Type: multipart/form-data; boundary={'f' * 71}",
    "boundary beyond ASCII": 'Content-Type: multipart/form-data; boundary="fronterañ"',
    "no media type": "Content-Type: ;;; boundary=frontera",
}
BROKEN_FORMS: Final = {
    "nothing": b"",
    "no delimiter": b"x" * 5000,
    "another boundary": form(EHR).replace(b"frontera", b"otra"),
    "the document's own sample": DOCUMENTED,
    "bare line feeds": SOUND.replace(b"\r\n", b"\n"),
    "a byte before the first delimiter": b"x" + SOUND,
    "a preamble of dashes": b"--\r\n" + SOUND,
    "another delimiter before": b"Un formulario.\r\n--otra\r\n" + SOUND,
    "a first delimiter without its dashes": SOUND.removeprefix(b"--"),
    "a header before the first delimiter": b"content-type: text/plain\r\n\r\n" + SOUND,
    "a part behind a line feed before the first delimiter": b"--frontera\n" + EHR + b"\n" + SOUND,
    "a first delimiter behind a line feed": b"Un formulario.\n" + SOUND,
    "a first delimiter like the closing one": b"--frontera--\r\n" + SOUND,
    "a form behind the form": SOUND + SOUND,
    "a part behind the form": SOUND + b"\r\n" + SOUND.removeprefix(form(EHR).removesuffix(b"--\r\n")),
    "a delimiter right behind the closing one": SOUND.removesuffix(b"\r\n") + SOUND,
    "a delimiter behind the closing one": SOUND + b"Fin.\r\n--frontera\r\n",
    "a delimiter behind a line feed behind the closing one": SOUND + b"Fin.\n--frontera--",
    "only the closing delimiter": form(),
    "only a delimiter": b"--frontera\r\n",
    "a delimiter and the end": b"--frontera\r\n--frontera--\r\n",
    "blanks and letters after a delimiter": SOUND.replace(b"--frontera\r\n", b"--frontera  x\r\n", 1),
    "blanks before the dashes of the end": SOUND.replace(b"--frontera--", b"--frontera --"),
    "a delimiter in the header": SOUND.replace(b"\r\n\r\n1\r\n", b"\r\n", 1),
    "a letter after a delimiter behind a blank line": form(EHR, part("files", "--fronterax")),
    "a line feed in a header line": form(EHR, part("files", "1", filename="1\n.txt")),
    "a carriage return in a header line": form(EHR, part("files", "1", filename="1\r.txt")),
    "a line of blanks in a header": form(EHR, part("files", "1", " ", filename="1.txt")),
    "two dispositions": form(EHR, part("files", "1", 'Content-Disposition: form-data; name="ehr"')),
    "9 header lines": form(EHR, part("files", "1", *["X-A: 1"] * 8, filename="1.txt")),
    "a byte after a delimiter": SOUND.replace(b"--frontera\r\n", b"--fronterax\r\n", 1),
    "no closing delimiter": SOUND.removesuffix(b"--frontera--\r\n"),
    "half a closing delimiter": SOUND.removesuffix(b"--\r\n"),
    "cut in a part": SOUND[:-30],
    "cut in a header": SOUND[:40],
    "no empty line after a header": SOUND.replace(b"\r\n\r\n", b"\r\n", 1),
    "a header line without a colon": form(part("files", "1", "sin dos puntos", filename="1.txt")),
    "a length that is not so": form(part("files", "12345", "Content-Length: 3", filename="1.txt")),
    "no name": form(EHR, b"Content-Disposition: form-data\r\n\r\n1"),
    "an empty name": form(EHR, part("", "1")),
    "only a file name": form(EHR, b'Content-Disposition: form-data; filename="1.txt"\r\n\r\n1'),
    "no disposition": form(EHR, b"Content-Type: text/plain\r\n\r\n1"),
    "another disposition": form(EHR, b'Content-Disposition: inline; name="files"\r\n\r\n1'),
    "a name without its end": form(EHR, b'Content-Disposition: form-data; name="files\r\n\r\n1'),
    "a name twice": form(EHR, b"Content-Disposition: form-data; name=otro; name=files\r\n\r\n1"),
    "65 parts": form(*[FILE] * 65),
    "50000 parts": form(*[FILE] * 50_000),
    "65 parts of unknown names": form(*[part("otro", "1")] * 65),
    "a header line of 5 KiB": form(part("files", "1", filename="x" * 5000)),
    "header lines of 5 KiB": form(
        part("files", "1", f"X-A: {'a' * 2500}", f"X-B: {'b' * 2500}", filename="1")
    ),
    "an endless header line": b"--frontera\r\nContent-Disposition: " + b"x" * 1_000_000,
    "broken base64": form(EHR, part("files", "MQ=", "Content-Transfer-Encoding: base64", filename="1.txt")),
    "broken quoted-printable": form(part("ehr", "{=7", "Content-Transfer-Encoding: Quoted-Printable")),
    "an unknown encoding": form(EHR, part("files", "1", "Content-Transfer-Encoding: x-1", filename="1.txt")),
    "two encodings": form(EHR, part("files", "MQ==", *["Content-Transfer-Encoding: base64"] * 2)),
    "a broken part of an unknown name": form(EHR, part("otro", "1", "Content-Transfer-Encoding: base64")),
    "ehr twice": form(EHR, EHR),
    "conversation twice": form(part("conversation", "Hola."), part("conversation", "Hola.")),
}
# What no HTTP server may take; the words that it can't read hold a secret as well as anything.
BROKEN_REQUESTS: Final = {
    "1 MB header": new_case(SOUND, f"X-Big: {CANARY}{'x' * 1_000_000}"),
    "1 MB key": request(NEW_CASE, [f"API_KEY: {CANARY}{'x' * 1_000_000}", MULTIPART], SOUND),
    "1000 headers": new_case(SOUND, *[f"X-{i}: {CANARY}" for i in range(1000)]),
    "NUL in a header": new_case(SOUND, f"X-Odd: {CANARY}\0"),
    "bare carriage return in a header": new_case(SOUND, f"X-Odd: {CANARY}\rx"),
    "header without a colon": new_case(SOUND, f"{CANARY} x"),
    "blank before the colon": new_case(SOUND, f"X-Odd : {CANARY}"),
    "two types": new_case(SOUND, f"Content-Type: text/{CANARY}"),
    "two lengths": new_case(SOUND, "Content-Length: 1"),
    "negative length": request(NEW_CASE, [*IDENTITY_LINES, MULTIPART, "Content-Length: -1"]),
    "length and chunks": new_case(chunked(SOUND), "Transfer-Encoding: chunked"),
    "unknown coding": request(NEW_CASE, [*IDENTITY_LINES, MULTIPART, f"Transfer-Encoding: {CANARY}"]),
    "broken chunk": new_case_chunked(SOUND[:50]).replace(b"\r\n32\r\n", f"\r\n{CANARY}\r\n".encode()),
    "broken later chunk": new_case_chunked(SOUND[:50], SOUND[50:]).removesuffix(b"0\r\n\r\n") + b"-1\r\n",
}


@pytest.fixture(autouse=True)
def log() -> Iterator[list[EventDict]]:
    """Yields what the proxy logs; nothing may fail inside, for any request."""
    with capture_logs() as events:
        yield events
    assert not [event for event in events if event["log_level"] in ("error", "critical")]


async def test_form_N16_that_is_none_is_malformed_and_nothing_is_sent(api: Api) -> None:
    await all_refused(
        api, {name: new_case(SOUND, content_type=line) for name, line in NOT_FORMS.items()}, MALFORMED
    )


async def test_form_N16_that_is_broken_is_malformed_and_nothing_is_sent(api: Api) -> None:
    await all_refused(api, {name: new_case(body) for name, body in BROKEN_FORMS.items()}, MALFORMED)


async def test_form_N16_that_is_broken_stays_so_in_chunks(api: Api) -> None:
    requests = {name: new_case_chunked(body[:20], body[20:]) for name, body in BROKEN_FORMS.items() if body}
    await all_refused(api, requests, MALFORMED)


async def test_form_N16_that_is_encoded_is_refused_and_nothing_is_sent(api: Api) -> None:
    table = {
        "gzip": ["Content-Encoding: gzip"],
        "capitals": ["CONTENT-ENCODING: GZip"],
        "deflate": ["Content-Encoding: deflate"],
        "unknown": ["Content-Encoding: x"],
        "two": ["Content-Encoding: identity, gzip"],
        "two lines": ["Content-Encoding: identity", "Content-Encoding: gzip"],
    }
    await all_refused(api, {name: new_case(SOUND, *lines) for name, lines in table.items()}, ENCODED)


async def test_form_N16_may_be_written_in_every_sound_way(api: Api) -> None:
    kind = "Content-Type: multipart/form-data; boundary="
    table = {
        "capitals": new_case(SOUND, content_type="CONTENT-TYPE: Multipart/Form-Data; Boundary=frontera"),
        "quoted boundary": new_case(SOUND, content_type=f'{kind}"frontera"'),
        "boundary with signs": new_case(rebound("a'()+_,-./:=? b"), content_type=f'{kind}"a\'()+_,-./:=? b"'),
        "longest boundary": new_case(rebound("f" * 70), content_type=kind + "f" * 70),
        "dashes in the boundary": new_case(rebound("----WebKitX"), content_type=f"{kind}----WebKitX"),
        "another parameter": new_case(SOUND, content_type=f"{kind}frontera; charset=UTF-8"),
        "identity": new_case(SOUND, "Content-Encoding: identity"),
        "preamble": new_case(b"Esto es un formulario.\r\n" + SOUND),
        "empty lines before": new_case(b"\r\n\r\n" + SOUND),
        "preamble of two lines": new_case(b"Un\r\nformulario, con --frontera\r\n\r\n" + SOUND),
        "epilogue": new_case(SOUND + b"Fin.\r\n--fronter\r\n"),
        "epilogue on the same line": new_case(SOUND.removesuffix(b"\r\n") + b" Fin: x--frontera"),
        "blanks after delimiters": new_case(
            SOUND.replace(b"--frontera\r\n", b"--frontera \t \r\n").replace(b"--\r\n", b"-- \r\n")
        ),
        "a mountain of blanks after a delimiter": new_case(
            SOUND.replace(b"--frontera\r\n", b"--frontera" + b" " * 100_000 + b"\r\n", 1)
        ),
        "no line break at the end": new_case(SOUND.removesuffix(b"\r\n")),
        "8bit": new_case(form(EHR, part("files", "1", "Content-Transfer-Encoding: 8bit", filename="1.txt"))),
        "unquoted names": new_case(
            form(EHR, b"content-disposition: form-data; name=files; filename=1.txt\r\n\r\n1")
        ),
        "an attachment": new_case(
            form(EHR, b'Content-Disposition: attachment; name="files"; filename="1.txt"\r\n\r\n1')
        ),
        "right length": new_case(form(EHR, part("files", "1", "Content-Length: 1", filename="1.txt"))),
        "one chunk": new_case_chunked(SOUND),
        "chunks of a byte": new_case_chunked(*(bytes([byte]) for byte in SOUND)),
        "waiting to be asked": new_case(SOUND, "Expect: 100-continue"),
        "capital expectation": new_case(SOUND, "Expect: 100-Continue"),
        "unknown expectation": new_case(SOUND, f"Expect: {CANARY}"),
        "HTTP/1.0": new_case(SOUND).replace(b"HTTP/1.1", b"HTTP/1.0", 1),
    }
    for name, data in table.items():
        assert (await talk(api.url, data)).status == 200, name
        case = list(api.sandbox.llamalitica.cases.values())[-1]
        assert case.patient_metadata["id"] == "p-1", name
        assert [(file.name, file.size) for file in case.files] == [("1.txt", 1)], name


async def test_form_N16_an_empty_part_does_not_swallow_the_next(api: Api) -> None:
    """The delimiter follows the blank line at once: RFC 2046's grammar, and what App Engine sends."""
    # The line end that an ordinary empty part has between its blank line and the delimiter.
    for names in permutations(("conversation", "otro", "ehr", "files")):
        content = {"ehr": '{"id": "p-1"}', "files": "1"}
        whole = form(*[part(name, content.get(name, "")) for name in names])
        body = whole.replace(b"\r\n\r\n\r\n--", b"\r\n\r\n--")
        for data in (new_case(body), new_case_chunked(*(bytes([byte]) for byte in body))):
            assert (await talk(api.url, data)).status == 200, names
            case = list(api.sandbox.llamalitica.cases.values())[-1]
            assert case.patient_metadata["id"] == "p-1", names
            assert [(file.name, file.size) for file in case.files] == [("document", 1)], names


async def test_file_N16_that_is_empty_does_not_swallow_the_next(api: Api) -> None:
    files = [part("files", content, filename=f"{number}.txt") for number, content in enumerate(["", "1", ""])]
    body = form(*files, EHR).replace(b"\r\n\r\n\r\n--", b"\r\n\r\n--")
    assert (await talk(api.url, new_case(body))).status == 200
    (case,) = api.sandbox.llamalitica.cases.values()
    assert case.patient_metadata["id"] == "p-1"
    assert [(file.name, file.size) for file in case.files] == [("0.txt", 0), ("1.txt", 1), ("2.txt", 0)]


async def test_parts_N10_N11_that_are_encoded_arrive_as_they_were_meant(api: Api) -> None:
    """Delphi's Indy sends text fields in quoted-printable unless it is told otherwise."""
    base64, quoted = (f"Content-Transfer-Encoding: {name}" for name in ("base64", "quoted-printable"))
    content, said = bytes(range(256)) * 20, "Dolor = 5, “agudo” \t\r\nñ " + "a" * 100
    body = form(
        part("ehr", quopri.encodestring('{"id": "p-1", "name": "Ñandú"}'.encode()), quoted),
        part("conversation", quopri.encodestring(said.encode()).replace(b"=0D\n", b"\r\n"), quoted),
        part("files", encodebytes(content), base64, filename="1.bin"),
        part("files", b"", base64, filename="2.bin"),
        part("files", "".join(f"={byte:02x}" for byte in content), quoted, filename="3.bin"),
    )
    for data in (new_case(body), new_case_chunked(*(body[at : at + 7] for at in range(0, len(body), 7)))):
        assert (await talk(api.url, data)).status == 200
        case = list(api.sandbox.llamalitica.cases.values())[-1]
        assert (case.patient_metadata["id"], case.patient_metadata["name"]) == ("p-1", "Ñandú")
        assert [(file.name, file.sha256) for file in case.files] == [
            ("1.bin", sha256(content).hexdigest()),
            ("2.bin", sha256(b"").hexdigest()),
            ("3.bin", sha256(content).hexdigest()),
            ("conversation.txt", sha256(said.encode()).hexdigest()),
        ]


async def test_form_N16_body_that_is_held_back_is_asked_for(api: Api) -> None:
    head, _, body = new_case(SOUND, "Expect: 100-continue").partition(b"\r\n\r\n")

    def asked() -> tuple[bytes, Reply]:
        with closing(connect(api.url)) as connection:
            connection.sendall(head + b"\r\n\r\n")
            interim = connection.recv(4096)
            connection.sendall(body)
            return interim, read_reply(connection, "POST")

    interim, reply = await asyncio.to_thread(asked)
    assert interim == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert reply.status == 200


async def test_form_N16_of_64_parts_is_kept_whole(api: Api) -> None:
    files = [part("files", str(number), filename=f"{number}.txt") for number in range(63)]
    assert (await talk(api.url, new_case(form(EHR, *files)))).status == 200
    (case,) = api.sandbox.llamalitica.cases.values()
    assert [file.name for file in case.files] == [f"{number}.txt" for number in range(63)]


async def test_form_N16_parts_of_unknown_names_are_kept_out_and_counted(
    api: Api, log: list[EventDict]
) -> None:
    others = [part(name, CANARY, filename=f"{CANARY}.txt") for name in ("file", "Files", "files[]", CANARY)]
    assert (await talk(api.url, new_case(form(others[0], EHR, *others[1:], FILE)))).status == 200
    (case,) = api.sandbox.llamalitica.cases.values()
    assert [file.name for file in case.files] == ["1.txt"]
    assert [event["count"] for event in log if event["event"] == "unknown_parts"] == [4]
    assert CANARY not in str(log)


async def test_form_N16_that_is_cut_off_sends_nothing(api: Api, log: list[EventDict]) -> None:
    for data in (new_case(SOUND), new_case_chunked(SOUND)):
        with closing(connect(api.url)) as connection:
            connection.sendall(data[:-20])
    await until(lambda: len(causes(log)) == 2)
    assert causes(log) == ["body-cut", "body-cut"]
    assert not api.sandbox.llamalitica.calls


@pytest.mark.parametrize("mode", ["new", "legacy"])
async def test_form_N16_that_stops_coming_is_given_up_after_the_mappings_pause(
    start_proxy: StartProxy, mode: str
) -> None:
    here = {"new_case": lambda text: text.replace('mode = "new"', f'mode = "{mode}"\nbody_pause = "50 ms"')}
    async with start_proxy(here, legacy=True) as api:
        reply = await talk(api.url, new_case(SOUND)[:-20])
        assert (reply.sentence, reply.header("X-Michiq-Cause")) == (MALFORMED, "body-stalled")
        assert not api.sandbox.llamalitica.calls


async def test_request_N16_that_is_not_http_is_refused_and_never_quoted(
    api: Api, log: list[EventDict], caplog: pytest.LogCaptureFixture
) -> None:
    await all_refused(api, BROKEN_REQUESTS, MALFORMED)
    assert CANARY not in str(log) + caplog.text


async def test_size_N15_exactly_the_limit_is_taken_and_one_byte_more_is_not(api: Api) -> None:
    fitting = sized(LIMIT)
    assert (await talk(api.url, new_case(fitting))).status == 200
    calls = len(api.sandbox.llamalitica.calls)
    for data in (new_case(sized(LIMIT + 1)), new_case_chunked(fitting, b"x")):
        assert (await talk(api.url, data)).sentence == TOO_LARGE
    assert len(api.sandbox.llamalitica.calls) == calls


async def test_size_N15_that_is_announced_is_refused_before_it_comes(api: Api) -> None:
    head = request(NEW_CASE, [*IDENTITY_LINES, MULTIPART, f"Content-Length: {LIMIT + 1}"])
    assert (await talk(api.url, head)).sentence == TOO_LARGE


async def test_size_N15_that_is_not_announced_is_refused_within_256_kib_of_the_limit(api: Api) -> None:
    """A client that sends piece by piece, and waits for an answer after each one beyond the limit."""
    head = request(NEW_CASE, [*IDENTITY_LINES, MULTIPART, "Transfer-Encoding: chunked"])
    start = form(part("files", "", filename="grande.bin"))[: -len("\r\n--frontera--\r\n")]
    whole, piece = start.ljust(LIMIT, b"x"), b"x" * 16 * 1024

    def send() -> tuple[int, Reply]:
        with closing(connect(api.url)) as connection:
            connection.sendall(head + chunked(whole).removesuffix(b"0\r\n\r\n"))
            for sent in range(len(piece), 2 * LEEWAY, len(piece)):
                connection.sendall(chunked(piece).removesuffix(b"0\r\n\r\n"))
                if select([connection], [], [], 2)[0]:
                    return sent, read_reply(connection, "POST")
            raise AssertionError("never refused")

    sent, reply = await asyncio.to_thread(send)
    assert reply.sentence == TOO_LARGE
    assert sent <= LEEWAY
    assert not api.sandbox.llamalitica.calls


async def test_size_N15_counts_what_belongs_to_no_part(start_proxy: StartProxy) -> None:
    async with start_proxy(edit=limited("100 KB")) as api:
        much = b"x" * 100_000
        table = {
            "preamble": new_case_chunked(much + b"\r\n" + SOUND),
            "epilogue": new_case_chunked(SOUND, much),
            "unknown part": new_case_chunked(form(EHR, part("otro", much))),
        }
        await all_refused(api, table, TOO_LARGE)
        assert (await talk(api.url, new_case(sized(100_000)))).status == 200


def sized(size: int) -> bytes:
    """A form of so many bytes."""
    return form(
        part("files", b"x" * (size - len(form(part("files", b"", filename="x.bin")))), filename="x.bin")
    )


def rebound(boundary: str) -> bytes:
    return SOUND.replace(b"frontera", boundary.encode())


def limited(size: str) -> dict[str, Any]:
    return {"new_case": lambda text: text.replace('body_limit = "10 MB"', f'body_limit = "{size}"')}


def causes(log: list[EventDict]) -> list[str | None]:
    return [event.get("cause") for event in log if event["event"] == "request"]


async def all_refused(api: Api, requests: dict[str, bytes], expected: tuple[int, str, str]) -> None:
    """Checks that each request gets this answer, under its own id, and that none reaches the platform."""
    replies = await talk_each(api.url, requests)
    assert {name: reply.sentence for name, reply in replies.items()} == dict.fromkeys(requests, expected)
    assert len({reply.header("X-Request-ID") for reply in replies.values()} - {None}) == len(requests)
    assert not api.sandbox.llamalitica.calls
