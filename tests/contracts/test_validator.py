"""The validator bites: what was recorded passes, and each small lie about it is named."""

from collections.abc import Callable
from dataclasses import replace
from typing import Final, TypeAlias

import pytest

from tests.contracts.description import LEGACY, LLAMACHAT, LLAMALITICA
from tests.contracts.exchange import Exchange, Message
from tests.contracts.recording import Recorded

Lie: TypeAlias = Callable[[Exchange], Exchange]

NEW_CASE: Final = ("POST", "/michiQ/newCase")


def found(recorded: Recorded, side: str, method: str, path: str, status: int) -> Exchange:
    """The first recorded exchange of a kind; the path by its beginning."""
    every: tuple[Exchange, ...] = getattr(recorded, side)
    return next(
        each
        for each in every
        if (each.method, each.status) == (method, status) and each.path.startswith(path)
    )


def status(number: int) -> Lie:
    return lambda exchange: replace(exchange, status=number)


def body(old: bytes, new: bytes) -> Lie:
    """`old` has to be there, so that no lie is a truth by mistake."""

    def told(exchange: Exchange) -> Exchange:
        assert old in exchange.answer.body
        changed = exchange.answer.body.replace(old, new, 1)
        return replace(exchange, answer=replace(exchange.answer, body=changed))

    return told


def header(name: str, value: str | None) -> Lie:
    return lambda exchange: replace(exchange, answer=_with_header(exchange.answer, name, value))


def asked_header(name: str, value: str | None) -> Lie:
    return lambda exchange: replace(exchange, request=_with_header(exchange.request, name, value))


def asked_body(old: bytes, new: bytes) -> Lie:
    def told(exchange: Exchange) -> Exchange:
        assert old in exchange.request.body
        changed = exchange.request.body.replace(old, new, 1)
        return replace(exchange, request=replace(exchange.request, body=changed))

    return told


def query(value: str) -> Lie:
    return lambda exchange: replace(exchange, query=value)


def _with_header(message: Message, name: str, value: str | None) -> Message:
    others = tuple(each for each in message.headers if each[0].lower() != name.lower())
    return replace(message, headers=others if value is None else (*others, (name, value)))


@pytest.mark.parametrize(
    ("method", "path", "code", "lie", "said"),
    [
        (*NEW_CASE, 200, status(201), "not documented"),
        (*NEW_CASE, 401, status(403), "not documented"),
        (*NEW_CASE, 200, body(b'"michiq_uuid"', b'"MichiqUUID"'), "michiq_uuid"),
        (*NEW_CASE, 200, body(b'"voice":', b'"voices":'), "voice"),
        (*NEW_CASE, 200, body(b'"documents":', b'"extra":1,"documents":'), "extra"),
        (*NEW_CASE, 200, body(b"You are inside", b"You are within"), "message"),
        (*NEW_CASE, 200, body(b'"voice":', b'"voice":-'), "voice"),
        (*NEW_CASE, 200, body(b"}", b""), "can't be read"),
        (*NEW_CASE, 200, header("Content-Type", "text/html"), "content type"),
        (*NEW_CASE, 200, header("Content-Type", "application/json; charset=latin-1"), "content type"),
        (*NEW_CASE, 200, header("Content-Type", None), "content type"),
        (*NEW_CASE, 401, body(b"Unauthorized", b"unauthorized"), "Unauthorized"),
        (*NEW_CASE, 401, header("Content-Type", "text/plain"), "content type"),
        (*NEW_CASE, 500, body(b"Error", b"Traceback"), "Traceback"),
        (*NEW_CASE, 400, body(b"Solicitud", b"<html>"), "<html>"),
        ("GET", "/michiQ/newCase", 405, header("Allow", None), "Allow is missing"),
        ("GET", "/michiQ/newCase", 405, header("Allow", "GET"), "Allow"),
        ("GET", "/michiQ/newCase", 405, body(b"no permitido", b"not allowed"), "was expected"),
        ("GET", "/michiQ/doc/", 200, body(b'"creationDate"', b'"CreationDate"'), "creationDate"),
        ("GET", "/michiQ/doc/", 200, body(b'"fileExtension":".', b'"fileExtension":"'), "fileExtension"),
        ("GET", "/michiQ/doc/", 200, body(b'Z","username"', b'","username"'), "does not match"),
        ("GET", "/michiQ/doc/", 200, body(b'"timestamp":"20', b'"timestamp":"yesterday 20'), "date-time"),
        ("GET", "/michiQ/doc/", 200, body("José".encode(), b"Jos\\u00e9"), "ASCII-escaped"),
        ("GET", "/michiQ/encounters", 200, body(b'"TokensInput":', b'"TokensInput":"1","Tokens":'), "Tokens"),
        ("GET", "/michiQ/encounters", 200, body(b'"StructuredData"', b'"structuredData"'), "StructuredData"),
        ("GET", "/michiQ/encounters", 200, body(b"[", b'{"encounters":['), "can't be read"),
        ("HEAD", "/michiQ/encounters", 200, status(204), "not documented"),
        ("POST", "/michiQ/query/", 200, body(b'"response"', b'"Response"'), "response"),
        ("POST", "/michiQ/query/", 400, body(b"E", b"e"), "is not one of"),
        ("POST", "/michiQ/uploadAudio/", 200, body(b"exitosamente", b"correctamente"), "does not match"),
        ("POST", "/michiQ/speechToText/", 200, body(b'Time":"00:', b'Time":"'), "does not match"),
        ("GET", "/app/encounter/", 302, header("Referrer-Policy", None), "Referrer-Policy is missing"),
        ("GET", "/app/encounter/", 302, header("Cache-Control", "private"), "Cache-Control"),
    ],
)
def test_a_changed_answer_is_named(
    method: str, path: str, code: int, lie: Lie, said: str, recorded: Recorded
) -> None:
    told = found(recorded, "proxy", method, path, code)
    assert LEGACY.answer_problems(told) == []
    assert said in "\n".join(LEGACY.answer_problems(lie(told)))


