"""Shows stored requests by filters, and what happened to one of them."""

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlencode

from aiohttp import web

from proxy.rollout.explain.sentences import Language
from proxy.rollout.explain.timeline import explained
from proxy.rollout.operations.organization_names import shown_names
from proxy.rollout.operations.request_filters import NAMES, BadFilter, read_filters
from proxy.store.audit.request_traces import RequestRow, RequestTrace
from proxy.web.cursors import decoded, page_of
from proxy.web.keys import DEPS, LIVE
from proxy.web.page.rendering import render, words

_SHOWN: Final = 50
_TIMES: Final = ("since", "until")


async def show(request: web.Request) -> web.StreamResponse:
    """Shows the newest requests that fit the filters in the query."""
    deps, table = request.app[DEPS], request.app[LIVE].now.table
    asked = {name: request.query.get(name, "") for name in NAMES}
    wrong, before, rows, following = None, _before(request), list[RequestRow](), None
    try:
        filters = read_filters(asked, table.routes, deps.store, deps.effects.clock())
    except BadFilter as bad:
        wrong = bad.name
    else:
        found = await deps.store.stories.search(filters, limit=_SHOWN + 1, before=before)
        shown, following = page_of(found, _SHOWN, lambda each: each.id)
        rows = [*shown]
    known = table.organizations.known
    return await render(
        request,
        "requests.html",
        422 if wrong else 200,
        asked=asked,
        wrong=wrong,
        rows=rows,
        names=await _names(request, {each.organization for each in rows}),
        routes=[*table.routes],
        organizations=sorted({*known, *await deps.store.ledger.organizations()}),
        is_filtered=any(asked.values()),
        is_later=before is not None,
        newest=_address(asked),
        following=_address(asked, following) if following else None,
        at_any_time=_address({name: text for name, text in asked.items() if name not in _TIMES}),
    )


async def show_one(request: web.Request) -> web.StreamResponse:
    """Shows what happened to the requests with an id."""
    request_id, texts = request.match_info["request_id"], await words(request)
    # No request has had an id with other signs, and not every database can be asked for them.
    traces = await request.app[DEPS].store.stories.of(request_id) if request_id.isprintable() else []
    language = Language(texts.gettext, texts.ngettext, texts.number)
    facts = next((each for each in traces if each.status), None)
    return await render(
        request,
        "request.html",
        200 if traces else 404,
        request_id=request_id,
        facts=facts,
        organization=await _organization(request, facts),
        traces=[explained(each, language) for each in traces],
    )


async def _organization(request: web.Request, facts: RequestTrace | None) -> str:
    if facts is None or not facts.organization:
        return ""
    return (await _names(request, {facts.organization}))[facts.organization]


async def _names(request: web.Request, hashes: set[str]) -> Mapping[str, str]:
    return await shown_names(request.app[DEPS].store, hashes, request.app[LIVE].now.table.organizations.known)


def _before(request: web.Request) -> int | None:
    """Returns the row where the list goes on; a broken cursor is the list's beginning."""
    try:
        return decoded(request.query["cursor"]) if "cursor" in request.query else None
    except ValueError:
        return None


def _address(asked: Mapping[str, str], cursor: str | None = None) -> str:
    given = {name: text for name, text in asked.items() if text} | ({"cursor": cursor} if cursor else {})
    return f"/requests?{urlencode(given)}" if given else "/requests"
