"""Tricks on the order of speaking: pipelines, expectations, half-closed connections; codings of a body."""

import gzip
import zlib
from collections.abc import Set
from functools import cache
from typing import Final

from tests.hostile.sound import BAD, BODIED, MAPPED, READING, SAME, WEBHOOK, Sound, Trick, chunks

_CHUNKED: Final = b"Transfer-Encoding: chunked"


def _row(name: str, count: int, last: bytes = b"", statuses: Set[int] = frozenset({SAME, 400})) -> Trick:
    """A request so many times at once, and something behind it; `%b` is the canary."""

    def make(sound: Sound, canary: bytes) -> bytes:
        return sound.render() * count + last.replace(b"%b", canary)

    return Trick(name, make, statuses, answers=count + bool(last))


_PIPELINES: Final = [
    _row("two at once", 2, statuses={SAME}),
    _row("40 at once", 40, statuses={SAME}),
    _row("a canary behind three", 3, b"%b\r\n\r\n"),
    _row("NUL behind one", 1, b"\0%b\r\n\r\n"),
    _row("half a request behind two", 2, b"GET /%b HTTP/1.1\r\nHost: a", {SAME}),
    Trick("good behind bad", lambda s, c: b"%b\r\n\r\n" % c + s.render(), ends=False),
    Trick("good behind a bad length", lambda s, _: s.render(b"Content-Length: -1") + s.render(), ends=False),
    Trick(
        "a request in a body",
        lambda s, c: s.render(body=b"GET /%b HTTP/1.1\r\nHost: a\r\n\r\n" % c),
        {SAME, 400, 401, 500},
    ),
    Trick(
        "a request behind the last chunk",
        lambda s, c: s.render(framing=[_CHUNKED], body=chunks(s.body or b"x") + b"0\r\n\r\n") + s.render(),
        {SAME},
        answers=2,
    ),
    Trick(
        "a request behind a length and chunks",
        lambda s, c: s.render(_CHUNKED, body=b"0\r\n\r\n") + s.render(b"X-Odd: " + c),
        ends=False,
    ),
    Trick(
        "a request behind a twin of chunks",
        lambda s, c: s.render(b"Transfer_Encoding: chunked", body=b"0\r\n\r\n") + s.render(b"X-Odd: " + c),
        ends=False,
    ),
    Trick(
        "a request behind a twin of a length",
        lambda s, c: s.render(framing=[b"Content_Length: 4"], body=b"") + s.render(b"X-Odd: " + c),
        ends=False,
    ),
    Trick(
        "a close in the middle",
        lambda s, c: s.render(b"Connection: close") + s.render(b"X-Odd: " + c),
        {SAME, 400},
    ),
]


def _expecting(value: bytes, *, version: bytes = b"HTTP/1.1", ends: bool = True) -> Trick:
    """The body comes with it, asked for or not."""

    def make(sound: Sound, canary: bytes) -> bytes:
        line = sound.line(version=version)
        return sound.render(b"Expect: " + value.replace(b"%b", canary), line=line)

    name = f"expects {value!r} in {version.decode()}"
    return Trick(name, make, {SAME, 417} if value.isascii() else BAD, ends=ends)


def _held_back(sound: Sound, _: bytes) -> tuple[bytes, ...]:
    head, blank, body = sound.render(b"Expect: 100-continue").partition(b"\r\n\r\n")
    return head + blank, body


_EXPECTATIONS: Final = [
    *map(
        _expecting, (b"100-continue", b"100-CONTINUE", b"100-continue, %b", b"%b", b"", b"200-ok", b"\xff%b")
    ),
    _expecting(b"100-continue", version=b"HTTP/1.0"),
    _expecting(b"%b", version=b"HTTP/1.0"),
    Trick("holds its body back", _held_back, {SAME}),
    Trick("holds its body back for ever", lambda s, _: _held_back(s, b"")[0], on=BODIED),
    Trick("expects twice", lambda s, c: s.render(b"Expect: 100-continue", b"Expect: " + c), {SAME, 400, 417}),
]


