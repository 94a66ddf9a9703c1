"""The lease by which other processes notice that this one lives."""

import asyncio

from sqlalchemy import Connection

from .conftest import NEVER, Cluster, Member, until

UNTIL = "SELECT until FROM members WHERE name = $1"


async def lives(member: Member, other: str) -> bool:
    def work(conn: Connection) -> bool:
        return member.lease.lives(conn, other)

    return await member.database.read(work)


async def test_a_lease_is_renewed_and_ends_with_its_process(cluster: Cluster) -> None:
    async with cluster.member() as one:
        first = await cluster.driver.fetchval(UNTIL, one.lease.name)

        async def later() -> bool:
            return bool(await cluster.driver.fetchval(UNTIL, one.lease.name) > first)

        await until(later)
        assert await lives(one, one.lease.name)
    assert await cluster.members() == set()


async def test_a_lease_that_is_past_is_ended_by_another_process(cluster: Cluster) -> None:
    async with cluster.member(renew_every=NEVER) as stopped, cluster.member() as other:
        name = stopped.lease.name
        assert await lives(other, name)
        await cluster.age(stopped)

        async def gone() -> bool:
            return not await lives(other, name)

        await until(gone)


async def test_who_has_lost_its_lease_goes_on_under_a_new_name_and_never_under_the_old_one(
    cluster: Cluster,
) -> None:
    async with cluster.member() as one:
        old = one.lease.name
        await cluster.end(one)

        async def renamed() -> bool:
            return await cluster.members() == {one.lease.name} != {old}

        await until(renamed)
        assert not await lives(one, old)


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


async def test_after_an_outage_no_lease_is_ended_before_its_process_could_renew_it(cluster: Cluster) -> None:
    clock = Clock()
    async with (
        cluster.member(renew_every=NEVER) as stopped,
        cluster.member(monotonic=clock) as one,
    ):
        clock.now += 11  # its own lease is past: the database was away

        async def renewed_again() -> None:
            for _ in range(2):
                before = await cluster.driver.fetchval(UNTIL, one.lease.name)

                async def later(before: object = before) -> bool:
                    return bool(await cluster.driver.fetchval(UNTIL, one.lease.name) > before)

                await until(later)

        await renewed_again()
        await cluster.age(stopped)
        await renewed_again()
        assert stopped.lease.name in await cluster.members()
        clock.now += 5
        await renewed_again()
        assert stopped.lease.name in await cluster.members()
        clock.now += 5

        async def gone() -> bool:
            return stopped.lease.name not in await cluster.members()

        await until(gone)


async def test_a_renewal_waits_for_no_other_work_of_its_process(cluster: Cluster) -> None:
    async with cluster.member() as one, cluster.driver.transaction():
        await cluster.driver.execute("SELECT pg_advisory_xact_lock(7)")

        def work(conn: Connection) -> None:
            conn.exec_driver_sql("SELECT pg_advisory_xact_lock(7)")

        waiting = [asyncio.create_task(one.database.read(work)) for _ in range(6)]
        first = await cluster.driver.fetchval(UNTIL, one.lease.name)

        async def later() -> bool:
            return bool(await cluster.driver.fetchval(UNTIL, one.lease.name) > first)

        await until(later)
        for each in waiting:
            each.cancel()
        await asyncio.wait(waiting)


async def test_who_can_not_renew_before_its_lease_is_past_holds_nothing_any_more(
    cluster: Cluster,
) -> None:
    clock = Clock()
    lost = asyncio.Event()
    async with cluster.member(monotonic=clock) as one:
        one.lease.when_lost(lost.set)
        async with cluster.driver.transaction():
            # Holds up the renewal.
            await cluster.driver.execute("SELECT 1 FROM members WHERE name = $1 FOR UPDATE", one.lease.name)
            clock.now += 11
            await lost.wait()
