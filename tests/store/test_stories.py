"""The traces of the newest requests."""

from proxy.store import Store
from proxy.store.stories import Story

from .examples import NOW, ago


async def add(store: Store, *stories: Story) -> None:
    await store.evidence.add(stories=stories, at=NOW)


async def test_a_story_is_found_by_its_request_id(store: Store) -> None:
    told = Story("request-1", NOW, {"decided": {"side": "legacy"}, "calls": [1, None]})
    await add(store, told, Story("request-2", NOW, {}))
    assert await store.stories.of("request-1") == [told]
    assert await store.stories.of("request-3") == []


async def test_requests_under_one_id_are_told_in_their_order(store: Store) -> None:
    await add(store, Story("request-1", NOW, "first"), Story("request-1", ago(hours=1), "second"))
    await add(store, Story("request-1", ago(hours=2), "third"))
    assert [story.story for story in await store.stories.of("request-1")] == ["first", "second", "third"]


async def test_only_the_newest_two_thousand_are_kept(store: Store) -> None:
    await add(store, Story("first", NOW, 0), Story("second", NOW, 0))
    await add(store, *(Story("later", NOW, number) for number in range(1998)))
    assert len(await store.stories.of("first")) == 1
    await add(store, Story("last", NOW, 0))
    left = {name: len(await store.stories.of(name)) for name in ("first", "second", "later", "last")}
    assert left == {"first": 0, "second": 1, "later": 1998, "last": 1}


async def test_a_batch_of_more_than_two_thousand_leaves_its_newest(store: Store) -> None:
    await add(store, *(Story("request-1", NOW, number) for number in range(2500)))
    kept = [story.story for story in await store.stories.of("request-1")]
    assert kept == [*range(500, 2500)]


async def test_stories_go_with_the_content(store: Store) -> None:
    await add(store, Story("old", ago(days=91), {}), Story("new", ago(days=89), {}))
    await store.retention.sweep(NOW, content_days=90, audio_days=30)
    assert [len(await store.stories.of(name)) for name in ("old", "new")] == [0, 1]
