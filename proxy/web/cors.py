"""Lets browsers call a route from pages of the origins that its mapping names (CONTRACT G02, G09)."""

import re
from typing import Final, TypeAlias

from multidict import CIMultiDict, CIMultiDictProxy

from proxy.errors import Refusal
from proxy.mapping.models import RouteMapping
from proxy.web.responses import allowed

Fields: TypeAlias = list[tuple[str, str]]
Headers: TypeAlias = "CIMultiDict[str] | CIMultiDictProxy[str]"

# How long a browser need not ask again; an origin that is taken off the list is let in so much longer.
_AGE_SECONDS: Final = 600
_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def granted(headers: Headers, mapping: RouteMapping) -> Fields:
    """Returns the fields by which the page that asks may read the answer; none for an origin not listed."""
    origins = headers.getall("Origin", [])
    if len(origins) != 1 or origins[0] not in mapping.cors_origins:
        return []
    return [("Access-Control-Allow-Origin", origins[0]), ("Vary", "Origin")]


def preflight(headers: Headers, mapping: RouteMapping) -> Fields:
    """Returns the fields of the answer to a browser that asks before it calls.

    Raises Refusal for any other OPTIONS. Such a page may send what it likes: a field that this proxy does not
    know changes nothing.
    """
    fields = granted(headers, mapping)
    if not fields or "Access-Control-Request-Method" not in headers:
        raise Refusal("wrong_method", "wrong-method")
    fields.append(("Access-Control-Allow-Methods", ", ".join(allowed(mapping))))
    if names := _requested(headers):
        fields.append(("Access-Control-Allow-Headers", ", ".join(names)))
    return [*fields, ("Access-Control-Max-Age", str(_AGE_SECONDS))]


def _requested(headers: Headers) -> list[str]:
    """The names of the fields that the page means to send, as far as they are names."""
    asked = ",".join(headers.getall("Access-Control-Request-Headers", []))
    return [name for each in asked.split(",") if _NAME.fullmatch(name := each.strip())]
