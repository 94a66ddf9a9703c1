"""Checks of a peer's answers, and of what reached the upstreams, made before anything of it is timed."""

import io
from collections.abc import Callable, Iterator
from typing import Final

import multipart

from tests.bench import bodies, calls
from tests.bench.answers import ENCOUNTERS
from tests.bench.bodies import EHR, TALK, Part
from tests.bench.client import Client, chunked, request
from tests.bench.floor import MESSAGE
from tests.bench.processes import Peer, Upstream
from tests.bench.stage import Stage
from tests.bench.values import Void

_BIG: Final = Part("files", bodies.noise(300_000), "informe ñ.jpg", "image/jpeg")
_TRICKY: Final = Part("files", bodies.TRICKY, "b.jpg", "image/jpeg")
_ENDS_IN_CRLF: Final = Part("files", b"\r\n\r\n", "crlf.jpg", "image/jpeg")
_FORMS: Final = {
    "two files": [TALK, EHR, _BIG, _TRICKY],
    "a record behind the file": [_BIG, TALK, EHR],
    "a file that ends in CRLF": [TALK, EHR, _ENDS_IN_CRLF],
    "no file": [TALK, EHR],
}


class Wrong(Exception):
    """Raised when an answer, or what reached an upstream, isn't what it must be."""


def wrongs(stage: Stage, peer: Peer) -> list[str]:
    """Returns what is wrong with a peer; with anything wrong its speed says nothing."""
    stage.upstream.tell("keep=1")
    try:
        return [
            f"{name}: {why}" for name, check in _checks() if (why := _failure(check, stage.upstream, peer))
        ]
    finally:
        stage.upstream.tell("keep=0")


_Check = Callable[[Upstream, Peer, Client], None]


def _checks() -> Iterator[tuple[str, _Check]]:
    for name, parts in _FORMS.items():
        yield f"newCase with {name}", _new_case(parts, in_chunks=False)
        yield f"newCase with {name}, in chunks", _new_case(parts, in_chunks=True)
    yield "newCase without a key", _without_key
    yield "query", _query
    yield "query without a token", _without_token
    yield "uploadAudio", _audio
    yield "encounters passed through", _encounters


def _failure(check: _Check, upstream: Upstream, peer: Peer) -> str:
    with Client(peer.port) as client:
        try:
            check(upstream, peer, client)
        except (Wrong, Void, OSError, KeyError, ValueError) as error:
            return f"{type(error).__name__} {error}"
    return ""


def _expect(what: str, found: object, wanted: object) -> None:
    if found != wanted:
        raise Wrong(f"{what} is {found!r:.200}, not {wanted!r:.200}")


def _new_case(parts: list[Part], *, in_chunks: bool) -> _Check:
    def check(upstream: Upstream, peer: Peer, client: Client) -> None:
        before = upstream.counts()
        framed = chunked if in_chunks else request
        headers = bodies.identity() | bodies.FORM
        answer = client.send(framed("POST", "/michiQ/newCase", headers, bodies.form(parts)))
        _expect("the status", answer.status, 200)
        made = answer.json()
        _expect("the message", made["message"], MESSAGE)
        _expect("a whole token", len(made["token"]) >= 20 and bool(made["michiq_uuid"]), wanted=True)
        after = upstream.counts()
        _expect("the number of cases made", _more(before, after, "cases"), 1)
        wanted = [(part.filename, part.content) for part in parts if part.filename and part.name == "files"]
        _expect("what arrived of the files", _files(*upstream.last()), wanted)

    return check


def _more(before: dict[str, int], after: dict[str, int], key: str) -> int:
    return after.get(key, 0) - before.get(key, 0)


def _files(content_type: str, body: bytes) -> list[tuple[str, bytes]]:
    """Returns names and contents of a form's files, without what the proxy adds of its own."""
    boundary = content_type.partition("boundary=")[2].strip('"')
    parser = multipart.MultipartParser(io.BytesIO(body), boundary, charset="utf-8")
    found = [(part.filename, part.raw) for part in parser if part.name == "files"]
    return [(name, content) for name, content in found if not name.startswith("conversation")]


def _without_key(upstream: Upstream, peer: Peer, client: Client) -> None:
    answer = client.call("POST", "/michiQ/newCase", bodies.FORM, bodies.small_case())
    _expect("the status", answer.status, 401)


def _query(upstream: Upstream, peer: Peer, client: Client) -> None:
    case, before = calls.new_case(client), upstream.counts()
    for text in ('¿Evolución de la "TAS"?', "otra\npregunta"):
        answer = client.send(case.query(text))
        _expect("the status", answer.status, 200)
        _expect("the answer's end", answer.json()["response"].endswith(text), wanted=True)
    after = upstream.counts()
    _expect("the number of conversations", _more(before, after, "conversations"), 1)
    _expect("the number of messages", _more(before, after, "messages"), 2)


def _without_token(upstream: Upstream, peer: Peer, client: Client) -> None:
    answer = client.call("POST", "/michiQ/query/x", bodies.JSON, bodies.question("¿?"))
    _expect("the status", answer.status, 401)


def _audio(upstream: Upstream, peer: Peer, client: Client) -> None:
    """The floor sends a recording on at once, the proxy keeps it until it is asked for its text."""
    case, before = calls.new_case(client), upstream.counts()
    headers = bodies.bearer(case.token)
    sound = bodies.audio_form(300_000)
    answer = client.call("POST", f"/michiQ/uploadAudio/{case.id}", headers | bodies.FORM, sound)
    _expect("the status", answer.status, 200)
    if peer.kind == "proxy":
        text = client.call("POST", f"/michiQ/speechToText/{case.id}", headers)
        _expect("the status of speechToText", text.status, 200)
    _expect("the number of transcriptions", _more(before, upstream.counts(), "transcriptions"), 1)
    _expect("the whole sound arrived", len(upstream.last()[1]) > 300_000, wanted=True)


def _encounters(upstream: Upstream, peer: Peer, client: Client) -> None:
    answer = client.send(calls.encounters_request())
    _expect("the status", answer.status, 200)
    _expect("the body", answer.body, ENCOUNTERS)
    _expect("a header of the old server's", answer.headers.get("x-request-id"), "bench-1")
    _expect("the status without a token", client.call("GET", "/michiQ/encounters").status, 401)
