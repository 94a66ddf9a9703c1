"""Locks by key: first come, first served, and gone when no task wants them."""

import asyncio

import pytest

from proxy.concurrency.locks import KeyedLocks


class Door:
    """Counts who is inside at once, and in which order they came in."""

    def __init__(self) -> None:
        self.inside = 0
        self.most = 0
        self.order: list[int] = []

    async def pass_through(self, locks: KeyedLocks, key: str, number: int) -> None:
        async with locks.hold("door", key):
            self.order.append(number)
            self.inside += 1
            self.most = max(self.most, self.inside)
            await asyncio.sleep(0)
            self.inside -= 1


async def test_those_with_one_key_go_one_by_one_in_the_order_in_which_they_came() -> None:
    locks, door = KeyedLocks(), Door()
    await asyncio.gather(*(door.pass_through(locks, "a", number) for number in range(10)))
    assert door.most == 1
    assert door.order == list(range(10))


async def test_those_with_different_keys_do_not_wait_for_each_other() -> None:
    locks, door = KeyedLocks(), Door()
    await asyncio.gather(*(door.pass_through(locks, str(number), number) for number in range(10)))
    assert door.most == 10


async def test_a_lock_is_free_again_after_a_failure() -> None:
    locks, door = KeyedLocks(), Door()
    with pytest.raises(ZeroDivisionError):
        async with locks.hold("door", "a"):
            raise ZeroDivisionError
    await door.pass_through(locks, "a", 1)
    assert door.order == [1]


async def test_one_who_gives_up_waiting_leaves_the_others_their_places() -> None:
    locks, door = KeyedLocks(), Door()
    async with locks.hold("door", "a"):
        waiting = [asyncio.create_task(door.pass_through(locks, "a", number)) for number in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        await asyncio.wait(waiting[:1])
        assert door.order == []
    await asyncio.gather(*waiting[1:])
    assert door.order == [1, 2]


async def test_nothing_is_kept_of_a_key_that_nobody_uses() -> None:
    locks, door = KeyedLocks(), Door()
    await asyncio.gather(*(door.pass_through(locks, str(number), number) for number in range(100)))
    assert not locks._locks
    assert not locks._users
