"""Overrides in the store: one of two wins, an end falls back, a rollback goes back, a kill leaves no half."""

import asyncio
import json
import random
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from sqlalchemy import Connection

from proxy.modes import EVERYONE, MODES, BadChange, Change, Override, overrides_of
from proxy.store import Store
from proxy.store.rollout.override_queries import uncovered
from proxy.store.rollout.overrides import NothingToUndo, StaleRevision
from tests.store.examples import NOW, ago, fernet_key, opened
from tests.stores import ENGINES, EngineName

pytestmark = pytest.mark.usefixtures("engine")

ROOT: Final = Path(__file__).parents[3]


def hours(number: float) -> datetime:
    return NOW + timedelta(hours=number)


async def change(store: Store, mode: str | None, at: datetime = NOW, **changes: Any) -> Override:
    expected = changes.pop("expected", None)
    values: dict[str, Any] = {"actor": "ana", "route": "query", "mode": mode, "reason": "evidence"}
    return await store.overrides.change(Change(**{**values, **changes}), expected=expected, at=at)


async def back(store: Store, at: datetime = NOW, **changes: Any) -> Override:
    return await store.overrides.roll_back(**{"actor": "ben", "reason": "too early", "at": at, **changes})


async def in_force(store: Store, now: datetime = NOW, **where: Any) -> str | None:
    """Returns the mode of a route as a process that has just started finds it."""
    values = {"route": "query", "scope": None, **where}
    found = (await store.overrides.load()).in_force(**values, now=now)
    return None if found is None else found.mode


async def test_a_new_store_leaves_the_mappings_in_charge(store: Store) -> None:
    loaded = await store.overrides.load()
    assert (loaded.revision, dict(loaded.stacks), await store.overrides.revision()) == (0, {}, 0)


async def test_a_change_comes_back_as_it_was_written(store: Store) -> None:
    until = datetime.fromisoformat("2026-03-21T14:00:00+02:00")
    written = await change(store, "canary", percent=12.5, until=until, organization="Clínica")
    assert written == Override(
        revision=1,
        at=NOW,
        actor="ana",
        route="query",
        scope=store.sealer.digest("organization", "Clínica"),
        organization="Clínica",
        mode="canary",
        percent=12.5,
        until=until.astimezone(UTC),
        reason="evidence",
    )
    assert await store.overrides.history() == [written]
    assert (await store.overrides.load()).all_in_force(NOW) == [written]


async def test_an_organization_is_known_by_its_composed_name(store: Store) -> None:
    written = await change(store, "new", organization="Cli\u0301nica")
    scope = store.sealer.digest("organization", "Clínica")
    assert (written.organization, written.scope) == ("Clínica", scope)
    assert await in_force(store, scope=scope) == "new"


