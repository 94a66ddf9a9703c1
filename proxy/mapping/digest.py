"""Computes a route's digest: it changes with what shapes or compares the route's answers, and only then."""

import json
from hashlib import sha256
from typing import Final

from proxy.mapping.models import NewCase, Query, RouteMapping, SpeechToText
from proxy.mapping.table import Organizations
from proxy.values import Json

_DIGITS: Final = 12
# These only say who answers, how often both sides are asked, or how much evidence is enough.
_MOVING: Final = frozenset(
    {
        "mode",
        "canary_percent",
        "canary",
        "unknown_to_legacy",
        "step_back",
        "shadow",
        "switch",
        "notice",
        "brownouts",
    }
)


def route_digest(mapping: RouteMapping, organizations: Organizations) -> str:
    """Returns 12 hex digits.

    A key with its default value has no part in it: so a later release that only adds keys leaves it as it is.
    Neither has the value of a secret.
    """
    shaping: Json = mapping.model_dump(mode="json", exclude=set(_MOVING), exclude_defaults=True)
    whole: Json = [shaping, _used(mapping, organizations)]
    return sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()[:_DIGITS]


def _used(mapping: RouteMapping, organizations: Organizations) -> Json:
    """Returns what the route uses of organizations.toml; an entry that changes nothing has no part in it."""
    known = organizations.known.items()
    match mapping:
        case NewCase():
            sent: dict[str, Json] = {
                name: organizations.send_as(name) for name, _ in known if organizations.send_as(name) != name
            }
            listed: dict[str, Json] = {name: [*each.domains] for name, each in known}
            return [sent, {} if mapping.provision == "any" else listed]
        case Query() | SpeechToText():
            return [*sorted(organizations.chat_keys)]
        case _:
            return None
