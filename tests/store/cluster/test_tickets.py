"""Locks that processes on several machines share, in their order, and fenced."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import Connection, insert

from proxy.store.errors import StoreError
from proxy.store.sql.tables import meta
from tests.store.sql.postgresql.relay import Relay

from .conftest import NEVER, Cluster, Member, until


class Holding:
    """A task that holds a lock, or waits for it, until a test lets it go."""

    def __init__(self, member: Member, *key: str) -> None:
        self._member = member
        self._key = key or ("key",)
        self.holds = asyncio.Event()
        self.go_on = asyncio.Event()
        self.lapsed = False
        self.task = asyncio.create_task(self._hold())

    async def _hold(self) -> None:
        async with self._member.locks.hold(*self._key) as hold:
            self.lapsed = hold.lapsed
            self.holds.set()
            await self.go_on.wait()

    async def end(self) -> None:
        self.go_on.set()
        await self.task

    async def cancel(self) -> None:
        self.task.cancel()
        await asyncio.wait({self.task})


async def write(member: Member, name: str = "row") -> None:
    def work(conn: Connection) -> None:
        conn.execute(insert(meta).values(name=name, value=b""))

    await member.database.write(work)


@asynccontextmanager
async def two(cluster: Cluster, **more: Any) -> AsyncIterator[tuple[Member, Member]]:
    async with cluster.member(**more) as one, cluster.member(**more) as other:
        yield one, other


@pytest.mark.parametrize("listens", [True, False], ids=["listening", "polling"])
async def test_a_lock_goes_to_tasks_of_all_processes_in_the_order_in_which_they_asked(
    cluster: Cluster, listens: bool
) -> None:
    async with two(cluster, listens=listens) as (one, other):
        held = []
        for number, member in enumerate((one, other, other, one, other, one), start=1):
            held.append(Holding(member))
            await cluster.until_tickets(number)
        for number, each in enumerate(held):
            await each.holds.wait()
            assert [late.holds.is_set() for late in held[number + 1 :]] == [False] * (5 - number)
            await each.end()
        await cluster.until_tickets(0)


async def test_of_many_tasks_that_ask_at_once_no_two_hold(cluster: Cluster) -> None:
    inside = most = done = 0

    async def hold(member: Member) -> None:
        nonlocal inside, most, done
        async with member.locks.hold("key"):
            inside += 1
            most = max(most, inside)
            await member.database.lookup(lambda conn: conn.exec_driver_sql("SELECT 1"))
            inside -= 1
            done += 1

    async with two(cluster) as members:
        await asyncio.gather(*(hold(members[number % 2]) for number in range(40)))
    assert (most, done) == (1, 40)


async def test_other_keys_do_not_wait(cluster: Cluster) -> None:
    async with two(cluster) as (one, other):
        first = Holding(one, "a")
        await first.holds.wait()
        for each in (Holding(one, "b"), Holding(other, "c"), Holding(other, "a", "b")):
            await each.holds.wait()
            await each.end()
        await first.end()


async def test_who_gives_up_waiting_leaves_no_ticket_behind(cluster: Cluster) -> None:
    async with two(cluster) as (one, other):
        first, second = Holding(one), Holding(other)
        await cluster.until_tickets(2)
        await second.cancel()
        await cluster.until_tickets(1)
        await first.end()
        third = Holding(other)
        await third.holds.wait()
        assert not third.lapsed
        await third.end()


async def test_the_next_holder_is_told_that_the_one_before_was_lost_and_the_one_after_it_is_not(
    cluster: Cluster,
) -> None:
    async with cluster.member(renew_every=NEVER) as stopped, cluster.member() as other:
        first = Holding(stopped)
        await first.holds.wait()
        second = Holding(other)
        await cluster.until_tickets(2)
        await cluster.age(stopped)
        await second.holds.wait()
        assert second.lapsed
        await second.end()
        await cluster.until_tickets(0)
        third = Holding(other)
        await third.holds.wait()
        assert not third.lapsed
        await third.end()
        await first.end()


async def test_a_next_holder_that_fails_leaves_the_note_of_the_lost_one(cluster: Cluster) -> None:
    async with cluster.member(renew_every=NEVER) as stopped, cluster.member() as other:
        first = Holding(stopped)
        await first.holds.wait()
        await cluster.age(stopped)
        second = Holding(other)
        await second.holds.wait()
        await second.cancel()
        third = Holding(other)
        await third.holds.wait()
        assert (second.lapsed, third.lapsed) == (True, True)
        await third.end()
        await first.end()


async def test_a_waiter_whose_lease_is_past_leaves_no_note(cluster: Cluster) -> None:
    async with cluster.member(renew_every=NEVER) as stopped, cluster.member() as other:
        first = Holding(other)
        await first.holds.wait()
        waiter = Holding(stopped)
        await cluster.until_tickets(2)
        await cluster.age(stopped)
        await cluster.until_tickets(1)
        await first.end()
        second = Holding(other)
        await second.holds.wait()
        assert not second.lapsed
        await second.end()
        await waiter.cancel()


async def test_a_write_under_a_lock_that_was_lost_is_refused(cluster: Cluster) -> None:
    begun, lost = asyncio.Event(), asyncio.Event()

    async def guarded(member: Member) -> None:
        async with member.locks.hold("key"):
            await write(member, "before")
            begun.set()
            await lost.wait()
            with pytest.raises(StoreError, match="lost its lock"):
                await write(member)
            with pytest.raises(StoreError, match="lost its lock"):
                await asyncio.create_task(write(member))
        await write(member, "after")

    async with cluster.member(renew_every=NEVER) as stopped, cluster.member() as other:
        task = asyncio.create_task(guarded(stopped))
        await begun.wait()
        await cluster.age(stopped)
        async with other.locks.hold("key") as hold:
            assert hold.lapsed
            lost.set()
            await task
            await write(other, "other")
    names = {row[0] for row in await cluster.driver.fetch("SELECT name FROM meta")}
    assert names == {"before", "other", "after"}


async def test_what_runs_under_a_lock_ends_with_the_lease(cluster: Cluster) -> None:
    async with cluster.member() as one:
        holding = Holding(one)
        await holding.holds.wait()
        await cluster.end(one)
        with pytest.raises(StoreError, match="lost its lock"):
            await holding.task
        again = Holding(one)
        await again.holds.wait()
        await again.end()


async def test_who_waits_for_a_lock_is_told_when_its_lease_is_lost(cluster: Cluster) -> None:
    async with cluster.member(renew_every=NEVER) as one, cluster.member() as other:
        first = Holding(other)
        await first.holds.wait()
        waiter = Holding(one)
        await cluster.until_tickets(2)
        await cluster.end(one)
        with pytest.raises(StoreError, match="its lease was lost"):
            await waiter.task
        await first.end()


async def test_a_ticket_that_may_have_been_taken_is_given_back(cluster: Cluster, relay: Relay) -> None:
    async with cluster.member(port=relay.port) as one, cluster.member() as other:
        relay.cut(b"michiq_take", "after")
        with pytest.raises(StoreError):
            await Holding(one).task
        assert relay.cut_off == 1
        second = Holding(other)
        await second.holds.wait()
        assert not second.lapsed
        await second.end()


async def test_a_turn_is_found_by_looking_when_no_note_comes(cluster: Cluster) -> None:
    async with two(cluster) as (one, other):
        first = Holding(one)
        await first.holds.wait()

        async def silenced() -> bool:
            ended = """
                SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
                WHERE datname = current_database() AND query LIKE 'LISTEN%'
            """
            return len(await cluster.driver.fetch(ended)) == 2

        await until(silenced)
        second = Holding(other)
        await cluster.until_tickets(2)
        await first.end()
        await second.holds.wait()
        await second.end()


async def test_a_process_that_ends_gives_back_what_it_holds(cluster: Cluster) -> None:
    async with cluster.member() as other:
        async with cluster.member() as one, one.locks.hold("key"):
            pass
        assert await cluster.tickets() == 0
        await Holding(other).cancel()