@pytest.mark.usefixtures("unused_files")
async def test_an_organizations_name_is_not_on_disk_in_the_clear(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await change(store, "new", organization="ruiseñor-Norte")
        await back(store)
        raw = await ENGINES.bytes_of(tmp_path)
    assert b"evidence" in raw
    assert b"-Norte" not in raw


async def test_an_override_outlives_the_key_that_its_organizations_name_was_sealed_with(
    tmp_path: Path,
) -> None:
    old, new = fernet_key(1), fernet_key(2)
    async with opened(tmp_path, [old]) as store:
        scope = (await change(store, "new", organization="h1")).scope
        await change(store, "off", organization="h1")
    async with opened(tmp_path, [new, old]):
        pass
    async with opened(tmp_path, [new]) as store:
        assert await in_force(store, scope=scope) == "off"
        undone = await back(store)
        assert (undone.scope, undone.organization) == (scope, None)
        assert await in_force(store, scope=scope) == "new"


async def test_of_two_writers_who_saw_the_same_revision_exactly_one_wins(tmp_path: Path) -> None:
    async with opened(tmp_path) as one, opened(tmp_path) as two:
        for round_ in range(10):
            outcomes = await asyncio.gather(
                *(change(store, "new", expected=round_) for store in (one, two)), return_exceptions=True
            )
            won = [each for each in outcomes if isinstance(each, Override)]
            lost = [each for each in outcomes if isinstance(each, StaleRevision)]
            assert ([each.revision for each in won], [each.current for each in lost]) == (
                [round_ + 1],
                [round_ + 1],
            )
        assert [each.revision for each in await one.overrides.history()] == list(range(10, 0, -1))
        assert (await two.audit.verify()).rows == 10


async def test_without_an_expectation_every_writer_gets_a_revision_of_their_own(tmp_path: Path) -> None:
    async with opened(tmp_path) as one, opened(tmp_path) as two:
        made = await asyncio.gather(*(change(store, "new") for store in (one, two) * 10))
        assert sorted(each.revision for each in made) == list(range(1, 21))
        assert (await one.overrides.revision(), (await one.audit.verify()).first_bad) == (20, None)


@pytest.mark.parametrize("expected", [0, 2])
async def test_a_stale_change_or_rollback_writes_nothing(store: Store, expected: int) -> None:
    await change(store, "shadow")
    for late in (change(store, "new", expected=expected), back(store, expected=expected)):
        with pytest.raises(StaleRevision) as caught:
            await late
        assert caught.value.current == 1
    assert (await store.overrides.revision(), len(await store.audit.all())) == (1, 1)


async def test_a_change_that_may_not_be_made_writes_nothing(store: Store) -> None:
    await change(store, "new")
    for bad in (
        change(store, "off", reason=""),
        change(store, "off", until=ago(hours=1)),
        back(store, reason="\n"),
    ):
        with pytest.raises(BadChange):
            await bad
    assert (await store.overrides.revision(), len(await store.audit.all())) == (1, 1)


async def test_an_override_falls_back_by_itself_to_what_was_in_force_before(store: Store) -> None:
    await change(store, "legacy")
    await change(store, "shadow", until=hours(2))
    await change(store, "off", until=hours(1))
    seen = [await in_force(store, now) for now in (NOW, hours(1), hours(2))]
    assert seen == ["off", "shadow", "legacy"]


async def test_rollbacks_walk_back_change_by_change_until_nothing_is_left(store: Store) -> None:
    for mode in ("legacy", "shadow", "canary"):
        await change(store, mode, percent=5 if mode == "canary" else None)
    walked = [await back(store) for _ in range(3)]
    assert [(each.revision, each.mode, each.undoes) for each in walked] == [
        (4, "shadow", 3),
        (5, "legacy", 2),
        (6, None, 1),
    ]
    assert await in_force(store) is None
    with pytest.raises(NothingToUndo):
        await back(store)
    assert await store.overrides.revision() == 6


async def test_a_rollback_restores_mode_percent_and_end(store: Store) -> None:
    before = await change(store, "canary", percent=5, until=hours(2), organization="h1")
    await change(store, "new", organization="h1")
    restored = await back(store, hours(1))
    assert restored == replace(before, revision=3, at=hours(1), actor="ben", reason="too early", undoes=2)


async def test_a_rollback_does_not_restore_what_has_ended_meanwhile(store: Store) -> None:
    await change(store, "legacy")
    await change(store, "shadow", until=hours(1))
    await change(store, "new")
    assert (await back(store, hours(1))).mode == "legacy"


async def test_after_a_rollback_an_end_falls_back_past_what_was_undone(store: Store) -> None:
    await change(store, "legacy")
    await change(store, "shadow", until=hours(1))
    await change(store, "new")
    await back(store)
    assert [await in_force(store, now) for now in (NOW, hours(1))] == ["shadow", "legacy"]


async def test_a_rollback_undoes_the_newest_change_of_any_route_and_scope_or_of_the_one_named(
    store: Store,
) -> None:
    await change(store, "shadow", route="doc")
    await change(store, "new", route="doc", organization="h1")
    await change(store, "off", route="query")
    undone = [await back(store, route="doc"), await back(store)]
    assert [(each.route, each.organization, each.undoes) for each in undone] == [
        ("doc", "h1", 2),
        ("query", None, 3),
    ]
    assert await in_force(store, route="doc") == "shadow"
    with pytest.raises(NothingToUndo):
        await back(store, route="encounters")


async def test_a_change_after_a_rollback_is_undone_first(store: Store) -> None:
    await change(store, "legacy")
    await change(store, "shadow")
    await back(store)
    await change(store, "new")
    assert [(each.mode, each.undoes) for each in (await back(store), await back(store))] == [
        ("legacy", 4),
        (None, 1),
    ]


async def test_the_history_is_newest_first_with_rollbacks_in_their_place(store: Store) -> None:
    await change(store, "shadow", at=ago(days=1))
    await change(store, "new", at=ago(days=2), route="doc")
    await back(store)
    assert [each.revision for each in await store.overrides.history()] == [3, 2, 1]
    assert [each.revision for each in await store.overrides.history(limit=2)] == [3, 2]
    assert [each.revision for each in await store.overrides.history(route="query")] == [1]


@pytest.mark.parametrize("seed", range(4))
async def test_what_is_loaded_is_what_the_whole_history_leaves(store: Store, seed: int) -> None:
    chance = random.Random(seed)
    for step in range(40):
        at = NOW + timedelta(minutes=step)
        until = at + timedelta(minutes=chance.randint(1, 60)) if chance.random() < 0.6 else None
        try:
            if chance.random() < 0.35:
                await back(store, at, route=chance.choice([None, "query", "doc"]))
            else:
                await change(
                    store,
                    chance.choice([*MODES, None]),
                    at,
                    until=until,
                    route=chance.choice(["query", "doc"]),
                    organization=chance.choice([None, "h1"]),
                )
        except NothingToUndo:
            continue
        assert await store.overrides.load() == overrides_of(await store.overrides.history())


@pytest.mark.parametrize("seed", range(4))
async def test_after_a_rollback_all_is_at_any_later_time_as_if_the_change_had_not_been_made(
    store: Store, seed: int
) -> None:
    chance = random.Random(seed)
    stacks: list[dict[datetime, str | None]] = []
    times = [NOW + timedelta(minutes=30 * step) for step in range(12)]

    async def seen() -> dict[datetime, str | None]:
        return {now: await in_force(store, now) for now in times}

    for _ in range(12):
        if stacks and chance.random() < 0.5:
            await back(store)
            assert await seen() == stacks.pop()
        else:
            stacks.append(await seen())
            until = hours(chance.randint(1, 6)) if chance.random() < 0.7 else None
            await change(store, chance.choice(MODES), until=until)


async def test_only_what_can_matter_is_read(store: Store) -> None:
    for number in range(5):
        await change(store, "shadow", reason=f"for good {number}")
        await change(store, "new", until=hours(number + 1))
    await change(store, "off", until=hours(2))

    def read(conn: Connection) -> set[int]:
        return {row.revision for row in conn.execute(uncovered())}

    assert await store.database.read(read) == {11, 10, 9}
    (stack,) = (await store.overrides.load()).stacks.values()
    assert [each.revision for each in stack] == [11, 10, 9]


async def test_each_change_has_its_row_in_the_audit(store: Store) -> None:
    await change(store, "shadow", until=hours(1))
    await change(store, None, organization="h1")
    await back(store)
    events = await store.audit.all()
    assert [(each.at, each.actor, each.action) for each in events] == [
        (NOW, "ana", "mode_set"),
        (NOW, "ana", "mode_cleared"),
        (NOW, "ben", "mode_rolled_back"),
    ]
    scope = store.sealer.digest("organization", "h1")
    assert [each.subject for each in events] == [EVERYONE, scope, scope]
    assert json.loads(events[0].detail) == {
        "revision": 1,
        "route": "query",
        "mode": "shadow",
        "until": "2026-03-21T11:00:00.123Z",
        "reason": "evidence",
    }


CHANGING: Final = """
import asyncio, itertools, sys
from datetime import UTC, datetime
from proxy.modes import Change
from proxy.store import StoreOptions, open_store
from tests.store.examples import KEY

async def main():
    options = StoreOptions(database_url=sys.argv[1], blobs_url=sys.argv[2])
    async with open_store(options, [KEY]) as store:
        for mode in itertools.cycle(["shadow", "new", None]):
            at = datetime.now(UTC)
            if mode is None:
                made = await store.overrides.roll_back(actor="ben", reason="again", at=at)
            else:
                change = Change(actor="ana", route="query", organization="h1", mode=mode, reason="again")
                made = await store.overrides.change(change, expected=None, at=at)
            print(made.revision, flush=True)

asyncio.run(main())
"""


KILLS: Mapping[EngineName, int] = {"sqlite": 10, "postgresql": 4}


async def test_a_process_that_is_killed_while_it_changes_leaves_both_rows_or_neither(
    tmp_path: Path, engine: EngineName
) -> None:
    told = 0
    options = await ENGINES.options(tmp_path)
    command = [sys.executable, "-c", CHANGING, options.database_url, options.blobs_url]
    for kill in range(KILLS[engine]):
        process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=PIPE, stderr=DEVNULL)
        assert process.stdout
        async with asyncio.timeout(60):
            for _ in range(1 + 3 * kill):
                told = int(await process.stdout.readline())
            process.send_signal(signal.SIGKILL)
            *whole, _cut = (await process.stdout.read()).split(b"\n")
            told = max(told, *(int(line) for line in whole[-1:]), 0)
            assert await process.wait() == -signal.SIGKILL
        await ENGINES.end_sessions(tmp_path)
        async with opened(tmp_path) as store:
            await _both_rows_agree(store, told)
    assert told >= sum(1 + 3 * kill for kill in range(KILLS[engine]))


async def _both_rows_agree(store: Store, told: int) -> None:
    """Compares both rows; `told` is the last revision that the killed process knew to be written."""
    (newest,) = await store.overrides.history(limit=1)
    ((number, event),) = await store.audit.newest(1)
    detail = json.loads(event.detail)
    assert newest.revision in {told, told + 1}
    assert (detail["revision"], detail.get("mode"), detail.get("undoes"), event.at, event.actor) == (
        newest.revision,
        newest.mode,
        newest.undoes,
        newest.at,
        newest.actor,
    )
    verdict = await store.audit.verify()
    assert (verdict.first_bad, verdict.rows, number) == (None, newest.revision, newest.revision)