@pytest.mark.parametrize(
    ("side", "path", "lie", "said"),
    [
        ("llamalitica", "/api/users/me", asked_header("X-USER-EMAIL", None), "is missing"),
        ("llamalitica", "/api/users/me", asked_header("X-USER-EMAIL", "ana"), "does not match"),
        ("llamalitica", "/api/users/me", asked_header("X-API-KEY", None), "no credentials"),
        ("llamalitica", "/api/cases", asked_body(b"patientMetadata", b"patient"), "patient"),
        ("llamalitica", "/api/cases", asked_body(b'"name":"', b'"Name":"'), "'name' is a required"),
        ("llamalitica", "/api/cases", asked_body(b'name="files"', b'name="file"'), "'file' was unexpected"),
        ("llamalitica", "/api/cases", asked_body(b"filename", b"filenamen"), "BadForm"),
        ("llamalitica", "/api/cases", asked_header("Content-Type", "application/json"), "content type"),
        ("llamalitica", "/dashboard/cases/", query("config=e30-"), "does not match"),
        ("llamalitica", "/dashboard/cases/", query("config=e30%3D"), "accessToken"),
        ("llamalitica", "/dashboard/cases/", query("other=1"), "config is missing"),
        ("llamachat", "/api/conversations", asked_header("X-Api-Key", None), "no credentials"),
        ("llamachat", "/api/conversations/", asked_body(b'":"', b'":"' + b"a" * 2000), "too long"),
        ("llamachat", "/api/transcription", asked_body(b'name="audio"', b'name="file"'), "'audio' is a"),
        ("events", "/webhooks/", asked_header("X-Webhook-Signature", "A" * 64), "does not match"),
        ("events", "/webhooks/", asked_body(b'"caseId"', b'"caseID"'), "caseId"),
    ],
)
def test_a_changed_request_is_named(side: str, path: str, lie: Lie, said: str, recorded: Recorded) -> None:
    description = LLAMACHAT if side == "llamachat" else LLAMALITICA
    every: tuple[Exchange, ...] = getattr(recorded, side)
    sent = next(each for each in every if each.path.startswith(path) and each.status == 200)
    assert description.request_problems(sent) == []
    assert said in "\n".join(description.request_problems(lie(sent)))
