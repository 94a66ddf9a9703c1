"""Nothing private is on the disk in clear: database, its log, temporary files, blobs, the proxy's own log."""

from pathlib import Path

from tests.crash.client import Client
from tests.crash.keeping import erase_user, rotate
from tests.crash.resting import WORDS, Found, config, search, session
from tests.crash.site import sited


async def test_rest_U06_a_session_leaves_nothing_in_clear_on_the_disk_at_any_moment(tmp_path: Path) -> None:
    found = Found()
    async with sited(tmp_path, config()) as site:
        assert await site.start(plain=True)
        await session(site, found)
        site.kill()
        await site.gone()
        search(site, found)
    assert found.hits == set()
    assert found.temporary >= 3, "the forms never were in temporary files"


def test_a_word_in_clear_is_found(tmp_path: Path) -> None:
    (tmp_path / "leak").write_text(f"… {WORDS['patient']} …")
    found = Found()
    found.search(tmp_path / "leak", "a leak")
    assert found.hits == {"patient in a leak"}


async def test_a_user_is_erased_to_the_last_byte_while_the_proxy_serves_others(tmp_path: Path) -> None:
    async with sited(tmp_path) as site:
        assert await site.start(plain=True)
        done = await erase_user(site, Client(site), 20)
    assert (done.code, done.hits, done.failed) == (0, set(), []), done.said
    assert done.searched > 0


async def test_no_value_under_the_old_key_outlives_a_rotation_that_was_killed_on_its_way(
    tmp_path: Path,
) -> None:
    async with sited(tmp_path) as site:
        client = Client(site)
        assert await site.start(plain=True)
        done = await rotate(site, client, 50, 1)
    assert (done.code, done.hits, done.failed) == (0, set(), []), done.said
    assert done.searched > 50
