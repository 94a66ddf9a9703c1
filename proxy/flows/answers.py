"""Builds answers from facts, in the mapping's shape."""

from typing import Final

from proxy import jsons
from proxy.compressed import Compressed
from proxy.mapping.models import RouteMapping
from proxy.mapping.shape import Expression
from proxy.mapping.table import Route
from proxy.values import Answer, Json

JSON: Final = "application/json"
TEXT: Final = "text/plain; charset=utf-8"


def answer(route: Route[RouteMapping], facts: Json) -> Answer:
    """Returns a 200: a JSON object for a table of fields, a plain text for a single expression."""
    body = route.answer.over(facts)
    return text(200, str(body)) if isinstance(route.answer, Expression) else json(200, body)


def ready(route: Route[RouteMapping], body: bytes | Compressed) -> Answer:
    """Returns the same as `answer`, for a body that is JSON in the mapping's shape already."""
    made = Answer(200, body, JSON)
    return text(200, str(jsons.load(made.read()))) if isinstance(route.answer, Expression) else made


def json(status: int, body: Json, headers: tuple[tuple[str, str], ...] = ()) -> Answer:
    return Answer(status, jsons.dump(body), JSON, headers)


def text(status: int, body: str, headers: tuple[tuple[str, str], ...] = ()) -> Answer:
    return Answer(status, body.encode(), TEXT, headers)
