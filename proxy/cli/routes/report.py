"""Writes `michiq-proxy routes`: the mappings, what is in force, and which processes don't follow."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from proxy.cli.shared.console import Grid, columns, moment, plural
from proxy.mapping.models import running_brownouts
from proxy.mapping.moving import Brownout
from proxy.mapping.table import Table
from proxy.modes import Overrides
from proxy.rollout.snapshot import InForce, Snapshot
from proxy.store.rollout.processes import Process
from proxy.times import rfc3339
from proxy.values import Json


@dataclass(frozen=True, slots=True)
class Standing:
    """The store's state at `now`. `mappings` is the digest of the listed files."""

    now: datetime
    overrides: Overrides
    processes: Sequence[Process]
    mappings: str
    pending: int


@dataclass(frozen=True, slots=True)
class Now:
    """The mode in force for everyone, its end, and the number of organizations with another one."""

    everyone: InForce
    until: datetime | None
    organizations: int


def in_force(table: Table, standing: Standing) -> dict[str, Now]:
    """Returns what is in force, by route."""
    snapshot = Snapshot(table, standing.overrides)
    return {name: _now(name, snapshot, standing.now) for name in table.routes}


def as_json(table: Table, now: Mapping[str, Now], at: datetime) -> Json:
    """Returns a row for each route."""
    return [
        {
            "route": name,
            "method": route.mapping.method,
            "path": route.mapping.path,
            "mode": route.mapping.mode,
            "timeout_seconds": route.mapping.timeout.total_seconds(),
            "body_limit_bytes": route.mapping.body_limit,
            "brownouts": [_brownout(each) for each in running_brownouts(route.mapping, at)],
            **({"in_force": _json(now[name])} if name in now else {}),
        }
        for name, route in table.routes.items()
    ]


def listing(table: Table, now: Mapping[str, Now], at: datetime) -> Grid:
    """Returns the same rows for a person; an empty `now` leaves its column out."""
    heads = ("route", "method", "path", "mode", *(["in force"] if now else []), "timeout s", "body bytes")
    printed = columns(*heads, wraps=["in force"])
    for name, route in table.routes.items():
        mapping = route.mapping
        sizes = f"{mapping.timeout.total_seconds():g}", str(mapping.body_limit)
        own = [_cell(now[name], at)] if now else []
        printed.add_row(name, mapping.method, mapping.path, mapping.mode, *own, *sizes)
    return printed


def brownouts(table: Table, at: datetime) -> Iterator[str]:
    """Yields a sentence for each route that answers 503 on purpose at this moment."""
    for name, route in table.routes.items():
        for each in running_brownouts(route.mapping, at):
            whom = "everyone" if each.organizations is None else ", ".join(each.organizations)
            but = f" but {', '.join(each.exempt)}" if each.exempt else ""
            yield f"{name}: a brownout until {moment(each.end)}, for {whom}{but}: 503 with Retry-After."


def _brownout(brownout: Brownout) -> Json:
    organizations: Json = None if brownout.organizations is None else [*brownout.organizations]
    return {
        "until": rfc3339(brownout.end),
        "organizations": organizations,
        "exempt": [*brownout.exempt],
    }


def notes(standing: Standing) -> Iterator[str]:
    """Yields sentences about the processes, those that are behind, and calls that are in doubt."""
    revision, live = standing.overrides.revision, len(standing.processes)
    yield f"Revision {revision}; {live} live {'process' if live == 1 else 'processes'}."
    for each in standing.processes:
        if each.revision != revision:
            yield f"{each.name} serves revision {each.revision}; the newest is {revision}."
        if each.mappings not in ("", standing.mappings):  # "" is a process that watches no folder
            yield f"{each.name} serves other mapping files than the listed ones ({each.mappings})."
    for complaint, names in _rejected(standing.processes).items():
        yield f"Rejected by {', '.join(names)}: {complaint}"
    if standing.pending:
        yield f"{plural(standing.pending, 'ambiguous call')}; michiq-proxy pending has more."


def _now(name: str, snapshot: Snapshot, at: datetime) -> Now:
    everyone, override = snapshot.in_force(name, None, at), snapshot.overrides.in_force(name, None, at)
    scopes = [each.scope for each in snapshot.overrides.all_in_force(at) if each.route == name]
    other = sum(_setting(snapshot.in_force(name, scope, at)) != _setting(everyone) for scope in scopes)
    return Now(everyone, override.until if override else None, other)


def _setting(now: InForce) -> tuple[str, float | None]:
    return now.mode, now.percent if now.mode == "canary" else None


def _json(now: Now) -> Json:
    mode, percent = _setting(now.everyone)
    return {
        "mode": mode,
        "percent": percent,
        "until": rfc3339(now.until) if now.until else None,
        "revision": now.everyone.revision,
        "organizations": now.organizations,
    }


def _cell(now: Now, at: datetime) -> str:
    """Returns a cell such as `shadow until 14:30Z +2`."""
    mode, percent = _setting(now.everyone)
    until = ""
    if now.until is not None:
        end = now.until.astimezone(UTC)
        until = f" until {end:%H:%MZ}" if end.date() == at.date() else f" until {end:%Y-%m-%d %H:%MZ}"
    others = f" +{now.organizations}" if now.organizations else ""
    return f"{mode}{'' if percent is None else f' {percent:g} %'}{until}{others}"


def _rejected(processes: Sequence[Process]) -> Mapping[str, list[str]]:
    """Returns the names of the processes that rejected the mapping files, by complaint."""
    names: defaultdict[str, list[str]] = defaultdict(list)
    for each in processes:
        for complaint in each.rejected:
            names[complaint].append(each.name)
    return names
