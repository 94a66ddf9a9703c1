"""The conversation of each case and user."""

import asyncio

from proxy.store import Store
from proxy.store.records.conversations import Conversation
from tests.store.examples import OTHER, OWNER


async def test_conversations_Q06_there_is_one_for_each_case_and_user(store: Store) -> None:
    await store.conversations.put("case-1", OWNER, "conversation-1")
    assert await store.conversations.get("case-1", OWNER) == Conversation("conversation-1", frozenset())
    assert await store.conversations.get("case-1", OTHER) is None
    assert await store.conversations.get("case-2", OWNER) is None


async def test_conversations_Q04_what_was_sent_adds_up(store: Store) -> None:
    await store.conversations.put("case-1", OWNER, "conversation-1")
    await asyncio.gather(
        *(store.conversations.add_sent("case-1", OWNER, {"common", str(n)}) for n in range(3))
    )
    kept = await store.conversations.get("case-1", OWNER)
    assert kept == Conversation("conversation-1", frozenset({"common", "0", "1", "2"}))


async def test_conversations_Q06_a_new_one_starts_over(store: Store) -> None:
    await store.conversations.put("case-1", OWNER, "conversation-1")
    await store.conversations.add_sent("case-1", OWNER, {"hash"})
    await store.conversations.put("case-1", OWNER, "conversation-2")
    assert await store.conversations.get("case-1", OWNER) == Conversation("conversation-2", frozenset())


async def test_conversations_Q06_a_dropped_one_is_gone_and_takes_no_passages(store: Store) -> None:
    await store.conversations.put("case-1", OWNER, "conversation-1")
    await store.conversations.drop("case-1", OWNER)
    await store.conversations.add_sent("case-1", OWNER, {"hash"})
    assert await store.conversations.get("case-1", OWNER) is None


def test_conversations_Q06_the_id_is_in_no_repr() -> None:
    assert "canary" not in repr(Conversation("canary", frozenset()))