def _bytewise(data: bytes) -> tuple[bytes, ...]:
    return *(data[at : at + 1] for at in range(800)), data[800:]


_ENDS: Final = [
    Trick("sound, and then its end", lambda s, _: s.render(), {SAME}),
    Trick("sound, byte by byte", lambda s, _: _bytewise(s.render()), {SAME}),
    Trick("sound, kept open", lambda s, _: s.render(), {SAME}, ends=False),
    Trick("HTTP/1.0, kept open", lambda s, _: s.render(line=s.line(version=b"HTTP/1.0")), {SAME}, ends=False),
    Trick("closes by itself", lambda s, _: s.render(b"Connection: close"), {SAME}, ends=False),
    Trick("a body where there is none", lambda s, c: s.render(body=c * 1000), {SAME}, on=READING),
    Trick("1 MB where there is none", lambda s, c: s.render(body=c * 50_000), {SAME}, on=READING),
    Trick("HEAD", lambda s, _: s.render(line=b"HEAD " + s.target + b" HTTP/1.1"), {SAME, 405}, on=MAPPED),
]


def _encoded(name: str, coding: bytes, how: str = "gzip", *, whole: bool = True) -> Trick:
    """A body in another coding, said to be in that one; refused before it is read."""

    def make(sound: Sound, canary: bytes) -> bytes:
        body = (sound.body or b"") + canary
        packed = gzip.compress(body) if how == "gzip" else zlib.compress(body) if how == "deflate" else body
        return sound.render(
            b"Content-Encoding: " + coding.replace(b"%b", canary), body=packed if whole else packed[:-9]
        )

    return Trick(name, make, {415, 400, 401}, on=BODIED)


def _bomb(sound: Sound, _: bytes) -> bytes:
    return sound.render(b"Content-Encoding: gzip", body=_large_and_small())


@cache
def _large_and_small() -> bytes:
    return gzip.compress(bytes(50_000_000))


_ENCODINGS: Final = [
    _encoded("in gzip", b"gzip"),
    _encoded("in x-gzip", b"X-Gzip"),
    _encoded("in gzip, cut", b"gzip", whole=False),
    _encoded("in gzip twice", b"gzip, gzip"),
    _encoded("in gzip after nothing", b"identity, gzip"),
    _encoded("in deflate", b"deflate", "deflate"),
    _encoded("said to be in gzip", b"gzip", "plain"),
    _encoded("said to be in br", b"br", "plain"),
    _encoded("said to be in zstd", b"zstd", "plain"),
    _encoded("in a coding of a canary", b"%b", "plain"),
    _encoded("in a coding beyond ASCII", b"\xff%b", "plain"),
    Trick("a bomb", _bomb, {415, 400, 401}, on=BODIED),
    Trick("in no coding", lambda s, _: s.render(b"Content-Encoding: identity"), {SAME}, on=BODIED),
    Trick("in an empty coding", lambda s, _: s.render(b"Content-Encoding:"), {SAME, 415, 400}, on=BODIED),
]


def _charset(name: bytes) -> Trick:
    def make(sound: Sound, canary: bytes) -> bytes:
        kind = b"application/json; charset=" + name.replace(b"%b", canary)
        return sound.with_body(sound.body or b"", kind).render()

    return Trick(f"JSON in {name!r}", make, {SAME, 400}, on={"query", "speech_to_text", WEBHOOK})


_CHARSETS: Final = [
    *map(
        _charset, (b"utf-16", b"utf-7", b"latin-1", b"%b", b"", b'"', b"utf-8; charset=%b", b"rot13", b"\xff")
    ),
    Trick(
        "JSON as a text",
        lambda s, _: s.with_body(s.body or b"", b"text/plain").render(),
        {SAME, 400},
        on={"query"},
    ),
    Trick(
        "JSON as a canary",
        lambda s, c: s.with_body(s.body or b"", c).render(),
        {SAME, 400},
        on={"query", WEBHOOK},
    ),
]

TRICKS: Final = [*_PIPELINES, *_EXPECTATIONS, *_ENDS, *_ENCODINGS, *_CHARSETS]
