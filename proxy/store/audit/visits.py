"""Writes answered calls into the ledger: grouped by client, and counted."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from operator import itemgetter
from typing import Any, Final, TypeAlias

from sqlalchemy import Connection, bindparam, update

from proxy.store.audit.tallies import Rows, day_of
from proxy.store.sealing.contexts import SealedColumn
from proxy.store.sealing.sealer import Sealer
from proxy.store.sql.rows import count_up, insert_missing
from proxy.store.sql.tables import clients, ledger

ORGANIZATION: Final = SealedColumn(clients.c.organization)
AGENT: Final = SealedColumn(clients.c.agent)
_LONGEST: Final = 200
_OTHERS: Final = "(others)"


@dataclass(frozen=True, slots=True)
class Visit:
    """One answered call. `key`, `user` and `organization_hash` are keyed hashes, "" where unknown.

    `side` is the side that answered, "" when none was chosen.
    """

    key: str
    user: str
    organization: str = field(repr=False)
    organization_hash: str
    agent: str = field(repr=False)
    route: str
    mode: str
    status: int
    at: datetime
    side: str = ""


ByClient: TypeAlias = Mapping[str, Sequence[Visit]]


@dataclass(frozen=True, slots=True)
class LedgerRows:
    """Visits as they are stored; `newcomers` are the clients without a row when this was made."""

    last_seen: Rows
    newcomers: Rows
    counts: Rows


def by_client(visits: Iterable[Visit], sealer: Sealer) -> ByClient:
    """Returns the visits of each client, under the hash of all that identifies it."""
    grouped: defaultdict[str, list[Visit]] = defaultdict(list)
    for each in visits:
        who = each.key, each.user, each.organization_hash, _printable(each.agent)
        grouped[sealer.digest("client", *who)].append(each)
    return grouped


def anonymous(visit: Visit) -> Visit:
    """Returns the visit as one of a client without a name, for the time when there are too many clients."""
    return replace(visit, key="", user="", organization="", organization_hash="", agent=_OTHERS)


def ledger_rows(grouped: ByClient, new: Iterable[str], sealer: Sealer) -> LedgerRows:
    """Seals the private values of the new clients; `write_visits` writes the result."""
    return LedgerRows(
        last_seen=[{"_id": client, "_at": max(map(_at, visits))} for client, visits in grouped.items()],
        newcomers=[_client_row(client, grouped[client], sealer) for client in new],
        counts=_counts(grouped),
    )


def write_visits(conn: Connection, rows: LedgerRows) -> None:
    """Writes the rows in the caller's transaction."""
    if not rows.counts:
        return
    latest = bindparam("_at", type_=clients.c.last_seen.type)
    older = clients.c.id == bindparam("_id"), clients.c.last_seen < latest
    # The clients come first: another process may have made the same client a moment ago.
    insert_missing(conn, clients, rows.newcomers)
    by_client = sorted(rows.last_seen, key=itemgetter("_id"))  # as `insert_missing` does
    conn.execute(update(clients).where(*older).values(last_seen=latest), by_client)
    count_up(conn, ledger, rows.counts)


def _client_row(client: str, visits: Sequence[Visit], sealer: Sealer) -> dict[str, Any]:
    visit = visits[0]
    return {
        "id": client,
        "key": visit.key,
        "user": visit.user,
        "organization_hash": visit.organization_hash,
        "organization": sealer.seal_text(_printable(visit.organization), ORGANIZATION.at(client)),
        "agent": sealer.seal_text(_printable(visit.agent), AGENT.at(client)),
        "first_seen": min(map(_at, visits)),
        "last_seen": max(map(_at, visits)),
    }


def _counts(grouped: ByClient) -> Rows:
    counts = Counter(
        (client, day_of(each.at), each.route, each.mode, each.status, each.side)
        for client, visits in grouped.items()
        for each in visits
    )
    names = ("client", "day", "route", "mode", "status", "side")
    return [{**dict(zip(names, key, strict=True)), "count": count} for key, count in counts.items()]


def _printable(text: str) -> str:
    return "".join(sign for sign in text if sign.isprintable()).strip()[:_LONGEST]


def _at(visit: Visit) -> datetime:
    return visit.at
