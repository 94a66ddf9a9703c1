"""Checks settings and mapping files against each other: each may be right alone, and both a mistake."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from proxy.mapping.complaints import Complaint, did_you_mean
from proxy.mapping.files import read_file
from proxy.mapping.models import EncounterPage, NewCase, RouteMapping
from proxy.mapping.table import Table
from proxy.settings import Settings

# The routes that the new side answers through LlamaChat.
_CHAT_ROUTES: Final = ("query", "speech_to_text")
_OLD_SIDE: Final = frozenset({"legacy", "off"})


def warnings_of(settings: Settings, table: Table) -> Iterator[str]:
    """Yields a sentence for each setting that the mapping files need and that is not set."""
    if settings.llamachat_url is None and (routes := without_llamachat(table)):
        yield f"MICHIQ_LLAMACHAT_URL is not set: the new side can't answer {' and '.join(routes)}"
    if not settings.webhook_secrets and table.routes["new_case"].mapping.mode not in _OLD_SIDE:
        yield "MICHIQ_WEBHOOK_SECRETS is not set: no report reaches doc and encounters"


def without_llamachat(table: Table) -> list[str]:
    """Returns the routes that are useless without LlamaChat."""
    return [name for name in _CHAT_ROUTES if table.routes[name].mapping.mode not in _OLD_SIDE]


def strangers(folder: Path, table: Table) -> Iterator[Complaint]:
    """Yields a complaint for each organization that organizations.toml doesn't name: most likely misspelt."""
    known = table.organizations.known
    for route, each in table.routes.items():
        file = read_file(folder / f"{route}.toml")
        for key, name in _named(each.mapping):
            if name not in known:
                hint = did_you_mean(name, known)
                yield file.complaint(key, f"organizations.toml does not name {name}{hint}")


def _named(mapping: RouteMapping) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yields the key and the name of each organization in a mapping."""
    for kind in ("allow", "deny"):
        yield from ((("canary", kind), name) for name in getattr(mapping.canary, kind))
    for brownout in mapping.brownouts:
        yield from ((("brownouts",), name) for name in brownout.organizations or ())
    if isinstance(mapping, NewCase | EncounterPage):
        yield from ((("organizations", name), name) for name in mapping.organizations)
