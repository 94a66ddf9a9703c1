"""Reads and writes on a real PostgreSQL, and on one that breaks."""

import asyncio
import socket
from typing import Any

import pytest
from sqlalchemy import Connection, insert, select, text
from sqlalchemy.exc import DBAPIError

from proxy.postgresql_url import parse_postgresql_url
from proxy.store.errors import StoreError
from proxy.store.sql.changes import note_change
from proxy.store.sql.database import Work, runs_again
from proxy.store.sql.fences import Fence, raise_fence
from proxy.store.sql.postgresql.connections import server_at
from proxy.store.sql.postgresql.database import PostgresqlDatabase, open_postgresql
from proxy.store.sql.tables import meta
from tests.postgresql import Postgresql

from .conftest import Open
from .relay import Relay, When

LOCKED = "SELECT pg_advisory_xact_lock(7)"
END_THIS = text("SELECT pg_terminate_backend(pg_backend_pid())")


def adding(name: str) -> Work[str]:
    def work(conn: Connection) -> str:
        conn.execute(insert(meta).values(name=name, value=b""))
        return name

    return work


def stored(conn: Connection) -> set[str]:
    return set(conn.execute(select(meta.c.name)).scalars())


class Failing:
    """A unit of work that meets an error of the server in its first runs."""

    def __init__(self, statement: str, times: int) -> None:
        self._statement = statement
        self._times = times
        self.runs = 0

    def __call__(self, conn: Connection) -> str:
        self.runs += 1
        added = adding("one")(conn)
        if self.runs <= self._times:
            conn.exec_driver_sql(self._statement)
        return added


def raising(code: str) -> str:
    return f"DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '{code}'; END $$"


AGAIN = {
    "terminated": "SELECT pg_terminate_backend(pg_backend_pid())",
    "serialization failure": raising("40001"),
    "deadlock": raising("40P01"),
    "demoted primary": raising("25006"),
    "shutdown": raising("57P01"),
}


async def test_a_write_gives_back_its_result_and_is_there_for_the_next_reader(
    database: PostgresqlDatabase,
) -> None:
    assert await database.write(adding("one")) == "one"
    assert await database.read(stored) == await database.lookup(stored) == {"one"}


@pytest.mark.parametrize("statement", AGAIN.values(), ids=AGAIN.keys())
async def test_a_write_that_another_try_may_save_runs_once_more(
    database: PostgresqlDatabase, statement: str
) -> None:
    work = Failing(statement, 1)
    assert await database.write(work) == "one"
    assert work.runs == 2
    assert await database.read(stored) == {"one"}


@pytest.mark.parametrize("statement", AGAIN.values(), ids=AGAIN.keys())
async def test_a_write_runs_twice_at_most(database: PostgresqlDatabase, statement: str) -> None:
    work = Failing(statement, 2)
    with pytest.raises(StoreError):
        await database.write(work)
    assert work.runs == 2
    assert await database.read(stored) == set()


async def test_a_write_with_any_other_error_runs_once(database: PostgresqlDatabase) -> None:
    work = Failing(raising("23505"), 1)
    with pytest.raises(StoreError, match="UniqueViolationError"):
        await database.write(work)
    assert work.runs == 1
    assert await database.read(stored) == set()


async def test_what_a_work_raises_comes_back_with_nothing_written(database: PostgresqlDatabase) -> None:
    def half(conn: Connection) -> None:
        adding("half")(conn)
        raise KeyError

    with pytest.raises(KeyError):
        await database.write(half)
    assert await database.read(stored) == set()


async def test_two_writes_that_wait_for_each_other_are_both_made(database: PostgresqlDatabase) -> None:
    await database.write(adding("a"))
    await database.write(adding("b"))
    runs = []

    def changing(first: str, second: str) -> Work[None]:
        def work(conn: Connection) -> None:
            runs.append(first)
            conn.execute(text("SET LOCAL deadlock_timeout = '20ms'"))
            for name in (first, second):
                conn.execute(text(f"UPDATE meta SET value = value || '{first}'::bytea WHERE name = '{name}'"))
                conn.execute(text("SELECT pg_sleep(0.1)"))

        return work

    await asyncio.gather(database.write(changing("a", "b")), database.write(changing("b", "a")))
    values = await database.read(lambda conn: {row.name: {*row.value} for row in conn.execute(select(meta))})
    assert values == {key: {*b"ab"} for key in "ab"}
    assert len(runs) == 3


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_commit_in_doubt_is_looked_for_and_made_once(open_at: Open, relay: Relay, when: When) -> None:
    runs = 0

    def work(conn: Connection) -> int:
        nonlocal runs
        runs += 1
        adding("one")(conn)
        return runs

    async with open_at(port=relay.port) as database:
        relay.cut(b"COMMIT", when)
        result = await database.write(work, found=lambda conn: "one" in stored(conn))
        assert await database.read(stored) == {"one"}
    assert (relay.cut_off, result, runs) == (1, *((2, 2) if when == "before" else (1, 1)))


