"""Legacy mode, byte for byte: requests reach the legacy server unchanged, and answers the client."""

import asyncio
from dataclasses import replace
from typing import Final

import pytest

from tests.web.legacy.through import ADDED, GET, LAST, OK, PLAN, Legacy, passing, request_bytes

CLOSE: Final = b"Connection: close\r\n"
VIA: Final = b"Via: 1.1 michiq-proxy\r\n"

# What a client says, and what of it reaches the legacy server; LEGACY is that server's own name.
REQUESTS: Final = {
    "order, case, repetition and underscores are kept": (
        b"GET /a?x=%2F&y HTTP/1.1\r\nhost: a.example\r\nX-B: 2\r\nAPI_KEY: k\r\nx-a: 1\r\nX-B: 3\r\n",
        b"GET /a?x=%2F&y HTTP/1.1\r\nhost: LEGACY\r\nX-B: 2\r\nAPI_KEY: k\r\nx-a: 1\r\nX-B: 3\r\n",
    ),
    "nothing is added but Via": (
        b"GET / HTTP/1.1\r\nHost: a.example\r\n",
        b"GET / HTTP/1.1\r\nHost: LEGACY\r\n",
    ),
    "Host keeps its place": (
        b"GET / HTTP/1.1\r\nX-A: 1\r\nHost: a.example\r\nCookie: c=1\r\n",
        b"GET / HTTP/1.1\r\nX-A: 1\r\nHost: LEGACY\r\nCookie: c=1\r\n",
    ),
    "Latin-1 and UTF-8 bytes are kept": (
        b"GET / HTTP/1.1\r\nHost: a.example\r\norganization: Cl\xednica\r\nuser: Mar\xc3\xada\r\n",
        b"GET / HTTP/1.1\r\nHost: LEGACY\r\norganization: Cl\xednica\r\nuser: Mar\xc3\xada\r\n",
    ),
    "the target is not decoded, resolved or quoted": (
        b"GET /a/%2e%2E/../b%00?q=%C3%AD|'\"&+ HTTP/1.1\r\nHost: a.example\r\n",
        b"GET /a/%2e%2E/../b%00?q=%C3%AD|'\"&+ HTTP/1.1\r\nHost: LEGACY\r\n",
    ),
    "an absolute target is cut to its path": (
        b"GET http://b.example:81/a?b=http://c/ HTTP/1.1\r\nHost: a.example\r\n",
        b"GET /a?b=http://c/ HTTP/1.1\r\nHost: LEGACY\r\n",
    ),
    "hop-by-hop fields stay here": (
        b"GET / HTTP/1.1\r\nHost: a.example\r\nTE: trailers\r\nX-A: 1\r\nKeep-Alive: timeout=5\r\n"
        b"Proxy-Connection: keep-alive\r\nTrailer: X-T\r\nUpgrade: h2c\r\n",
        b"GET / HTTP/1.1\r\nHost: LEGACY\r\nX-A: 1\r\n",
    ),
    "what Connection names stays here": (
        b"GET / HTTP/1.1\r\nHost: a.example\r\nX-A: 1\r\nConnection: x-a , X-B\r\nX-C: 3\r\nX-B: 2\r\n",
        b"GET / HTTP/1.1\r\nHost: LEGACY\r\nX-C: 3\r\n",
    ),
    "an earlier Via is kept": (
        b"GET / HTTP/1.1\r\nVia: 1.0 elsewhere\r\nHost: a.example\r\n",
        b"GET / HTTP/1.1\r\nVia: 1.0 elsewhere\r\nHost: LEGACY\r\n",
    ),
    "a line may be as long as a head": (
        b"GET / HTTP/1.1\r\nHost: a.example\r\nAuthorization: Bearer " + b"a" * 60_000 + b"\r\n",
        b"GET / HTTP/1.1\r\nHost: LEGACY\r\nAuthorization: Bearer " + b"a" * 60_000 + b"\r\n",
    ),
    "an expectation that nobody knows is passed on": (
        b"GET / HTTP/1.1\r\nHost: a.example\r\nExpect: miracles\r\n",
        b"GET / HTTP/1.1\r\nHost: LEGACY\r\nExpect: miracles\r\n",
    ),
}

# A body as the client frames it, and as the legacy server gets it after the end of the head.
BODIES: Final = {
    "with a length": (b"content-length: 3\r\n", b"a\x00b", b"content-length: 3\r\n%b\r\na\x00b"),
    "of no length": (b"Content-Length: 0\r\n", b"", b"Content-Length: 0\r\n%b\r\n"),
    "without framing": (b"", b"", b"%b\r\n"),
    "chunked": (
        b"transfer-encoding: chunked\r\nTrailer: X-T\r\n",
        b"3;x=y\r\na\x00b\r\n0\r\nX-T: 1\r\n\r\n",
        b"%bTransfer-Encoding: chunked\r\n\r\n3\r\na\x00b\r\n0\r\n\r\n",
    ),
    "with a length that Connection names": (
        b"Content-Length: 3\r\nConnection: content-length\r\n",
        b"abc",
        b"%bContent-Length: 3\r\n\r\nabc",
    ),
    "compressed": (
        b"Content-Encoding: gzip\r\nContent-Length: 2\r\n",
        b"\x1f\x8b",
        b"Content-Encoding: gzip\r\nContent-Length: 2\r\n%b\r\n\x1f\x8b",
    ),
}


