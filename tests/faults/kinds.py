"""The misbehaviours of an upstream, and the cause that the proxy finds in each."""

import asyncio
import gzip
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tests.faults.system import Exchange, Script, framed, head, plainly

MIB: Final = b"x" * 1024 * 1024
FOREVER: Final = 3600.0
_PIECE: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Kind:
    """A misbehaviour. `causes` are those that it may have, without the upstream's name; none: it is an
    answer all the same."""

    script: Script
    causes: tuple[str, ...]


def says(*pieces: bytes, hangs_up: bool = False, reads: bool = True) -> Script:
    """Answers with these bytes, whatever they are."""

    async def script(exchange: Exchange) -> None:
        if reads:
            await exchange.body()
        for piece in pieces:
            await exchange.say(piece)
        if hangs_up:
            raise ConnectionAbortedError

    return script


def json_of(body: bytes, *lines: str) -> Script:
    return says(framed(body, *lines))


def status(line: str, *lines: str) -> Script:
    return says(framed(b'{"error": "no"}', *lines, status=line))


def on_and_on(start: bytes, piece: bytes, pause: float = 0.0) -> Script:
    """Begins an answer, and never comes to its end."""

    async def script(exchange: Exchange) -> None:
        await exchange.body()
        await exchange.say(start)
        while True:
            await exchange.say(piece)
            await asyncio.sleep(pause)

    return script


async def hang(exchange: Exchange) -> None:
    await exchange.body()
    await asyncio.sleep(FOREVER)


async def hang_without_reading(_: Exchange) -> None:
    await asyncio.sleep(FOREVER)


async def slowly(exchange: Exchange) -> None:
    """A good answer in small pieces, within the time."""
    await exchange.body()
    answer = framed(exchange.good())
    for start in range(0, len(answer), 40):
        await exchange.say(answer[start : start + 40])
        await asyncio.sleep(0.01)


async def reset_at_once(exchange: Exchange) -> None:
    exchange.reset()


async def reset_after_the_request(exchange: Exchange) -> None:
    await exchange.body()
    exchange.reset()


async def close_after_the_request(exchange: Exchange) -> None:
    await exchange.body()
    raise ConnectionAbortedError


async def half_an_answer(exchange: Exchange) -> None:
    await exchange.body()
    answer = framed(exchange.good())
    await exchange.say(answer[:-5])
    raise ConnectionAbortedError


async def reset_in_the_answer(exchange: Exchange) -> None:
    await exchange.body()
    await exchange.say(framed(exchange.good())[:-5])
    exchange.reset()


async def two_answers(exchange: Exchange) -> None:
    await exchange.body()
    await exchange.say(framed(exchange.good()) + framed(intruder(exchange)))


async def a_late_second_answer(exchange: Exchange) -> None:
    """Sends a second answer while the next request is on its way: no check of the connection can find it."""
    await plainly(exchange)
    if await exchange.reader.read(1):
        await exchange.say(framed(intruder(exchange)))
        raise ConnectionAbortedError


def intruder(exchange: Exchange) -> bytes:
    """Returns what would be a good answer, and is nobody's."""
    return exchange.named("intruder").replace(b"tag-", b"intruder-")


async def cookies_and_more(exchange: Exchange) -> None:
    """A good answer with headers that would have a browser call elsewhere, and cookies to keep."""
    lines = [f"Set-Cookie: c{number}=geheim{number}; Path=/; Domain=.example" for number in range(50)]
    lines += ["Set-Cookie: =;=;\t=", "Alt-Svc: h3=:443", "Refresh: 0; url=http://127.0.0.1:9/"]
    await exchange.body()
    await exchange.say(framed(exchange.good(), *lines))


async def half_an_emoji(exchange: Exchange) -> None:
    """A good answer whose texts, and one that nobody reads, were cut where a program saw two characters."""
    await exchange.body()
    good = exchange.good().replace(b'"title":"', b'"title":"\\ud83d').replace(b'"name":"', b'"name":"\\ude00')
    await exchange.say(framed(b'{"more":["\\ud83d",{"\\ud83d":1}],' + good.removeprefix(b"{")))


def compressed(coding: str, pack: Callable[[bytes], bytes]) -> Script:
    """A good answer in a coding that nobody asked for."""

    async def script(exchange: Exchange) -> None:
        await exchange.body()
        await exchange.say(framed(pack(exchange.good()), f"Content-Encoding: {coding}"))

    return script


