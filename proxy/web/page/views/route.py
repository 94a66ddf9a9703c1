"""Shows one route: the step in force, what the evidence says, its organizations, and its newest changes."""

from typing import Final

from aiohttp import web

from proxy.modes import EVERYONE, Override
from proxy.rollout.evidence.gather import switch_found
from proxy.rollout.operations.overview import LADDER, routes_now
from proxy.rollout.preview.roster import organizations_of
from proxy.store.rollout.processes import Process
from proxy.web.admin.keys import FOLLOWER
from proxy.web.admin.route_names import route_in_path
from proxy.web.keys import DEPS, LIVE
from proxy.web.page.rendering import render
from proxy.web.page.views.change import UNDO_SECONDS, undoable
from proxy.web.page.views.charts import charts_of

_CHANGES: Final = 20
_ORGANIZATIONS: Final = 200  # a longer table is for a program
_LONGEST: Final = 8  # characters of a time in an address


async def show(request: web.Request) -> web.StreamResponse:
    await request.app[FOLLOWER].catch_up()
    deps, live, route = request.app[DEPS], request.app[LIVE], route_in_path(request)
    now, snapshot, has_legacy = deps.effects.clock(), live.now, deps.upstreams.michiq is not None
    mapping = snapshot.table.routes[route].mapping
    found = await switch_found(deps.store, route, snapshot.table, now)
    changes = await deps.store.overrides.history(limit=_CHANGES, route=route)
    listed = await organizations_of(deps.store, route, snapshot, now, has_legacy=has_legacy)
    return await render(
        request,
        "route.html",
        route=route,
        everyone=next(each for each in routes_now(snapshot, now) if each.route == route),
        override=snapshot.overrides.standing(route, EVERYONE, now),
        ladder=LADDER,
        verdict=found.verdict,
        evidence=found.evidence,
        organizations=sorted(listed, key=lambda each: -each.organization.calls)[:_ORGANIZATIONS],
        others=max(len(listed) - _ORGANIZATIONS, 0),
        changes=changes,
        mapping=mapping,
        digest=snapshot.table.routes[route].digest,
        has_legacy=has_legacy,
        shown=await charts_of(request, route),
        **await _outcome(request, route, changes),
    )


async def _outcome(request: web.Request, route: str, changes: list[Override]) -> dict[str, object]:
    """Returns the outcome of the change that was just made: who follows it, and whether it can be undone."""
    deps, said = request.app[DEPS], request.query.get("made", "")
    made = next((each for each in changes if str(each.revision) == said), None)
    if made is None:
        return {"made": None}
    now, live = deps.effects.clock(), await deps.store.processes.live(deps.effects.clock())
    newest = (await deps.store.overrides.history(limit=1))[0]
    return {
        "made": made,
        "followed": sum(_follows(each, made) for each in live),
        "processes": len(live),
        "took": _seconds(request.query.get("took", "")),
        "may_undo": undoable(newest, made.revision, route, now),
        "undo_seconds": UNDO_SECONDS,
    }


def _follows(process: Process, made: Override) -> bool:
    return process.revision >= made.revision


def _seconds(text: str) -> float | None:
    """Returns the seconds of an address; None when they are no such number."""
    whole, _, tenth = text.partition(".")
    return float(text) if whole.isdecimal() and tenth.isdecimal() and len(text) < _LONGEST else None