@pytest.mark.parametrize("what", REQUESTS)
async def test_a_request_reaches_the_legacy_server_as_it_was_said(what: str) -> None:
    said, expected = REQUESTS[what]
    legacy = Legacy()
    async with passing(legacy) as made:
        await made.heard(said + CLOSE + b"\r\n")
        assert legacy.got == [expected.replace(b"LEGACY", made.host) + VIA + b"\r\n"]


@pytest.mark.parametrize("framing", BODIES)
async def test_a_request_body_reaches_the_legacy_server_in_its_framing(framing: str) -> None:
    head, body, expected = BODIES[framing]
    legacy = Legacy()
    async with passing(legacy) as made:
        await made.heard(b"POST /a HTTP/1.1\r\nHost: a.example\r\n" + CLOSE + head + b"\r\n" + body)
        assert legacy.got == [b"POST /a HTTP/1.1\r\nHost: " + made.host + b"\r\n" + expected % VIA]


# What the legacy server says to a GET, and what of it the client hears.
ANSWERS: Final = {
    "order, case and repetition are kept": (
        b"HTTP/1.1 200 OK\r\nx-b: 2\r\nSet-Cookie: a=1\r\nX-A: 1\r\nSet-Cookie: b=2\r\n"
        b"content-length: 2\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nx-b: 2\r\nSet-Cookie: a=1\r\nX-A: 1\r\nSet-Cookie: b=2\r\n"
        b"content-length: 2\r\n%b\r\nhi",
    ),
    "Latin-1 and UTF-8 bytes are kept": (
        b"HTTP/1.1 200 OK\r\nX-A: Cl\xednica\r\nX-B: Mar\xc3\xada\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX-A: Cl\xednica\r\nX-B: Mar\xc3\xada\r\nContent-Length: 0\r\n%b\r\n",
    ),
    "the reason is kept": (
        b"HTTP/1.1 418 Teter\xeda\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 418 Teter\xeda\r\nContent-Length: 0\r\n%b\r\n",
    ),
    "no reason stays none": (
        b"HTTP/1.1 299 \r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 299 \r\nContent-Length: 0\r\n%b\r\n",
    ),
    "hop-by-hop fields and what Connection names stay here": (
        b"HTTP/1.1 200 OK\r\nConnection: close, X-A\r\nKeep-Alive: 5\r\nX-A: 1\r\nX-B: 2\r\nUpgrade: h2c\r\n"
        b"Trailer: X-T\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX-B: 2\r\nContent-Length: 0\r\n%b\r\n",
    ),
    "a line may be as long as a head": (
        b"HTTP/1.1 200 OK\r\nSet-Cookie: " + b"c" * 60_000 + b"\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nSet-Cookie: " + b"c" * 60_000 + b"\r\nContent-Length: 0\r\n%b\r\n",
    ),
    "a redirect is not followed": (
        b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n%b\r\n",
    ),
    "nothing is decompressed": (
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n\x1f\x8b",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n%b\r\n\x1f\x8b",
    ),
    "a chunked body stays chunked": (
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\nTrailer: X-T\r\n\r\n"
        b"2\r\nhi\r\n0\r\nX-T: 1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n%bTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
    ),
    "a length beside chunks goes": (
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n%bTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
    ),
    "204 has no body and no framing": (
        b"HTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\nX-A: 1\r\n%b\r\n",
    ),
    "304 keeps the length that it speaks of": (
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nETag: x\r\n\r\n",
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nETag: x\r\n%b\r\n",
    ),
    "a 1xx comes before": (
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nConnection: X-A\r\nX-A: 1\r\n\r\n" + OK,
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nVia: 1.1 michiq-proxy\r\n\r\n"
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n%b\r\n",
    ),
}


@pytest.mark.parametrize("what", ANSWERS)
async def test_an_answer_reaches_the_client_as_it_was_given(what: str) -> None:
    given, expected = ANSWERS[what]
    # Chunked answers show where Connection stands; in all others it comes right after what is added.
    added = ADDED if b"chunked" in expected else LAST
    async with passing(Legacy(given)) as made:
        assert await made.heard(GET) == expected % added


