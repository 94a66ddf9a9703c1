"""Storms of webhooks, and a model of the reports that should stand after them: newest wins, deleted wins."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count as numbers
from random import Random
from typing import Any, Final, TypeAlias

import aiohttp
from sqlalchemy import Connection, Row, select

from proxy import jsons
from proxy.sandbox.reports import signature
from proxy.store import Store
from proxy.store.sealing.contexts import SealedColumn
from proxy.store.sql.tables import reports
from proxy.values import Json
from tests.flows.mutants import missigned, mutant

PATH: Final = "/webhooks/llamalitica"
OLD, NEW = "the-old-secret", "the-new-secret"
SECRETS: Final = f"{NEW},{OLD}"
_KINDS: Final = ("report.created", "report.updated", "report.deleted")
_BEGIN: Final = datetime(2026, 3, 21, 10, tzinfo=UTC)
_AT_ONCE: Final = 24
_BODY: Final = SealedColumn(reports.c.body)

Place: TypeAlias = tuple[bool, datetime, int]


@dataclass(frozen=True, slots=True)
class Told:
    """An event as the model knows it."""

    report_id: str
    case_id: str
    kind: str
    at: datetime
    content: str

    @property
    def place(self) -> Place:
        return self.kind == "report.deleted", self.at, _KINDS.index(self.kind)

    def body(self) -> bytes:
        data: Json = {
            "id": self.report_id,
            "caseId": self.case_id,
            "agent": {"id": "agent-1", "name": "Informe clínico"},
            "content": self.content,
            "structuredData": {"de": self.content, "n": [1, None, 2.5]},
        }
        at = self.at.isoformat().replace("+00:00", "Z")
        event: Json = {"event": self.kind, "organizationId": "org-1", "timestamp": at, "data": data}
        return jsons.dump(event)


def lives(how_many: int, random: Random) -> Iterable[Told]:
    """Reports that are written, changed and sometimes deleted; no two events of one have the same place."""
    ticks = numbers(1)
    for number in range(how_many):
        kinds = [_KINDS[0], *[_KINDS[1]] * random.randint(0, 4)]
        if random.random() < 0.3:  # a change may be told of after the deletion
            kinds.insert(random.randint(1, len(kinds)), _KINDS[2])
        at = _BEGIN + timedelta(microseconds=random.randrange(10**9))
        for kind in kinds:
            # Sometimes two kinds at one time: then the later kind counts.
            at += timedelta(microseconds=0 if kind == _KINDS[2] else random.choice((1, 1000, 10**9)))
            case = f"case-{number if random.random() < 0.9 else number + 1}"
            yield Told(f"report-{number}", case, kind, at, f"Texto {next(ticks)}.")


@dataclass
class Storm:
    """Deliveries to one proxy. `answers` counts by what was sent and what came back."""

    url: str
    http: aiohttp.ClientSession = field(repr=False)
    store: Store = field(repr=False)
    random: Random
    events: list[Told]
    answers: Counter[tuple[str, int]] = field(default_factory=Counter)
    accepted: list[bytes] = field(default_factory=list, repr=False)

    async def out_of_order(self) -> None:
        """Delivers every event in any order, some of them twice, many at once."""
        repeated = self.random.choices(self.events, k=len(self.events) // 2)
        shuffled = [*self.events, *repeated]
        self.random.shuffle(shuffled)
        await self._each(shuffled, self._told)

    async def replays(self, how_many: int) -> None:
        await self._each(self.random.choices(self.events, k=how_many), self._replayed)

    async def mutants(self, how_many: int) -> None:
        """Half of them under the signature of what they were made from, half rightly signed."""
        bodies = []
        for number in range(how_many):
            told = Told(f"mutant-{number}", "case-m", self.random.choice(_KINDS), _BEGIN, "Texto")
            bodies.append((told.body(), mutant(told.body(), self.random)))
        await self._each(bodies[::2], self._forged)
        await self._each(bodies[1::2], self._odd)

    async def missigned(self, how_many: int) -> None:
        await self._each(self.random.choices(self.events, k=how_many), self._missigned)

    async def _told(self, told: Told) -> None:
        secret = self.random.choice((OLD, NEW))
        await self._send("event", told.body(), signature(secret, told.body()))

    async def _replayed(self, told: Told) -> None:
        secret = self.random.choice((OLD, NEW))
        await self._send("replay", told.body(), signature(secret, told.body()))

    async def _forged(self, bodies: tuple[bytes, bytes]) -> None:
        body, changed = bodies
        if changed != body:
            await self._send("forged", changed, signature(NEW, body))

    async def _odd(self, bodies: tuple[bytes, bytes]) -> None:
        if await self._send("odd", bodies[1], signature(NEW, bodies[1])) == 200:
            self.accepted.append(bodies[1])

    async def _missigned(self, told: Told) -> None:
        """Over a raw socket: a client library would not send most of it."""
        body = told.body()
        lines = [b"%b: %b" % pair for pair in missigned(body, NEW, self.random)]
        lines += [b"Content-Length: %d" % len(body), b"Connection: close"]
        head = b"\r\n".join([f"POST {PATH} HTTP/1.1\r\nHost: x".encode(), *lines])
        host, _, port = self.url.removeprefix("http://").partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(head + b"\r\n\r\n" + body)
        answer = await reader.read()
        writer.close()
        self.answers["missigned", int(answer.split(b" ", 2)[1])] += 1

    async def _send(self, what: str, body: bytes, signed: str) -> int:
        headers = {"X-Webhook-Signature": signed, "Content-Type": "application/json"}
        data: bytes | AsyncIterator[bytes] = body if self.random.random() < 0.9 else _pieces(body)
        async with self.http.post(f"{self.url}{PATH}", data=data, headers=headers) as response:
            await response.read()
            self.answers[what, response.status] += 1
            return response.status

    async def _each(self, items: Sequence[Any], work: Callable[[Any], Awaitable[None]]) -> None:
        waiting = iter(items)

        async def some() -> None:
            for item in waiting:
                await work(item)

        await asyncio.gather(*(some() for _ in range(_AT_ONCE)))

    async def rows(self) -> dict[str, Row[Any]]:
        """The report rows, by id, as they are on disk."""

        def work(conn: Connection) -> dict[str, Row[Any]]:
            return {row.id: row for row in conn.execute(select(reports))}

        return await self.store.database.read(work)

    async def wrong_rows(self) -> list[str]:
        """Returns the reports whose rows differ from what the events and the accepted odd ones leave."""
        newest: dict[str, Told] = {}
        for told in self.events:
            newest[told.report_id] = max(told, newest.get(told.report_id, told), key=lambda each: each.place)
        rows = await self.rows()
        wrong = [name for name, told in newest.items() if self._left(rows.get(name)) != _expected(told)]
        told_of = {_report_in(body) for body in self.accepted}
        return wrong + [name for name in rows if name not in newest and name not in told_of]

    def _left(self, row: Row[Any] | None) -> tuple[Any, ...] | None:
        if row is None:
            return None
        content = None if row.body is None else self.store.sealer.open_json(row.body, _BODY.of(row))[0]
        return row.case_id, row.at, row.rank, content

    def sent(self, what: str) -> dict[int, int]:
        """Returns how often each status came back."""
        return {status: times for (kind, status), times in self.answers.items() if kind == what}

    @property
    def broken(self) -> int:
        """Answers of 500 and over."""
        return sum(times for (_, status), times in self.answers.items() if status >= 500)


def _report_in(body: bytes) -> Json:
    data = jsons.load_object(body, rules=jsons.ANSWER).get("data")
    return data.get("id") if isinstance(data, dict) else None


def _expected(told: Told) -> tuple[Any, ...]:
    deleted = told.kind == "report.deleted"
    return told.case_id, told.at, _KINDS.index(told.kind), None if deleted else told.content


async def _pieces(body: bytes) -> AsyncIterator[bytes]:
    half = len(body) // 2
    yield body[:half]
    yield body[half:]
