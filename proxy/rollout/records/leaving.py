"""Says who still calls each route, and who has stopped."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Final

from proxy.mapping.table import Table
from proxy.store import Store
from proxy.store.audit.last_calls import CallerKey, LastCall, Named
from proxy.store.sealing.sealer import shown_hash

RECENT: Final = timedelta(days=30)
SILENT: Final = timedelta(days=14)

_SHOWN: Final = 200


@dataclass(frozen=True, slots=True)
class ClientRow:
    """The calls of an organization with one key on a route.

    `side` is the side that answered the last of them, "" when none was chosen. `recent` counts the calls of
    the last 30 days, `users` the users and programs with the key; `is_silent` means none for 14 days.
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
    calls = await store.last_calls.all(today - RECENT)
    grouped = _grouped(calls)
    found = [key for key, rows in grouped.items() if _fits(key, rows, filters, today)]
    ordered = sorted(found, key=lambda key: (-_last(grouped[key]).toordinal(), key[1], key[0].organization))
    shown = ordered[:_SHOWN]
    named = await store.last_calls.named({caller for caller, _ in shown})
    rows = [_row(*key, grouped[key], named, today) for key in shown]
    routes = [_route_row(name, table, calls, today) for name in table.routes]
    return Leaving(routes, rows, len(ordered))


_Key = tuple[CallerKey, str]


def _grouped(calls: Sequence[LastCall]) -> Mapping[_Key, Sequence[LastCall]]:
    grouped: defaultdict[_Key, list[LastCall]] = defaultdict(list)
    for each in calls:
        grouped[each.caller, each.route].append(each)
    return grouped


def _fits(key: _Key, rows: Sequence[LastCall], filters: ClientFilters, today: date) -> bool:
    caller, route = key
    return (
        filters.route in (None, route)
        and filters.scope in (None, caller.organization)
        and (not filters.silent or _is_silent(_last(rows), today))
    )


def _row(
    caller: CallerKey,
    route: str,
    rows: Sequence[LastCall],
    named: Mapping[CallerKey, Named],
    today: date,
) -> ClientRow:
    newest = max(rows, key=lambda each: (each.last, each.side))
    name = named.get(caller, Named("", ()))
    return ClientRow(
        organization=name.organization,
        scope=caller.organization,
        key=shown_hash(caller.key),
        agents=name.agents,
        users=max(each.users for each in rows),
        route=route,
        side=newest.side,
        last=newest.last,
        recent=sum(each.recent for each in rows),
        is_silent=_is_silent(newest.last, today),
    )


def _route_row(route: str, table: Table, calls: Sequence[LastCall], today: date) -> RouteRow:
    own = [each for each in calls if each.route == route]
    calling = {each.caller.organization for each in own if not _is_silent(each.last, today)}
    sunset = table.routes[route].mapping.notice.sunset
    return RouteRow(
        route=route,
        calling=len(calling),
        silent=len({each.caller.organization for each in own} - calling),
        last=_last(own) if own else None,
        recent=sum(each.recent for each in own),
        sunset=sunset,
        days_left=(sunset - today).days if sunset else None,
    )


def _last(rows: Sequence[LastCall]) -> date:
    return max(each.last for each in rows)


def _is_silent(last: date, today: date) -> bool:
    return today - last > SILENT