async def test_the_answer_to_HEAD_has_its_length_and_no_body() -> None:
    legacy = Legacy(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", OK)
    async with passing(legacy) as made, made.client() as client:
        await client.say(b"HEAD /a HTTP/1.1\r\nHost: a.example\r\n\r\n")
        await client.hears(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n" + ADDED + b"\r\n")
        # Whatever came after it would be taken for the next answer.
        assert await client.heard(GET) == b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n" + LAST + b"\r\n"
        assert legacy.got[0].startswith(b"HEAD /a HTTP/1.1\r\n")


async def test_an_answer_that_ends_with_the_connection_is_chunked() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_bytes(reader)
        writer.write(b"HTTP/1.0 200 OK\r\n\r\nhi")

    async with passing(script) as made:
        framing = ADDED + b"Transfer-Encoding: chunked\r\nConnection: close\r\n"
        assert await made.heard(GET) == b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n2\r\nhi\r\n0\r\n\r\n"


# What an HTTP/1.0 client hears for an answer of the legacy server.
OLD_CLIENTS: Final = {
    "chunks are undone": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\n" + ADDED + b"\r\nhi",
    ),
    "no 1xx comes before": (
        b"HTTP/1.1 103 Early Hints\r\n\r\n" + OK,
        b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n" + ADDED + b"\r\n",
    ),
}


@pytest.mark.parametrize("what", OLD_CLIENTS)
async def test_an_HTTP_1_0_client_gets_what_it_understands(what: str) -> None:
    given, expected = OLD_CLIENTS[what]
    legacy = Legacy(given)
    async with passing(legacy) as made:
        said = b"POST /a HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi"
        assert await made.heard(said) == expected
        # It waits for no 100, and knows no Host.
        sent = b"POST /a HTTP/1.1\r\nContent-Length: 2\r\nVia: 1.1 michiq-proxy\r\nHost: %b\r\n\r\nhi"
        assert legacy.got == [sent % made.host]


async def test_an_HTTP_1_0_client_may_keep_its_connection() -> None:
    async with passing(Legacy()) as made, made.client() as client:
        for _ in range(2):
            await client.say(b"GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            head = b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n"
            await client.hears(head + ADDED + b"Connection: keep-alive\r\n\r\n")


async def test_a_base_address_may_have_a_path() -> None:
    legacy = Legacy()
    async with passing(legacy, base="/old/server/") as made:
        await made.heard(b"GET /a?b HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n")
        assert legacy.got[0].startswith(b"GET /old/server/a?b HTTP/1.1\r\n")


# What Connection and the plan make of a client's own fields.
PLANS: Final = {
    "Authorization is left": (replace(PLAN), b"Authorization: Bearer a\r\n", b"Authorization: Bearer a\r\n"),
    "Authorization is replaced where it stood": (
        replace(PLAN, authorization=b"Bearer b"),
        b"authorization: Bearer a\r\nX-A: 1\r\nAuthorization: Bearer c\r\n",
        b"authorization: Bearer b\r\nX-A: 1\r\n",
    ),
    "Authorization is taken out": (
        replace(PLAN, authorization=b""),
        b"authorization: Bearer a\r\nX-A: 1\r\n",
        b"X-A: 1\r\n",
    ),
    "Authorization is put in": (
        replace(PLAN, authorization=b"Bearer b"),
        b"X-A: 1\r\n",
        b"X-A: 1\r\nAuthorization: Bearer b\r\n",
    ),
    "a secret of ours stays here": (
        replace(PLAN, drop=frozenset({b"x-michiq-tester"})),
        b"X-A: 1\r\nX-Michiq-TESTER: new s\r\nX-B: 2\r\n",
        b"X-A: 1\r\nX-B: 2\r\n",
    ),
}


@pytest.mark.parametrize("what", PLANS)
async def test_a_plan_changes_only_the_fields_that_it_names(what: str) -> None:
    plan, said, sent = PLANS[what]
    legacy = Legacy()
    async with passing(legacy, plan) as made:
        await made.heard(b"GET / HTTP/1.1\r\nHost: a.example\r\n" + said + CLOSE + b"\r\n")
        assert legacy.got == [b"GET / HTTP/1.1\r\nHost: " + made.host + b"\r\n" + sent + VIA + b"\r\n"]


async def test_fields_are_added_to_the_answer_before_Via() -> None:
    plan = replace(PLAN, extra=(("Deprecation", "@1"), ("Link", "</a>; rel=x")))
    given = b"HTTP/1.1 200 OK\r\nx-request-id: theirs\r\nContent-Length: 0\r\n\r\n"
    expected = b"HTTP/1.1 200 OK\r\nx-request-id: theirs\r\nContent-Length: 0\r\n"
    async with passing(Legacy(given), plan) as made:
        heard = await made.heard(GET)
        assert heard == expected + b"Deprecation: @1\r\nLink: </a>; rel=x\r\n" + VIA + CLOSE + b"\r\n"


# Requests of which two servers could read two different bodies; %b is the body.
AMBIGUOUS: Final = {
    "a length and chunks": b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
    "two lengths": b"Content-Length: 5\r\nContent-Length: 5\r\n",
    "two codings": b"Transfer-Encoding: gzip, chunked\r\n",
    "chunks twice": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
}


@pytest.mark.parametrize("what", AMBIGUOUS)
async def test_a_request_of_two_readings_is_refused(what: str) -> None:
    legacy = Legacy()
    async with passing(legacy) as made:
        said = b"POST / HTTP/1.1\r\nHost: a.example\r\n" + CLOSE + AMBIGUOUS[what] + b"\r\n0\r\n\r\n"
        assert b" 400 " in (await made.heard(said))[:13]
        assert legacy.got == []
