"""Sessions by their legacy token."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, func, select

from proxy.store import Store
from proxy.store.sql.tables import api_keys
from proxy.values import Identity
from tests.store.examples import NOW, OTHER, OWNER, ago, session


async def test_sessions_G05_a_token_gives_back_its_session(store: Store) -> None:
    await store.sessions.put("token", session())
    assert await store.sessions.get("token") == session()


async def test_sessions_G05_a_session_may_have_no_organization_upstream_and_no_known_expiry(
    store: Store,
) -> None:
    parent = session(
        identity=Identity(api_key="key-1", user="ana@clinic.example", organization=None),
        access_expires_at=None,
    )
    await store.sessions.put("token", parent)
    assert await store.sessions.get("token") == parent


async def test_sessions_G04_an_unknown_token_has_no_session(store: Store) -> None:
    assert await store.sessions.get("token \ud800") is None


async def test_sessions_G04_an_expired_session_is_given_for_the_caller_to_judge(store: Store) -> None:
    expired = session(expires_at=ago(days=1))
    await store.sessions.put("token", expired)
    assert await store.sessions.get("token") == expired


async def test_sessions_G06_renewing_changes_the_access_token_alone(store: Store) -> None:
    await store.sessions.put("token", session())
    await store.sessions.renew("token", "access-2", NOW)
    expected = replace(session(), access_token="access-2", access_expires_at=NOW)
    assert await store.sessions.get("token") == expected


async def test_a_token_put_again_has_the_later_session(store: Store) -> None:
    await store.sessions.put("token", session())
    await store.sessions.put("token", session(access_token="access-2"))
    assert await store.sessions.get("token") == session(access_token="access-2")


async def test_an_api_key_is_kept_once_for_all_its_sessions(store: Store) -> None:
    def count(conn: Connection) -> int:
        return conn.execute(select(func.count()).select_from(api_keys)).scalar_one()

    for token in ("one", "two"):
        await store.sessions.put(token, session())
    assert await store.database.read(count) == 1


async def test_an_api_key_is_written_again_only_when_it_does_not_open(store: Store) -> None:
    def stored(conn: Connection) -> Any:
        return conn.execute(select(api_keys.c.api_key)).scalar_one()

    await store.sessions.put("one", session())
    first = await store.database.read(stored)
    await store.sessions.put("two", session())
    assert await store.database.read(stored) == first
    await store.database.write(lambda conn: conn.execute(api_keys.update().values(api_key=b"\x01 lost")))
    await store.sessions.put("three", session())
    assert await store.sessions.get("one") == session()


async def test_sessions_N19_the_newest_access_token_of_a_caller_is_one_that_is_known_to_live(
    store: Store,
) -> None:
    def ends(minutes: int) -> datetime:
        return NOW + timedelta(minutes=minutes)

    caller = session().identity
    sound = {"older": session(access_expires_at=ends(5)), "newest": session(access_expires_at=ends(10))}
    others = {
        "another key": session(identity=replace(caller, api_key="key-2"), access_expires_at=ends(20)),
        "another spelling": session(
            identity=replace(caller, user="ANA@clinic.example"), access_expires_at=ends(20)
        ),
        "another user": session(owner=OTHER, access_expires_at=ends(20)),
        "ended": session(expires_at=NOW, access_expires_at=ends(20)),
        "of unknown end": session(access_expires_at=None),
        "of an access token that has ended": session(access_expires_at=NOW),
    }
    for name, each in others.items():
        await store.sessions.put(name, each)
    assert await store.sessions.newest_access_of(caller, OWNER, NOW) is None
    for name, each in sound.items():
        await store.sessions.put(name, each)
    assert await store.sessions.newest_access_of(caller, OWNER, NOW) == sound["newest"]
