"""Locks for several processes: first come, first served, whichever process comes; a dead one's are free."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from proxy.supervisor.channel import Channel
from proxy.supervisor.lock_server import LockServerGone, RemoteLocks
from tests.beside import Office


@pytest.fixture
def office() -> Office:
    return Office()


class Queue:
    """Tasks that wait for one lock; each one reports that it has it, and holds it until it is released."""

    def __init__(self, key: str = "a") -> None:
        self.key = key
        self.order: list[str] = []
        self.leave = asyncio.Event()

    async def stand(self, locks: RemoteLocks, name: str) -> None:
        async with locks.hold("door", self.key):
            self.order.append(name)
            await self.leave.wait()

    async def join(self, locks: RemoteLocks, name: str) -> "asyncio.Task[None]":
        """Returns once it stands in the queue."""
        task = asyncio.create_task(self.stand(locks, name))
        await asyncio.sleep(0)
        return task


async def test_those_of_several_processes_go_one_by_one_in_the_order_in_which_they_came(
    office: Office,
) -> None:
    one, other, queue = office.process("one"), office.process("other"), Queue()
    tasks = [
        await queue.join(locks, str(number)) for number, locks in enumerate([one, one, other, one, other])
    ]
    assert queue.order == ["0"]
    queue.leave.set()
    await asyncio.gather(*tasks)
    assert queue.order == ["0", "1", "2", "3", "4"]


async def test_those_with_different_keys_do_not_wait_for_each_other(office: Office) -> None:
    one, other = office.process("one"), office.process("other")
    async with one.hold("door", "a"), other.hold("door", "b"), one.hold("door", "c"):
        pass


async def test_one_who_gives_up_waiting_leaves_the_others_their_places(office: Office) -> None:
    one, other, queue = office.process("one"), office.process("other"), Queue()
    first, second, third = [
        await queue.join(locks, name) for locks, name in ((one, "0"), (other, "1"), (one, "2"))
    ]
    second.cancel()
    await asyncio.wait([second])
    assert queue.order == ["0"]
    queue.leave.set()
    await asyncio.gather(first, third)
    assert queue.order == ["0", "2"]


async def test_what_a_dead_process_held_and_waited_for_goes_to_the_next(office: Office) -> None:
    one, other, queue = office.process("one"), office.process("other"), Queue()
    for name in ("0", "1"):
        await queue.join(one, name)
    alive = await queue.join(other, "2")
    office.kill("one")
    queue.leave.set()
    await alive
    assert queue.order[-1] == "2"
    assert "1" not in queue.order


async def test_a_lock_is_free_again_after_a_failure(office: Office) -> None:
    one, other = office.process("one"), office.process("other")
    with pytest.raises(ZeroDivisionError):
        async with one.hold("door"):
            raise ZeroDivisionError
    async with other.hold("door"):
        pass


async def test_nothing_is_kept_of_a_key_that_nobody_uses(office: Office) -> None:
    one = office.process("one")
    for number in range(10):
        async with one.hold("door", number):
            pass
    assert not office.desk._queues
    assert not office.desk._keys
    assert not one._granted


async def test_a_key_leaves_its_process_as_a_hash_only(office: Office) -> None:
    async with office.process("one").hold("arrival", "token-1"):
        pass
    assert "token-1" not in str(office.said)
    assert len({message.get("key") for message in office.said} - {None}) == 1


async def test_without_a_desk_who_waits_is_told_and_who_holds_a_lock_goes_on(office: Office) -> None:
    one, queue = office.process("one"), Queue()
    first, second = await queue.join(one, "0"), await queue.join(one, "1")
    one.lose_desk()
    with pytest.raises(LockServerGone):
        await second
    with pytest.raises(LockServerGone):
        async with one.hold("other"):
            pass
    queue.leave.set()
    await first


@asynccontextmanager
async def lines() -> AsyncIterator[tuple[Channel, Channel]]:
    async with AsyncExitStack() as stack:
        ends = [await Channel.over(end) for end in socket.socketpair()]
        for end in ends:
            stack.callback(end.close)
        yield ends[0], ends[1]


async def test_a_line_carries_messages_both_ways_in_order_until_its_other_end_is_gone() -> None:
    async with lines() as (one, other):
        one.send(number=1)
        one.send(number=2, text="ñ\n")
        other.send(back=True)
        one.close()
        assert [message async for message in other.messages()] == [
            {"number": 1},
            {"number": 2, "text": "ñ\n"},
        ]
        one.send(number=3)


async def test_a_line_whose_other_end_died_ends() -> None:
    async with lines() as (one, other):
        other.close()
        async with asyncio.timeout(5):
            assert [message async for message in one.messages()] == []
