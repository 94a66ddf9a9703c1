"""Finds what is wrong with the result of an input."""

import base64
import json
from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import quote

from proxy.mapping.table import Table
from tests.hostile.sound import NONE, STEM, Hostile
from tests.hostile.talking import Answer, Heard

# Answers without a mapping: what is no HTTP, no route, and nobody's route; the webhook's are JSON.
_CONSTANT: Final = {
    (400, "Solicitud incorrecta"),
    (404, "Not Found"),
    (405, "Method Not Allowed"),
    (417, "Solicitud incorrecta"),
    (503, "Servicio no disponible"),
}
_WEBHOOK: Final = {
    (400, '{"error":"Not a known event"}'),
    (400, '{"error":"The body can\'t be read"}'),
    (401, '{"error":"Invalid signature"}'),
    (413, '{"error":"The body can\'t be read"}'),
}


def documented(table: Table) -> frozenset[tuple[int, str]]:
    """Returns every documented answer to a fault."""
    mapped = {
        (error.status, error.text)
        for route in table.routes.values()
        for error in route.mapping.errors.values()
    }
    return frozenset(mapped | _CONSTANT | _WEBHOOK)


def complaints(hostile: Hostile, heard: Heard, known: frozenset[tuple[int, str]]) -> list[str]:
    """Empty for an input that was answered as it had to be."""
    return [f"{hostile.name}: {each}" for each in _complaints(hostile, heard, known)]


def _complaints(hostile: Hostile, heard: Heard, known: frozenset[tuple[int, str]]) -> Iterator[str]:
    if heard.hung:
        yield "no end"
    if heard.reset and not heard.answers:
        yield "reset without an answer"
    if heard.rest:
        yield f"something that is no answer: {heard.rest[:60]!r}"
    if not heard.answers and NONE not in hostile.statuses:
        yield "no answer"
    if len(heard.answers) > hostile.answers:
        yield f"{len(heard.answers)} answers to {hostile.answers} requests"
    for answer in heard.answers:
        yield from _of_answer(hostile, answer, known)


def _of_answer(hostile: Hostile, answer: Answer, known: frozenset[tuple[int, str]]) -> Iterator[str]:
    text = answer.body.decode("utf-8", "replace")
    if answer.status not in hostile.statuses:
        yield f"{answer.status} {text[:60]}, cause {answer.header('X-Michiq-Cause')}"
    if answer.status >= 400 and text and (answer.status, text) not in known:
        yield f"an answer that nobody wrote down: {answer.status} {text[:60]}"
    if answer.header("X-Michiq-Cause") == "internal":
        yield "a fault of the proxy itself"
    if answer.header("X-Request-ID") is None:
        yield "no id"
    if answer.header("Server") is not None:
        yield "a banner"
    if STEM in repr(answer.headers) or (answer.status >= 400 and STEM in text):
        yield "a canary in the answer"


def leaks(text: bytes, secrets: Mapping[str, bytes]) -> list[str]:
    """The names of the secrets that a text shows, in whatever form."""
    small = text.decode("utf-8", "replace").lower().encode()
    return [
        name
        for name, secret in secrets.items()
        if any(form in small for form in _escaped(secret)) or any(form in text for form in _packed(secret))
    ]


def _escaped(secret: bytes) -> set[bytes]:
    """Returns the secret as it is, escaped for URLs, JSON and Python, and in hexadecimal; in lower case."""
    text = secret.decode("utf-8", "replace")
    forms = [text, quote(text, safe=""), json.dumps(text)[1:-1], repr(secret)[2:-1], secret.hex()]
    return {form.lower().encode() for form in forms}


def _packed(secret: bytes) -> Iterator[bytes]:
    """Yields the secret in base64, at any position of a longer text, less the letters that others change."""
    for before in range(3):
        size = before + len(secret)
        packed = base64.b64encode(bytes(before) + secret)[-(-before * 8 // 6) : size * 8 // 6]
        yield packed
        yield packed.translate(bytes.maketrans(b"+/", b"-_"))
