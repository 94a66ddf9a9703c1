"""Facts to answers, in the mapping's shape."""

from datetime import UTC, datetime
from typing import Final

from proxy import jsons
from proxy.mapping.models import RouteMapping
from proxy.mapping.table import Route
from proxy.shape import Expression
from proxy.values import Answer, Json

JSON: Final = "application/json"
TEXT: Final = "text/plain; charset=utf-8"


def answer(route: Route[RouteMapping], facts: Json) -> Answer:
    """200: an object for a table of fields, a plain text for a single expression."""
    body = route.answer.over(facts)
    return text(200, str(body)) if isinstance(route.answer, Expression) else json(200, body)


def json(status: int, body: Json, headers: tuple[tuple[str, str], ...] = ()) -> Answer:
    return Answer(status, jsons.dump(body), JSON, headers)


def text(status: int, body: str, headers: tuple[tuple[str, str], ...] = ()) -> Answer:
    return Answer(status, body.encode(), TEXT, headers)


def rfc3339(at: datetime) -> str:
    """UTC with a Z, and no more of the second than there is."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
