"""Finds the rows that an erase removes: those of a case, under any of its ids, or those of a user."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from sqlalchemy import ColumnElement, CompoundSelect, Connection, Select, Table, exists, or_, select, union

from proxy.store.records.sessions import lock_sessions
from proxy.store.sealing.sealer import short_hash
from proxy.store.sql.tables import (
    cases,
    clients,
    conversations,
    deliveries,
    homes,
    journal,
    ledger,
    legacy_sessions,
    links,
    owner_aliases,
    pairs,
    recordings,
    reports,
    requests,
    sessions,
    transcriptions,
)
from proxy.values import folded_id


@dataclass(frozen=True, slots=True)
class OfCase:
    """A case by its id, in any spelling of it (CONTRACT G03), or the audio that is stored under an id."""

    id: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class OfUser:
    """A user of an organization, by the keyed hash of both, and by the hashes of earlier releases."""

    owner: str
    older: tuple[str, ...] = ()

    @property
    def owners(self) -> tuple[str, ...]:
        return self.owner, *self.older


Whose: TypeAlias = OfCase | OfUser


@dataclass(frozen=True, slots=True)
class SubjectRows:
    """Rows of one table; `what` is a word for such a row."""

    what: str
    table: Table
    where: ColumnElement[bool]


@dataclass(frozen=True, slots=True)
class Theirs:
    """The rows of the subject, in parts, and the ids of the cases among them.

    A part comes only after every part that is found through its rows.
    """

    parts: tuple[SubjectRows, ...] = field(repr=False)
    cases: tuple[str, ...] = field(repr=False)


def lock_user(conn: Connection, whose: OfUser) -> None:
    """Locks the user's sessions and intents, on which other writes rely, until the transaction ends.

    Such a write either has ended, and its rows are found, or it begins after the erasure.
    """
    lock_sessions(conn, whose.owners)
    intents = select(journal.c.id).where(journal.c.owner.in_(whose.owners))
    conn.execute(intents.order_by(journal.c.id).with_for_update()).all()


def theirs(conn: Connection, whose: Whose) -> Theirs:
    if isinstance(whose, OfUser):
        ids = conn.execute(_owned(whose.owners)).scalars()
        return Theirs(tuple(_of_user(whose.owners)), tuple(ids))
    names = _names(conn, folded_id(whose.id))
    return Theirs(tuple(_of_case(names)), tuple(names))


def noted_late(owners: Sequence[str]) -> tuple[SubjectRows, ...]:
    """Returns the rows that a proxy writes of a user's calls only a moment after it has answered them."""
    mine = select(clients.c.id).where(clients.c.user.in_(owners))
    traced = select(requests.c.request_id).where(_story_user().in_(map(short_hash, owners)))
    return (
        SubjectRows("ledger row", ledger, ledger.c.client.in_(mine)),
        SubjectRows("client", clients, clients.c.user.in_(owners)),
        SubjectRows("told request", requests, requests.c.request_id.in_(traced)),
    )


def _of_case(ids: Sequence[str]) -> Iterator[SubjectRows]:
    yield SubjectRows("webhook", deliveries, deliveries.c.case_id.in_(ids))
    yield SubjectRows("report", reports, reports.c.case_id.in_(ids))
    yield SubjectRows("conversation", conversations, conversations.c.case_id.in_(ids))
    yield SubjectRows("transcription", transcriptions, transcriptions.c.legacy_id.in_(ids))
    yield SubjectRows("recording", recordings, recordings.c.legacy_id.in_(ids))
    yield SubjectRows("kept answer", journal, journal.c.case_id.in_(ids))
    yield SubjectRows("home", homes, homes.c.legacy_id.in_(ids))
    yield SubjectRows("pair", pairs, or_(pairs.c.control_id.in_(ids), pairs.c.candidate_id.in_(ids)))
    yield SubjectRows("linked case", links, or_(links.c.case_id.in_(ids), links.c.linked_case_id.in_(ids)))
    yield SubjectRows("case", cases, cases.c.id.in_(ids))


def _of_user(owners: Sequence[str]) -> Iterator[SubjectRows]:
    ids = _owned(owners)
    yield SubjectRows("webhook", deliveries, deliveries.c.case_id.in_(ids))
    yield SubjectRows("report", reports, reports.c.case_id.in_(ids))
    yield SubjectRows("conversation", conversations, conversations.c.owner.in_(owners))
    yield SubjectRows("transcription", transcriptions, transcriptions.c.owner.in_(owners))
    yield SubjectRows("recording", recordings, recordings.c.owner.in_(owners))
    yield SubjectRows("kept answer", journal, journal.c.owner.in_(owners))
    yield SubjectRows("linked case", links, links.c.case_id.in_(ids))
    yield SubjectRows("home", homes, homes.c.owner.in_(owners))
    yield SubjectRows("pair", pairs, pairs.c.owner.in_(owners))
    yield SubjectRows("case", cases, cases.c.owner.in_(owners))
    yield SubjectRows("session", sessions, sessions.c.owner.in_(owners))
    yield SubjectRows("legacy session", legacy_sessions, legacy_sessions.c.owner.in_(owners))
    yield SubjectRows("alias", owner_aliases, owner_aliases.c.owner.in_(owners))
    yield from noted_late(owners)


def _owned(owners: Sequence[str]) -> CompoundSelect[str]:
    """Returns the ids of the user's cases, of their linked cases, and of the journal's own cases (N19)."""
    own = select(cases.c.id).where(cases.c.owner.in_(owners))
    unrecorded = select(journal.c.case_id).where(
        journal.c.owner.in_(owners),
        journal.c.case_id.is_not(None),
        ~exists().where(cases.c.id == journal.c.case_id),
    )
    linked = select(links.c.linked_case_id).where(
        links.c.case_id.in_(own), links.c.linked_case_id.is_not(None)
    )
    return union(own, linked, unrecorded)


def _story_user() -> ColumnElement[str]:
    user: ColumnElement[str] = requests.c.story["asked", "user"].as_string()
    return user


def _names(conn: Connection, case_id: str) -> list[str]:
    """Returns all ids of one case: its own, those of its linked cases, and its id on the other side."""
    names, seen = {case_id}, set[str]()
    while names != seen:
        seen = set(names)
        for query in _other_names(sorted(seen)):
            names.update(conn.execute(query).scalars())
    return sorted(names)


def _other_names(ids: Sequence[str]) -> Iterator[Select[str]]:
    yield select(links.c.linked_case_id).where(links.c.case_id.in_(ids), links.c.linked_case_id.is_not(None))
    yield select(links.c.case_id).where(links.c.linked_case_id.in_(ids))
    yield select(pairs.c.candidate_id).where(pairs.c.control_id.in_(ids))
    yield select(pairs.c.control_id).where(pairs.c.candidate_id.in_(ids))
