"""The parser of answers, byte by byte: its result, and whether the connection may be used again."""

from dataclasses import dataclass
from typing import Final

import pytest

from proxy.upstream.http1.answer_reader import MAX_HEAD, AnswerReader
from proxy.upstream.http1.connection import READ_SIZE
from proxy.upstream.http1.errors import BadAnswer, Cut

OK: Final = b"HTTP/1.1 200 OK\r\n"
CHUNKED: Final = OK + b"Transfer-Encoding: chunked\r\n\r\n"


@dataclass(frozen=True)
class Read:
    """The result of parsing an answer; `status` 0 means no head."""

    status: int
    body: bytes = b""
    complete: bool = True
    keep_alive: bool = False
    error: type[Exception] | None = None


HI: Final = OK + b"Content-Length: 2\r\n\r\nhi"
# What came, and what it is; the connection stays open.
ANSWERS: Final = {
    "a length": (HI, Read(200, b"hi", keep_alive=True)),
    "no body by its length": (OK + b"Content-Length: 0\r\n\r\n", Read(200, keep_alive=True)),
    "chunks": (CHUNKED + b"2\r\nhi\r\n0\r\n\r\n", Read(200, b"hi", keep_alive=True)),
    "chunks with trailers": (
        CHUNKED + b"2;a=b\r\nhi\r\n0\r\nA: b\r\n\r\n",
        Read(200, b"hi", keep_alive=True),
    ),
    "no framing": (OK + b"\r\nhi", Read(200, b"hi", complete=False)),
    "no content": (b"HTTP/1.1 204 No\r\n\r\n", Read(204, keep_alive=True)),
    "not modified": (b"HTTP/1.1 304 No\r\nContent-Length: 3\r\n\r\n", Read(304, keep_alive=True)),
    "its connection closes": (OK + b"Connection: close\r\nContent-Length: 2\r\n\r\nhi", Read(200, b"hi")),
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", Read(200, b"hi")),
    "an offer of another protocol": (
        OK + b"Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\nhi",
        Read(200, b"hi", keep_alive=True),
    ),
    "after interim answers": (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nA: b\r\n\r\n" + HI,
        Read(200, b"hi", keep_alive=True),
    ),
    "a length beside chunks": (
        OK + b"Content-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        Read(200, b"hi"),
    ),
    "two at once": (HI + HI, Read(200, b"hi")),
    "one byte too many": (HI + b"H", Read(200, b"hi")),
    "something else after it": (HI + b"\0", Read(200, b"hi")),
    "another protocol": (b"HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nx", Read(101)),
    "half a head": (OK + b"Content-Len", Read(0, complete=False)),
    "half a body": (OK + b"Content-Length: 3\r\n\r\nhi", Read(200, b"hi", complete=False)),
}
# What is no answer.
BAD: Final = {
    "two lengths": OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nhi",
    "another coding": OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n",
    "a coding twice": OK + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
    "a coding without chunks": OK + b"Transfer-Encoding: gzip\r\n\r\n",
    "lines that end in LF": b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
    "a folded field": OK + b"A: b\r\n c\r\n\r\n",
    "a space before the colon": OK + b"Content-Length : 2\r\n\r\nhi",
    "HTTP/2 in words": b"HTTP/2.0 200 OK\r\n\r\n",
    "HTTP/0.9": b"hello\n",
    "SSH": b"SSH-2.0-OpenSSH_9.2\r\n",
    "a head above the limit": OK + b"A: " + b"a" * MAX_HEAD + b"\r\n\r\n",
    "a head without an end": OK + b"A: " + b"a" * MAX_HEAD,
    "many fields without an end": OK + b"A: b\r\n" * 12_000,
    "trailers without an end": CHUNKED + b"0\r\n" + b"A: b\r\n" * 24_000,
    "a chunk's extension without an end": CHUNKED + b"1;" + b"a" * 2 * MAX_HEAD,
}


def read(data: bytes, size: int, *, is_head: bool = False) -> AnswerReader:
    """Parses the answer in pieces of this size."""
    reader = AnswerReader(is_head=is_head)
    for start in range(0, len(data), size):
        reader.feed(memoryview(data)[start : start + size])
    return reader


def outcome(reader: AnswerReader) -> Read:
    error = None if reader.error is None else type(reader.error)
    return Read(reader.status, reader.take(), reader.complete, reader.keep_alive, error)


@pytest.mark.parametrize("size", [1, 7, 10**6])
@pytest.mark.parametrize("what", ANSWERS)
def test_answer_is_what_its_bytes_say_however_they_come(what: str, size: int) -> None:
    data, expected = ANSWERS[what]
    assert outcome(read(data, size)) == expected


@pytest.mark.parametrize("size", [999, READ_SIZE])
@pytest.mark.parametrize("what", BAD)
def test_answer_that_is_none_is_an_error_and_ends_the_connection(what: str, size: int) -> None:
    reader = read(BAD[what], size)
    assert (type(reader.error), reader.keep_alive, reader.complete) == (BadAnswer, False, False)


@pytest.mark.parametrize(
    ("data", "cleanly", "complete"),
    [
        (OK + b"\r\nhi", True, True),
        (OK + b"\r\nhi", False, False),
        (OK + b"Content-Length: 3\r\n\r\nhi", True, False),
        (CHUNKED + b"2\r\nhi\r\n", True, False),
        (OK + b"A: b", True, False),
        (b"", True, False),
        (HI, False, True),
    ],
)
def test_answer_ends_with_its_connection_only_where_nothing_else_says_its_end(
    data: bytes, cleanly: bool, complete: bool
) -> None:
    reader = read(data, 10**6)
    reader.end(cleanly=cleanly)
    assert (reader.complete, reader.keep_alive) == (complete, False)
    assert isinstance(reader.error, Cut) is not complete


@pytest.mark.parametrize("length", [b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b""])
def test_answer_to_head_has_no_body_and_ends_the_connection(length: bytes) -> None:
    assert outcome(read(OK + length + b"\r\n", 10**6, is_head=True)) == Read(200)


def test_answer_has_its_header_bytes_as_they_came() -> None:
    reader = read(OK + b"x-A: caf\xe9\r\nX-a:\r\nCONTENT-length: 0\r\n\r\n", 3)
    assert reader.headers == ((b"x-A", b"caf\xe9"), (b"X-a", b""), (b"CONTENT-length", b"0"))


def test_answer_says_what_came_before_it() -> None:
    reader = read(b"HTTP/1.1 103 Early\r\nLink: </a>\r\n\r\n" + HI, 10**6)
    assert (reader.interims, reader.reason) == ([(103, ((b"Link", b"</a>"),))], b"OK")
