"""Tests that the intents of a process are resolved once it is gone, and never while it lives."""

from pathlib import Path

import pytest
from sqlalchemy import Connection

from proxy.store import Store
from proxy.store.presence import present

from .examples import NOW, entry, opened

BOTH = pytest.mark.usefixtures("engine")


@BOTH
async def test_journal_N17_an_intent_of_a_process_that_lives_is_left_alone(tmp_path: Path) -> None:
    async with opened(tmp_path) as one, opened(tmp_path) as other:
        await one.journal.begin(entry())
        assert await other.journal.resolve_abandoned(other.presence.lives) == 0
        assert await one.journal.resolve_abandoned(one.presence.lives) == 0


@BOTH
async def test_journal_N17_an_intent_of_a_process_that_ended_is_settled_by_another(tmp_path: Path) -> None:
    async with opened(tmp_path) as other:
        async with opened(tmp_path) as one:
            await one.journal.begin(entry())
        assert await other.journal.resolve_abandoned(other.presence.lives) == 1


@BOTH
async def test_links_S05_an_intent_is_settled_when_its_process_is_gone_and_not_before(tmp_path: Path) -> None:
    async with opened(tmp_path) as other:
        async with opened(tmp_path) as one:
            await one.links.begin("case-1", "digest-1", NOW)
            assert await other.links.resolve_abandoned(other.presence.lives) == 0
        assert await other.links.resolve_abandoned(other.presence.lives) == 1
        [link] = await other.links.of("case-1")
    assert (link.state, link.cause) == ("ambiguous", "interrupted")


@BOTH
async def test_links_S05_a_second_try_is_the_process_s_that_makes_it(tmp_path: Path) -> None:
    async with opened(tmp_path) as other:
        async with opened(tmp_path) as one:
            attempt = await one.links.begin("case-1", "digest-1", NOW)
            assert attempt
            await one.links.fail(attempt, "refused", ambiguous=False)
        assert await other.links.begin("case-1", "digest-1", NOW)
        assert await other.links.resolve_abandoned(other.presence.lives) == 0


async def test_a_release_that_kept_no_names_is_gone(store: Store) -> None:
    def work(conn: Connection) -> list[bool]:
        return [store.presence.lives(conn, name) for name in (None, store.presence.name)]

    assert await store.database.read(work) == [False, True]


def test_nothing_is_left_of_those_that_ended_or_died(tmp_path: Path) -> None:
    (tmp_path / "aaaa").touch()  # as one leaves it that is killed
    with present(tmp_path, "bbbb") as one, present(tmp_path, "cccc") as other:
        assert sorted(path.name for path in tmp_path.iterdir()) == ["bbbb", "cccc"]
        assert one.lives(None, "cccc")
        assert other.lives(None, "bbbb")
        assert not other.lives(None, "aaaa")
    assert list(tmp_path.iterdir()) == []


def test_a_process_that_fails_is_gone(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), present(tmp_path, "bbbb"):
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []
