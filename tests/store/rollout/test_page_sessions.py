"""The sessions of the operator's page, on both engines."""

from datetime import UTC, datetime
from pathlib import Path

from proxy.store.rollout.page_sessions import SESSION_LIFE
from tests.store.examples import opened
from tests.stores import EngineName

NOW = datetime(2027, 1, 31, 12, tzinfo=UTC)


async def test_a_session_is_found_until_it_ends_and_then_swept(engine: EngineName, tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        sessions = store.page_sessions
        await sessions.begin("token", "ana", b"hash", NOW)
        await sessions.begin("later", "eva", b"other", NOW + SESSION_LIFE / 2)
        found = await sessions.find("token", NOW)
        assert found is not None
        assert (found.actor, found.operator) == ("ana", sessions.operator(b"hash"))
        assert found.operator != sessions.operator(b"other")
        assert await sessions.find("other", NOW) is None
        assert await sessions.find("token", NOW + SESSION_LIFE) is None
        await store.retention.sweep(NOW + SESSION_LIFE, 90, 30)
        assert await sessions.find("token", NOW) is None
        assert await sessions.find("later", NOW) is not None


async def test_a_session_that_was_ended_is_gone(engine: EngineName, tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await store.page_sessions.begin("token", "ana", b"hash", NOW)
        await store.page_sessions.end("token")
        assert await store.page_sessions.find("token", NOW) is None