async def test_what_a_write_has_changed_is_forgotten_also_when_its_commit_was_in_doubt(
    postgresql_server: Postgresql, name: str, relay: Relay
) -> None:
    forgotten: list[str] = []
    server = server_at(parse_postgresql_url(postgresql_server.url(name, port=relay.port)))
    async with open_postgresql(server.engine(), 1, forgotten.extend) as database:
        relay.cut(b"COMMIT", "after")
        await database.write(lambda conn: note_change(conn, "subject"), found=lambda _: True)
        assert forgotten == ["subject"]


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_commit_in_doubt_that_nobody_can_look_for_is_an_error(
    open_at: Open, relay: Relay, when: When
) -> None:
    async with open_at(port=relay.port) as database:
        relay.cut(b"COMMIT", when)
        with pytest.raises(StoreError, match="it may be written, or not"):
            await database.write(adding("one"))
        assert await database.read(stored) == (set() if when == "before" else {"one"})


async def test_a_commit_in_doubt_of_a_work_that_may_run_twice_runs_twice(open_at: Open, relay: Relay) -> None:
    async with open_at(port=relay.port) as database:
        relay.cut(b"COMMIT", "after")
        put = text("INSERT INTO meta (name, value) VALUES ('one', '') ON CONFLICT DO NOTHING")
        await database.write(lambda conn: conn.execute(put), found=runs_again)
        assert await database.read(stored) == {"one"}


async def test_a_look_for_a_commit_that_breaks_is_made_again(open_at: Open, relay: Relay) -> None:
    async with open_at(port=relay.port) as database:
        relay.cut(b"COMMIT", "after")
        relay.cut(b"COMMIT", "before")  # that of the look
        assert await database.write(adding("one"), found=lambda conn: "one" in stored(conn)) == "one"
    assert relay.cut_off == 2


async def test_a_commit_in_doubt_is_an_error_when_the_server_stays_away(open_at: Open, relay: Relay) -> None:
    async with open_at(port=relay.port, connect=0.2, command=0.2, resolve=0.5) as database:
        await database.read(stored)

        def found(conn: Connection) -> bool:
            raise AssertionError("nobody is asked")

        relay.cut(b"COMMIT", "before")
        writing = asyncio.create_task(database.write(adding("one"), found=found))
        await relay.has_cut.wait()
        relay.fall_silent()
        with pytest.raises(StoreError):
            await writing


@pytest.mark.parametrize("door", ["read", "lookup"])
async def test_a_read_whose_connection_ends_is_made_again(database: PostgresqlDatabase, door: str) -> None:
    runs = 0

    def work(conn: Connection) -> set[str]:
        nonlocal runs
        runs += 1
        if runs == 1:
            conn.execute(END_THIS)
        return stored(conn)

    await database.write(adding("one"))
    assert await getattr(database, door)(work) == {"one"}
    assert runs == 2


async def test_connections_that_the_server_has_ended_are_not_lent_again(
    database: PostgresqlDatabase, admin: Any
) -> None:
    await asyncio.gather(*(database.read(stored) for _ in range(4)))
    others = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = current_database()"
    await admin.fetch(f"{others} AND pid <> pg_backend_pid()")
    assert [*await asyncio.gather(*(database.write(adding(str(n))) for n in range(4)))] == [
        "0",
        "1",
        "2",
        "3",
    ]


async def test_a_server_that_is_silent_ends_every_call_by_its_limit(open_at: Open, relay: Relay) -> None:
    async with open_at(port=relay.port, connect=0.2, command=0.2) as database:
        await database.write(adding("one"))
        relay.fall_silent()
        async with asyncio.timeout(20):
            for call in (database.read(stored), database.write(adding("two")), database.lookup(stored)):
                with pytest.raises(StoreError):
                    await call


async def test_nobody_waits_for_the_answer_to_a_call_that_was_given_up(open_at: Open, relay: Relay) -> None:
    """The lease is renewed by the one connection that it has: after a cut it must not wait for TCP."""
    async with open_at(pool=1, port=relay.port) as database:
        assert await database.call("SELECT 1") == 1
        relay.fall_silent()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await database.call("SELECT 2")
        relay.speak_again()
        async with asyncio.timeout(10):
            assert await database.call("SELECT 3") == 3


async def test_both_ends_of_a_connection_notice_that_the_other_is_cut_off(
    postgresql_server: Postgresql, name: str
) -> None:
    driver = await server_at(parse_postgresql_url(postgresql_server.url(name))).connect()
    try:
        assert await driver.fetchval("SHOW tcp_user_timeout") in ("10s", "10000")
        assert await driver.fetchval("SHOW tcp_keepalives_idle") == "5"
        own = driver._transport.get_extra_info("socket")
        assert own.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 10_000
        assert own.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 5
    finally:
        await driver.close()


