"""A running proxy finishes, or shows, what a process left unfinished; its own unfinished work too."""

import pytest

from proxy.store import StoreError
from proxy.web.take_over import look_once
from tests.conftest import Api, StartProxy
from tests.flows._client import created, settled
from tests.flows.test_linked_resume import off, transcribed
from tests.store.examples import NOW, entry


async def look(api: Api) -> None:
    await look_once(api.proxy.moving.live, api.proxy.deps)
    await settled(api)


async def test_case_N17_whose_outcome_its_process_could_not_write_is_shown_while_that_process_lives(
    api: Api,
) -> None:
    journal = api.proxy.deps.store.journal
    with journal.in_hand.holding(["intent-1"]):
        await journal.begin(entry())
        await look(api)
        assert await journal.pending() == []
    await look(api)
    assert [each.id for each in await journal.pending()] == ["intent-1"]


@pytest.mark.parametrize("state", ["intent", "pending"])
async def test_speech_S05_what_a_failed_task_left_is_shown_if_it_may_be_sent_and_made_if_not(
    start_proxy: StartProxy, state: str
) -> None:
    async with start_proxy(edit={"speech_to_text": off}) as api:
        case, _, digest = await transcribed(api)
    async with start_proxy() as api:
        links = api.proxy.deps.store.links
        await links.plan(case.id, [digest], NOW)
        if state == "intent":
            assert await links.begin(case.id, digest, NOW)
        await look(api)
        assert [link.state for link in await links.of(case.id)] == [
            "ambiguous" if state == "intent" else "done"
        ]
        assert len(created(api)) == (state == "pending")


async def test_what_goes_wrong_is_left_to_the_next_time(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    store = api.proxy.deps.store
    await store.journal.begin(entry())
    with monkeypatch.context() as broken:
        broken.setattr("proxy.store.sql.sqlite.SqliteDatabase.write", refused)
        await look(api)
    await look(api)
    assert len(await store.journal.pending()) == 1


async def refused(*_: object, **__: object) -> None:
    raise StoreError("the disk is full")