async def in_chunks(exchange: Exchange) -> None:
    await exchange.body()
    body = exchange.good()
    await exchange.say(head("Transfer-Encoding: chunked"))
    for start in range(0, len(body), 7):
        piece = body[start : start + 7]
        await exchange.say(b"%x;name=value\r\n%b\r\n" % (len(piece), piece))
    await exchange.say(b"0\r\nX-Trailer: a\r\n\r\n")


async def after_interim_answers(exchange: Exchange) -> None:
    await exchange.say(b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
    await plainly(exchange)


def redirect(code: int, elsewhere: str) -> Script:
    lines = (f"Location: {elsewhere}/api/cases", f"Refresh: 0; url={elsewhere}/", f"Link: <{elsewhere}/>")
    return status(f"{code} Moved", *lines)


def kinds(elsewhere: str) -> dict[str, Kind]:
    """Returns all kinds; `elsewhere` is an address that nobody may call."""
    bomb = gzip.compress(b" " * 20_000_000)
    chunked = head("Transfer-Encoding: chunked")
    good_start = b'{"id": "'
    found: dict[str, tuple[Script, str]] = {
        # Connections
        "reset at once": (reset_at_once, "cut"),
        "reset after the request": (reset_after_the_request, "cut"),
        "closed after the request": (close_after_the_request, "cut"),
        "closed in the head": (says(head()[:20], hangs_up=True), "cut"),
        "closed in the body": (half_an_answer, "cut"),
        "reset in the body": (reset_in_the_answer, "cut"),
        "closed before the last chunk": (says(chunked, b"2\r\n{}\r\n", hangs_up=True), "cut"),
        # Time
        "hangs": (hang, "timeout"),
        "hangs and reads nothing": (hang_without_reading, "timeout"),
        "hangs in the head": (on_and_on(b"HTTP/1.1 200 OK\r\nX-A: ", b"", FOREVER), "timeout"),
        "hangs in the body": (on_and_on(head("Content-Length: 99") + b"{", b"", FOREVER), "timeout"),
        "drips its head": (on_and_on(b"HTTP/1.1 200 OK\r\nX-A: ", b"a", 0.05), "timeout"),
        "drips its body": (on_and_on(chunked, b"1\r\n \r\n", 0.05), "timeout"),
        "interim answers without end": (on_and_on(b"", b"HTTP/1.1 102 W\r\n\r\n" * 9, 0.005), "timeout"),
        "slow": (slowly, ""),
        # Types and bodies
        "another type": (says(framed(b"<html>no</html>", kind="text/html")), "garbage"),
        "no type": (says(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"), "garbage"),
        "no content": (says(b"HTTP/1.1 204 No Content\r\n\r\n"), "garbage"),
        "an empty body": (json_of(b""), "garbage"),
        "half of the JSON": (json_of(b'{"id": "a", "user": {'), "garbage"),
        "NaN": (json_of(b'{"id": NaN, "text": NaN, "content": NaN}'), "garbage"),
        "NULs": (json_of(b'{"id": "a\x00"}'), "garbage"),
        "another charset": (json_of('{"id": "ñ"}'.encode("latin-1")), "garbage"),
        "keys twice": (json_of(b'{"id": "a", "id": "b", "text": "", "content": ""}'), "garbage"),
        "other shapes": (
            json_of(b'{"id": {}, "text": [], "content": 1, "user": "", "caseId": null}'),
            "garbage",
        ),
        "an array": (json_of(b"[" + b"{}," * 999 + b"{}]"), "garbage"),
        # Bombs
        "a large body, announced": (says(head("Content-Length: 99000000"), *[MIB] * 8), "oversized"),
        "a large body, in chunks": (on_and_on(chunked, b"100000\r\n" + MIB + b"\r\n"), "oversized"),
        "a body without an end": (on_and_on(head() + good_start, MIB), "oversized"),
        "deep JSON": (json_of(b"[" * 500_000), "garbage"),
        "a huge number": (json_of(b'{"id": 1' + b"0" * 900_000 + b"}"), "garbage"),
        "a gzip bomb": (json_of(bomb, "Content-Encoding: gzip"), "oversized"),
        "half of a gzip": (json_of(bomb[:999], "Content-Encoding: gzip"), "garbage"),
        "a gzip that is not announced": (json_of(bomb[:99]), "garbage"),
        "gzip as transfer coding": (
            says(head("Transfer-Encoding: gzip, chunked"), b"3\r\n\x1f\x8b\x08\r\n0\r\n\r\n"),
            "garbage",
        ),
        "a header of 1 MiB": (says(head("X-A: " + "a" * 1024 * 1024)), "garbage"),
        "10,000 headers": (says(head(*["X-A: b"] * 10_000, "Content-Length: 2") + b"{}"), "garbage"),
        "headers without an end": (on_and_on(b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n" * 999), "garbage"),
        "a chunk's extension without an end": (on_and_on(chunked + b"1;", b"a" * _PIECE), "garbage timeout"),
        "trailers without an end": (on_and_on(chunked + b"0\r\n", b"X-A: b\r\n" * 999), "garbage timeout"),
        # HTTP
        "NUL in a header": (says(head("X-A: a\0b", "Content-Length: 2") + b"{}"), "garbage"),
        "a header without a name": (says(head(": a", "Content-Length: 2") + b"{}"), "garbage"),
        "another length": (says(head("Content-Length: -1") + b"{}"), "garbage"),
        "two lengths": (says(head("Content-Length: 2", "Content-Length: 3") + b"{}"), "garbage"),
        "a length that is too large": (
            says(framed(b"{}")[:-2].replace(b": 2", b": 9") + b"{}", hangs_up=True),
            "cut",
        ),
        "a chunk of no size": (says(chunked, b"zz\r\n{}\r\n0\r\n\r\n"), "garbage"),
        "a chunk of a negative size": (says(chunked, b"-2\r\n{}\r\n0\r\n\r\n"), "garbage"),
        "a chunk of a huge size": (says(chunked, b"f" * 20 + b"\r\n{}\r\n"), "garbage"),
        "an upgrade": (says(b"HTTP/1.1 101 S\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n"), "101"),
        "HTTP/0.9": (says(b'{"id": "a"}\n', hangs_up=True), "garbage"),
        "HTTP/2": (says(b"\0\0\x12\x04\0\0\0\0\0\0\x03\0\0\0\x64", hangs_up=True), "garbage"),
        "SSH": (says(b"SSH-2.0-OpenSSH_9.2\r\n", hangs_up=True), "garbage"),
        "TLS": (says(b"\x15\x03\x01\0\x02\x02\x46", hangs_up=True), "garbage"),
        "random bytes": (says(bytes(range(256)) * 9, hangs_up=True), "garbage"),
        # Statuses
        "301": (redirect(301, elsewhere), "redirect"),
        "307 to another host": (redirect(307, elsewhere), "redirect"),
        "308 to another host": (redirect(308, elsewhere), "redirect"),
        "401": (status("401 No", f'WWW-Authenticate: Basic realm="{elsewhere}"'), "401"),
        "402": (status("402 Pay"), "402"),
        "404": (status("404 Not Found"), "404"),
        "407": (status("407 No", "Proxy-Authenticate: Basic"), "407"),
        "413 before the body": (says(framed(b"", status="413 Large"), reads=False, hangs_up=True), "413 cut"),
        "429 with Retry-After": (status("429 Wait", "Retry-After: 0"), "429"),
        "500": (status("500 No"), "500"),
        "502 as a page": (says(framed(b"<html>", status="502 Bad", kind="text/html")), "502"),
        "503 with Retry-After": (status("503 No", "Retry-After: 0"), "503"),
        # Too much, and still an answer
        "two answers": (two_answers, ""),
        "a late second answer": (a_late_second_answer, ""),
        "cookies, and addresses of others": (cookies_and_more, ""),
        "in chunks, with a trailer": (in_chunks, ""),
        "half an emoji": (half_an_emoji, ""),
        "gzip": (compressed("gzip", gzip.compress), ""),
        "deflate": (compressed("deflate", zlib.compress), ""),
        "a text said to be gzip": (compressed("gzip", bytes), ""),
        "after interim answers": (after_interim_answers, ""),
    }
    return {name: Kind(script, tuple(causes.split())) for name, (script, causes) in found.items()}
