"""Shows what the two sides' answers differ in, and notes what an operator says of a difference."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from aiohttp import web
from multidict import MultiMapping

from proxy.mapping.models import RouteMapping
from proxy.mapping.table import Route
from proxy.rollout.evidence.differing import (
    CURRENT,
    EVERY,
    BadCursor,
    RouteSums,
    ShownDifference,
    find_differences,
    suggested_rules,
)
from proxy.rollout.evidence.field_tree import field_tree
from proxy.rollout.operations.organization_names import shown_names
from proxy.store.rollout.explanations import BadReason, DifferenceKey, NoSuchDifference
from proxy.web.admin.inputs import in_query
from proxy.web.admin.keys import ACTOR
from proxy.web.admin.route_names import named_route
from proxy.web.keys import DEPS, LIVE
from proxy.web.page.access import redirect
from proxy.web.page.errors import PageError
from proxy.web.page.keys import FORM
from proxy.web.page.rendering import render

_SHOWN: Final = 100
_DIGEST: Final = re.compile("[0-9a-f]{12}")
_KEY: Final = ("route", "path", "kind", "control_type", "candidate_type")


@dataclass(frozen=True, slots=True)
class _Row:
    """A difference's row; `number` tells it from the view's other rows, `rules` are lines of TOML."""

    number: str
    field: str
    one: ShownDifference
    rules: Mapping[str, str]
    organizations: Sequence[str]


@dataclass(frozen=True, slots=True)
class _GroupShown:
    path: str
    depth: int
    rows: Sequence[_Row]


@dataclass(frozen=True, slots=True)
class _RouteShown:
    """A route's part of the view; `digest` is of the mapping in force, `allowed` in percent."""

    name: str
    digest: str
    allowed: float
    sums: RouteSums
    groups: Sequence[_GroupShown]


async def show(request: web.Request) -> web.StreamResponse:
    """Shows the most frequent differences, by route and field; the query has `route`, `mapping`, `cursor`."""
    return await _shown(request)


async def explain(request: web.Request) -> web.StreamResponse:
    """Notes the operator's reason for a difference; no figure and no verdict changes."""
    deps, form = request.app[DEPS], request[FORM]
    key = DifferenceKey(**{name: form.get(name, "") for name in _KEY})
    at, actor = deps.effects.clock(), request[ACTOR]
    try:
        await deps.store.explanations.explain_difference(actor, key, form.get("reason", ""), at, via="page")
    except NoSuchDifference:
        raise PageError(404, "nothing") from None
    except BadReason:
        return await _shown(request, 422, refused=True)
    return redirect(
        _address({"route": form.get("shown", ""), "mapping": form.get("mapping", ""), "noted": "1"})
    )


async def _shown(request: web.Request, status: int = 200, *, refused: bool = False) -> web.StreamResponse:
    form = request.get(FORM)
    asked: MultiMapping[str] = request.query if form is None else form
    table, store = request.app[LIVE].now.table, request.app[DEPS].store
    route = named_route(request, asked.get("route" if form is None else "shown") or None, in_query("route"))
    mapping = asked.get("mapping") or CURRENT
    if mapping not in (CURRENT, EVERY) and not _DIGEST.fullmatch(mapping):
        mapping = CURRENT
    cursor = asked.get("cursor")
    try:
        found = await find_differences(
            store, table, route=route, mapping=mapping, limit=_SHOWN, after=cursor or None
        )
    except BadCursor:
        raise PageError(404, "nothing") from None
    hashes = {each for one in found.differences for each in one.group.organizations}
    names = await shown_names(store, hashes, table.organizations.known)
    here = {"route": route or "", "mapping": mapping}
    return await render(
        request,
        "differences.html",
        status,
        refused=refused,
        noted="noted" in request.query,
        route=route,
        mapping=mapping,
        routes=[*table.routes],
        shown=[
            _route_shown(table.routes[name], name, sums, found.differences, names)
            for name, sums in found.routes.items()
        ],
        is_later=bool(cursor),
        compared=sum(sums.comparisons for sums in found.routes.values()),
        following=_address({**here, "cursor": found.after}) if found.after else None,
        newest=_address(here),
    )


def _route_shown(
    route: Route[RouteMapping],
    name: str,
    sums: RouteSums,
    differences: Iterable[ShownDifference],
    names: Mapping[str, str],
) -> _RouteShown:
    own = [each for each in differences if each.group.route == name]
    groups = [
        _GroupShown(
            group.path,
            group.depth,
            [
                _Row(
                    number=f"{name}-{place}-{number}",
                    field=field,
                    one=one,
                    rules=suggested_rules(route.mapping.compare, one.group),
                    organizations=sorted(names[each] for each in one.group.organizations),
                )
                for number, (field, one) in enumerate(group.fields)
            ],
        )
        for place, group in enumerate(field_tree(own))
    ]
    return _RouteShown(name, route.digest, route.mapping.switch.max_difference_percent, sums, groups)


def _address(query: Mapping[str, str]) -> str:
    given = {name: value for name, value in query.items() if value and value != CURRENT}
    return f"/differences?{urlencode(given)}" if given else "/differences"
