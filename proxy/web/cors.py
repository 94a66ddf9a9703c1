"""Lets browsers call a route from pages of the origins that its mapping names (CONTRACT G02, G09)."""

import re
from typing import Final, TypeAlias

from multidict import CIMultiDict, CIMultiDictProxy

from proxy.errors import Refusal
from proxy.flows.refusals import allowed
from proxy.mapping.models import RouteMapping

Fields: TypeAlias = list[tuple[str, str]]
Headers: TypeAlias = "CIMultiDict[str] | CIMultiDictProxy[str]"

# Browsers cache the answer this long. An origin that is removed from the list has access until then.
_AGE_SECONDS: Final = 600
_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def granted(headers: Headers, mapping: RouteMapping) -> Fields:
    """Returns the fields that allow the page to read the answer; none if its origin is not listed."""
    origins = headers.getall("Origin", [])
    if len(origins) != 1 or origins[0] not in mapping.cors_origins:
        return []
    return [("Access-Control-Allow-Origin", origins[0]), ("Vary", "Origin")]


def preflight(headers: Headers, mapping: RouteMapping) -> Fields:
    """Returns the fields of the answer to a browser's preflight request.

    Raises Refusal for any other OPTIONS. Every requested field is allowed: a field that this proxy does not
    use has no effect.
    """
    fields = granted(headers, mapping)
    if not fields or "Access-Control-Request-Method" not in headers:
        raise Refusal("wrong_method", "wrong-method")
    fields.append(("Access-Control-Allow-Methods", ", ".join(allowed(mapping))))
    if names := _requested(headers):
        fields.append(("Access-Control-Allow-Headers", ", ".join(names)))
    return [*fields, ("Access-Control-Max-Age", str(_AGE_SECONDS))]


def _requested(headers: Headers) -> list[str]:
    """Returns the valid names of the fields that the page will send."""
    asked = ",".join(headers.getall("Access-Control-Request-Headers", []))
    return [name for each in asked.split(",") if _NAME.fullmatch(name := each.strip())]
