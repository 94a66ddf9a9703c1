"""Answers a request that is refused, as its mapping says (CONTRACT G08)."""

from typing import Final

from proxy.flows.answers import text
from proxy.mapping.models import RouteMapping
from proxy.values import Answer

CAUSE_HEADER: Final = "X-Michiq-Cause"


def refused(mapping: RouteMapping, kind: str, cause: str) -> Answer:
    """Returns the mapping's answer to a kind of error; the cause is a code without data (CONTRACT G08)."""
    error = mapping.errors[kind]
    headers = [(CAUSE_HEADER, cause)]
    if kind == "wrong_method":
        headers.append(("Allow", ", ".join(allowed(mapping))))
    return text(error.status, error.text, tuple(headers))


def allowed(mapping: RouteMapping) -> tuple[str, ...]:
    """Returns the allowed methods: GET includes HEAD (CONTRACT G02)."""
    return ("GET", "HEAD") if mapping.method == "GET" else (mapping.method,)
