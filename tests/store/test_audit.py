"""The audit trail."""

import asyncio

from proxy.store import Store
from proxy.store.audit import AuditEvent

from .examples import NOW, ago


async def test_audit_N05_a_first_sight_is_noted_once(store: Store) -> None:
    seen = [await store.audit.first_sight("user", "digest", at) for at in (ago(days=1), NOW)]
    assert seen == [True, False]
    assert await store.audit.all() == [AuditEvent(ago(days=1), "proxy", "first_user", "digest")]


async def test_audit_N05_two_first_sights_at_once_are_one(store: Store) -> None:
    await asyncio.gather(*(store.audit.all() for _ in range(4)))  # with open connections all look at once
    seen = await asyncio.gather(*(store.audit.first_sight("user", "digest", NOW) for _ in range(4)))
    assert sorted(seen) == [False, False, False, True]


async def test_audit_N05_users_and_organizations_are_told_apart(store: Store) -> None:
    await store.audit.first_sight("user", "digest", NOW)
    assert await store.audit.first_sight("organization", "digest", NOW)


async def test_audit_events_are_listed_as_they_were_written(store: Store) -> None:
    await store.audit.add("ana", "later", "digest", NOW)
    await store.audit.add("ana", "earlier", "digest", ago(days=1))
    assert [event.action for event in await store.audit.all()] == ["later", "earlier"]
