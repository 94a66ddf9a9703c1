"""Says who still calls each route, and who has stopped: of the last 90 days."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Final

from proxy.mapping.table import Table
from proxy.store import Store
from proxy.store.audit.last_calls import CallerKey, LastCall, Named
from proxy.store.sealing.sealer import shown_hash

SEEN: Final = timedelta(days=90)
RECENT: Final = timedelta(days=7)
SILENT: Final = timedelta(days=14)

_SHOWN: Final = 200


@dataclass(frozen=True, slots=True)
class ClientRow:
    """The calls of an organization with one key on a route.

    `side` is the side that answered the last of them, "" when none was chosen. `recent` counts the calls of
    the last 7 days, `users` the users and programs with the key; `is_silent` means none for 14 days.
    """

    organization: str = field(repr=False)
    scope: str
    key: str
    agents: Sequence[str] = field(repr=False)
    users: int
    route: str
    side: str
    last: date
    recent: int
    is_silent: bool


@dataclass(frozen=True, slots=True)
class RouteRow:
    """A route with the number of organizations that call it, or have stopped, and the days to its sunset."""

    route: str
    calling: int
    silent: int
    last: date | None
    recent: int
    sunset: date | None
    days_left: int | None


@dataclass(frozen=True, slots=True)
class Leaving:
    """The routes, and the clients that fit the filters: at most 200 `rows` of `total`, last call first."""

    routes: Sequence[RouteRow]
    rows: Sequence[ClientRow]
    total: int


@dataclass(frozen=True, slots=True)
class ClientFilters:
    """The filters of the clients; None is no filter. `scope` is an organization's keyed hash."""

    route: str | None = None
    scope: str | None = None
    silent: bool = False


async def leaving(store: Store, table: Table, filters: ClientFilters, now: datetime) -> Leaving:
    """Returns who calls the routes. Raises StoreError."""
    today = now.date()
    calls = await store.last_calls.all(table.routes, today - SEEN, today - RECENT)
    found = [each for each in calls if _fits(each, filters, today)]
    found.sort(key=lambda each: (-each.last.toordinal(), -each.recent, each.route))
    shown = found[:_SHOWN]
    named = await store.last_calls.named({each.caller for each in shown})
    routes = [_route_row(name, table, calls, today) for name in table.routes]
    return Leaving(routes, [_row(each, named, today) for each in shown], len(found))


def _fits(call: LastCall, filters: ClientFilters, today: date) -> bool:
    return (
        filters.route in (None, call.route)
        and filters.scope in (None, call.caller.organization)
        and (not filters.silent or _is_silent(call.last, today))
    )


def _row(call: LastCall, named: Mapping[CallerKey, Named], today: date) -> ClientRow:
    name = named.get(call.caller, Named("", ()))
    return ClientRow(
        organization=name.organization,
        scope=call.caller.organization,
        key=shown_hash(call.caller.key),
        agents=name.agents,
        users=call.users,
        route=call.route,
        side=call.side,
        last=call.last,
        recent=call.recent,
        is_silent=_is_silent(call.last, today),
    )


def _route_row(route: str, table: Table, calls: Sequence[LastCall], today: date) -> RouteRow:
    own = [each for each in calls if each.route == route]
    calling = {each.caller.organization for each in own if not _is_silent(each.last, today)}
    sunset = table.routes[route].mapping.notice.sunset
    return RouteRow(
        route=route,
        calling=len(calling),
        silent=len({each.caller.organization for each in own} - calling),
        last=max((each.last for each in own), default=None),
        recent=sum(each.recent for each in own),
        sunset=sunset,
        days_left=(sunset - today).days if sunset else None,
    )


def _is_silent(last: date, today: date) -> bool:
    return today - last > SILENT
