"""The last calls of each organization and key, on both engines."""

from datetime import date, datetime
from pathlib import Path

from proxy.store import Store
from proxy.store.audit.last_calls import CallerKey, LastCall, Named
from proxy.store.audit.usage import Visit
from tests.store.examples import NOW, ago, opened
from tests.stores import EngineName

NORTE, SUR = "a" * 64, "b" * 64


def visit(
    scope: str, at: datetime, *, key: str = "k", user: str = "u", side: str = "new", agent: str = "x"
) -> Visit:
    return Visit(
        key, user, {NORTE: "Clínica Norte", SUR: "Sur"}[scope], scope, agent, "doc", side, 200, at, side
    )


async def add(store: Store, *visits: Visit) -> None:
    await store.evidence.add(outcomes=[], seen=[], visits=visits, stories=[], at=NOW)


async def test_the_calls_of_all_users_with_a_key_are_summed_by_side(
    engine: EngineName, tmp_path: Path
) -> None:
    async with opened(tmp_path) as store:
        await add(
            store,
            visit(NORTE, ago(days=9), side="legacy"),
            visit(NORTE, ago(days=2), side="legacy"),
            visit(NORTE, ago(days=1), user="v"),
            visit(NORTE, ago(days=1), user="v"),
            visit(SUR, ago(days=50), key="other"),
            visit(SUR, ago(days=100), key="gone"),
        )
        found = await store.last_calls.all(["doc", "query"], day(90), day(7))
        assert await store.last_calls.all(["query"], day(90), day(7)) == []
    norte, sur = CallerKey(NORTE, "k"), CallerKey(SUR, "other")
    assert sorted(found, key=lambda each: each.last) == [
        LastCall(sur, "doc", "new", day(50), 0, 1),
        LastCall(norte, "doc", "new", day(1), 3, 2),
    ]


async def test_a_caller_has_a_name_and_the_newest_of_its_agents(engine: EngineName, tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        agents = [visit(NORTE, ago(days=number), agent=f"agent/{number}") for number in range(1, 6)]
        same = visit(NORTE, ago(hours=1), user="v", agent="agent/1")
        await add(store, *agents, same, visit(SUR, ago(days=1), agent=""))
        norte, sur = CallerKey(NORTE, "k"), CallerKey(SUR, "k")
        named = await store.last_calls.named({norte, sur})
        assert await store.last_calls.named(set()) == {}
    assert named[sur] == Named("Sur", ())
    assert named[norte].organization == "Clínica Norte"
    assert sorted(named[norte].agents) == ["agent/1", "agent/2"]


def day(days: int) -> date:
    return ago(days=days).date()
