"""Lists stored requests by filters, and explains one."""

from typing import Annotated

from aiohttp import web
from pydantic import Field

from proxy.flows.answers import json
from proxy.rollout.operations.organization_names import names_of
from proxy.rollout.operations.request_filters import NAMES, BadFilter, read_filters, request_json
from proxy.server.responses import respond
from proxy.times import rfc3339
from proxy.values import Json
from proxy.web.admin.inputs import PageQuery, Whole, in_query, read_query
from proxy.web.admin.problems import Problem, invalid
from proxy.web.cursors import Cursor, page_of
from proxy.web.keys import DEPS, LIVE


class _Search(PageQuery):
    limit: Annotated[Whole, Field(ge=1, le=1000)] = 100
    cursor: Cursor | None = None
    route: str = ""
    organization: str = ""
    status: str = ""
    cause: str = ""
    side: str = ""
    failed: str = ""
    since: str = ""
    until: str = ""
    id: str = ""


async def search(request: web.Request) -> web.StreamResponse:
    """Returns the requests that fit all filters, newest first."""
    wanted, deps, table = read_query(request, _Search), request.app[DEPS], request.app[LIVE].now.table
    try:
        texts = {name: getattr(wanted, name) for name in NAMES}
        filters = read_filters(texts, table.routes, deps.store, deps.effects.clock())
    except BadFilter as bad:
        raise invalid([{**in_query(bad.name), "detail": str(bad)}]) from None
    found = await deps.store.stories.search(filters, limit=wanted.limit + 1, before=wanted.cursor)
    rows, following = page_of(found, wanted.limit, lambda each: each.id)
    names = await names_of(deps.store, {each.organization for each in rows}, table.organizations.known)
    shown: list[Json] = [request_json(each, names) for each in rows]
    return respond(json(200, {"requests": shown, "next": following}))


async def explain(request: web.Request) -> web.StreamResponse:
    """Returns what happened to the requests with an id: a client may have used it more than once."""
    request_id = request.match_info["request_id"]
    # No request has had an id with other signs, and not every database can be asked for them.
    stories = await request.app[DEPS].store.stories.of(request_id) if request_id.isprintable() else []
    if not stories:
        raise Problem(404, "no stored request has this id")
    found: list[Json] = [{"at": rfc3339(each.at), "story": each.story} for each in stories]
    return respond(json(200, {"request_id": request_id, "stories": found}))