async def test_a_write_goes_on_when_its_caller_is_cancelled(
    open_at: Open, database: PostgresqlDatabase, admin: Any
) -> None:
    begun = asyncio.Event()
    loop = asyncio.get_running_loop()

    def work(conn: Connection) -> None:
        loop.call_soon(begun.set)
        conn.exec_driver_sql(LOCKED)
        adding("one")(conn)

    async with open_at() as other, admin.transaction():
        await admin.execute(LOCKED)
        writing = asyncio.create_task(other.write(work))
        await begun.wait()
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing
    assert await database.read(stored) == {"one"}  # closing has waited for it


async def test_a_reader_that_is_cancelled_leaves_no_connection_behind_that_others_get(
    open_at: Open, admin: Any
) -> None:
    async with open_at(pool=1) as database:
        async with admin.transaction():
            await admin.execute(LOCKED)
            reading = asyncio.create_task(database.read(lambda conn: conn.exec_driver_sql(LOCKED)))
            waits = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            while not await admin.fetchval(waits):
                pass
            reading.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reading
        assert await database.write(adding("one")) == "one"


async def test_a_closed_database_refuses_writes(open_at: Open) -> None:
    async with open_at() as database:
        pass
    with pytest.raises(StoreError, match="closed"):
        await database.write(adding("late"))


async def test_a_transaction_that_the_server_rolls_back_at_its_commit_is_an_error(
    database: PostgresqlDatabase,
) -> None:
    def work(conn: Connection) -> None:
        adding("one")(conn)
        with pytest.raises(DBAPIError):
            conn.exec_driver_sql("SELECT no_such_column")

    with pytest.raises(StoreError, match="rolled the transaction back"):
        await database.write(work)
    assert await database.read(stored) == set()


async def test_who_finds_no_free_connection_in_time_is_told_the_setting(open_at: Open, admin: Any) -> None:
    async with open_at(pool=1, lend=0.05) as database, admin.transaction():
        await admin.execute(LOCKED)
        holding = asyncio.create_task(database.read(lambda conn: conn.exec_driver_sql(LOCKED)))
        await asyncio.sleep(0)
        with pytest.raises(StoreError, match="MICHIQ_DATABASE_POOL"):
            await database.read(stored)
        holding.cancel()
        await asyncio.wait({holding})


async def test_a_primary_that_was_demoted_is_not_used_again(
    database: PostgresqlDatabase, admin: Any, name: str
) -> None:
    setting = f"ALTER DATABASE {name} SET default_transaction_read_only = on"
    await admin.execute(setting)  # of connections that are opened from now on
    with pytest.raises(StoreError, match="takes no writes"):
        await database.write(adding("one"))
    await admin.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")
    assert await database.write(adding("one")) == "one"


async def test_a_reader_can_not_write(database: PostgresqlDatabase) -> None:
    with pytest.raises(StoreError, match="takes no writes"):
        await database.read(adding("one"))


async def test_an_error_of_the_database_does_not_show_the_values(database: PostgresqlDatabase) -> None:
    await database.write(adding("canary"))
    with pytest.raises(StoreError) as caught:
        await database.write(adding("canary"))
    assert "canary" not in f"{caught.value} {caught.value.__cause__}"


async def test_a_scrub_gives_the_room_of_removed_rows_back(database: PostgresqlDatabase) -> None:
    size = text("SELECT pg_relation_size('meta')")
    rows = text("INSERT INTO meta SELECT n::text, repeat('x', 1000)::bytea FROM generate_series(1, 500) n")
    await database.write(lambda conn: conn.execute(rows))
    await database.write(lambda conn: conn.execute(text("DELETE FROM meta")))
    assert await database.read(lambda conn: conn.execute(size).scalar_one()) > 500_000
    await database.scrub()
    assert await database.read(lambda conn: conn.execute(size).scalar_one()) == 0


async def fenced(database: PostgresqlDatabase, fence: Fence) -> str:
    raise_fence(fence)
    return await database.write(adding("one"))


async def test_a_write_is_made_while_the_ticket_of_its_lock_is_there(
    database: PostgresqlDatabase, admin: Any
) -> None:
    await admin.execute("INSERT INTO members (name, until) VALUES ('m', now())")
    ticket = await admin.fetchval(
        "INSERT INTO tickets (key, nonce, member) VALUES ('key', 'ab', 'm') RETURNING id"
    )
    assert await asyncio.create_task(fenced(database, Fence(ticket, "ab"))) == "one"
    for lost in (Fence(ticket, "cd"), Fence(ticket + 1, "ab")):
        with pytest.raises(StoreError, match="lost its lock"):
            await asyncio.create_task(fenced(database, lost))


async def test_a_lock_that_is_given_back_fences_nothing_any_more(database: PostgresqlDatabase) -> None:
    assert await asyncio.create_task(fenced(database, Fence(1, "ab", lowered=True))) == "one"
