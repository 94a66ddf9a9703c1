"""What is wrong with what came of an input."""

import base64
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
    """Every answer to a fault that there is."""
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
    lower = text.lower()
    return [
        name
        for name, secret in secrets.items()
        if any(form in (text, lower)[fold] for form, fold in forms(secret))
    ]


def forms(secret: bytes) -> Iterator[tuple[bytes, bool]]:
    """As it is, escaped for URLs, JSON and Python, in hexadecimal, and in base64 at each place; and whether
    it is looked for in a text in small letters."""
    text = secret.decode("utf-8", "replace")
    plain = [secret, quote(secret, safe="").encode(), quote(secret).encode(), secret.hex().encode()]
    escaped = [ascii(text)[1:-1].encode(), repr(secret)[2:-1].encode(), text.encode("latin-1", "replace")]
    for form in {*plain, *escaped}:
        yield form.lower(), True
    for shift in range(3):
        # The bytes next to it change the first and the last letters.
        packed = base64.b64encode(bytes(shift) + secret)
        inner = packed[4 if shift else 0 : -4]
        if len(inner) >= 8:
            yield inner, False
            yield inner.translate(bytes.maketrans(b"+/", b"-_")), False
