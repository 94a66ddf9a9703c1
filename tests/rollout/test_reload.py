"""Mapping files that change while the proxy runs: all come into force, or none and the reason is shown."""

import asyncio
import re
import shutil
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Api, StartProxy
from tests.rollout.moving import eventually


@pytest.fixture
async def api(start_proxy: StartProxy) -> AsyncIterator[Api]:
    async with start_proxy(watch=True) as started:
        yield started


@pytest.fixture
def query(tmp_path: Path) -> Path:
    return tmp_path / "mappings" / "query.toml"


async def refused(api: Api) -> str:
    """Returns the text of a refusal in query.toml."""
    async with api.http.post(f"{api.url}/michiQ/query/x") as response:
        return await response.text()


async def ready(api: Api) -> tuple[int, Any]:
    async with api.http.get(f"{api.proxy.admin_url}/readyz") as response:
        return response.status, await response.json()


def change(path: Path, edit: Callable[[str], str]) -> str:
    """Writes the file again, and returns its former text."""
    before = path.read_text("utf-8")
    path.write_text(edit(before), "utf-8")
    return before


def replace(path: Path, edit: Callable[[str], str]) -> None:
    """Replaces the file by another one, as editors do."""
    draft = path.with_suffix(".new")
    draft.write_text(edit(path.read_text("utf-8")), "utf-8")
    draft.replace(path)


def say(path: Path, text: str) -> None:
    change(path, lambda old: old.replace("Authorization token missing or invalid", text))


async def test_a_file_that_changes_is_in_force_without_a_restart(api: Api, query: Path) -> None:
    say(query, "Otro texto")
    await eventually(lambda: refused(api), lambda text: text == "Otro texto")


async def test_a_file_that_an_editor_replaces_is_followed_again_and_again(api: Api, query: Path) -> None:
    for number in range(3):
        replace(query, partial(re.sub, r"missing or invalid[ 0-9]*", f"missing or invalid {number}"))
        expected = f"Authorization token missing or invalid {number}"
        await eventually(lambda: refused(api), expected.__eq__)


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (lambda text: text.replace('mode = "new"', 'mode = "nwe"'), "query.toml:5: mode"),
        (lambda text: text.replace("/michiQ/query", "/michiQ/ask"), "path and method change at a restart"),
        (lambda text: text.replace('mode = "new"', 'mode = "shadow"'), "needs MICHIQ_LEGACY_URL"),
        (lambda text: text[: len(text) // 2], "query.toml"),
    ],
    ids=["unknown mode", "another path", "no legacy server", "cut file"],
)
async def test_a_bad_file_is_refused_whole_and_shown_while_the_old_table_serves(
    api: Api, query: Path, edit: Any, reason: str
) -> None:
    change(query, edit)
    await eventually(lambda: ready(api), lambda found: bool(found[1]["rejected"]))
    # Only now: before, this file alone could come into force, and rightly.
    say(query.with_name("doc.toml"), "Nunca en vigor")
    await api.proxy.moving.follower.reload()
    status, told = await ready(api)
    assert status == 200, "a process whose old table is good stays ready"
    assert any(reason in complaint for complaint in told["rejected"])
    async with api.http.get(f"{api.url}/michiQ/doc/x") as response:
        assert await response.text() == "Authorization token missing or invalid"
    assert await refused(api) == "Authorization token missing or invalid"


async def test_a_mended_file_ends_the_complaint(api: Api, query: Path) -> None:
    good = change(query, lambda _: "mode =")
    await eventually(lambda: ready(api), lambda found: bool(found[1]["rejected"]))
    change(query, lambda _: good)
    await eventually(lambda: ready(api), lambda found: not found[1]["rejected"])


def _elsewhere(folder: Path, text: str) -> Path:
    """Copies the folder, with another text in query."""
    copy = folder.with_name("release")
    shutil.copytree(folder, copy, symlinks=False)
    say(copy / "query.toml", text)
    return copy


def _replace_folder(folder: Path) -> None:
    """Moves the new folder to the old one's path, as a deployment does."""
    release = _elsewhere(folder, "Carpeta nueva")
    folder.rename(folder.with_name("old"))
    release.rename(folder)


def _turn_link(folder: Path) -> None:
    """Several releases are beside each other, and one link leads to the one in force."""
    release = _elsewhere(folder, "Carpeta nueva")
    link = folder.with_name("link")
    link.symlink_to(release.name)
    folder.rename(folder.with_name("old"))
    link.rename(folder)


def _take_away_and_bring_back(folder: Path) -> None:
    release = _elsewhere(folder, "Carpeta nueva")
    shutil.rmtree(folder)
    release.rename(folder)


def _link_a_file(folder: Path) -> None:
    release = _elsewhere(folder, "Carpeta nueva")
    link = folder / "query.new"
    link.symlink_to(release / "query.toml")
    link.rename(folder / "query.toml")


@pytest.mark.parametrize(
    "change_folder", [_replace_folder, _turn_link, _take_away_and_bring_back, _link_a_file]
)
async def test_reload_28_a_folder_in_the_place_of_the_watched_one_is_followed_and_what_comes_after(
    api: Api, tmp_path: Path, change_folder: Callable[[Path], None]
) -> None:
    folder = tmp_path / "mappings"
    await asyncio.to_thread(change_folder, folder)
    await eventually(lambda: refused(api), "Carpeta nueva".__eq__)
    change(folder / "query.toml", lambda old: old.replace("Carpeta nueva", "Y otra vez"))
    await eventually(lambda: refused(api), "Y otra vez".__eq__)
    assert (await ready(api))[1]["watched"]


async def test_reload_28_a_config_map_is_followed_as_kubernetes_swaps_it(
    start_proxy: StartProxy, tmp_path: Path
) -> None:
    """A ConfigMap's files are links through `..data`, itself a link, which a rename replaces."""
    folder = tmp_path / "mappings"
    async with start_proxy(watch=True) as api:
        for version in ("..1", "..2", "..3"):
            (folder / version).mkdir()
            for path in folder.glob("*.toml"):
                text = path.read_text("utf-8")
                (folder / version / path.name).write_text(
                    re.sub(r"missing or invalid|\.\.[0-9]", version, text)
                )
            (folder / "..data_tmp").symlink_to(version)
            (folder / "..data_tmp").rename(folder / "..data")
            for path in [path for path in folder.glob("*.toml") if not path.is_symlink()]:
                path.unlink()
                path.symlink_to(Path("..data") / path.name)
            await eventually(lambda: refused(api), f"Authorization token {version}".__eq__)
        assert (await ready(api))[1]["watched"]


async def test_reload_28_that_nothing_is_watched_is_told_until_there_is_a_folder_again(
    api: Api, tmp_path: Path
) -> None:
    folder = tmp_path / "mappings"
    await eventually(lambda: ready(api), lambda found: found[1]["watched"])
    folder.rename(tmp_path / "away")
    status, told = await eventually(lambda: ready(api), lambda found: not found[1]["watched"])
    assert status == 200, "a process whose old table is good stays ready"
    _, told = await eventually(lambda: ready(api), lambda found: bool(found[1]["rejected"]))
    assert told["rejected"] == [
        "mappings can't be read, so its changes are not followed: No such file or directory"
    ]
    (tmp_path / "away").rename(folder)
    await eventually(lambda: ready(api), lambda found: found[1]["watched"] and not found[1]["rejected"])


async def test_a_hangup_reads_the_files_again(start_proxy: StartProxy, query: Path) -> None:
    async with start_proxy(watch=True) as api:
        say(query, "Por señal")
        api.proxy.moving.follower.reload_soon()
        await api.proxy.deps.tasks.drain(10)
        assert await refused(api) == "Por señal"


async def test_a_request_keeps_the_table_that_it_began_with(api: Api, query: Path) -> None:
    """The body that a request still waits for arrives after its table was replaced."""
    made = await api.new_case()
    gate = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield b'{"query": '
        await gate.wait()
        yield b'""}'

    url = f"{api.url}/michiQ/query/{made['michiq_uuid']}"
    headers = {"Authorization": f"Bearer {made['token']}", "Content-Type": "application/json"}
    asked = asyncio.create_task(_text(api, url, headers, body()))
    change(query, lambda text: text.replace("Query no", "Texto nuevo no").replace("missing or", "nuevo or"))
    await eventually(lambda: refused(api), lambda text: "nuevo" in text)
    gate.set()
    assert await asked == "Query no proporcionada"


async def _text(api: Api, url: str, headers: dict[str, str], body: AsyncIterator[bytes]) -> str:
    async with api.http.post(url, data=body, headers=headers) as response:
        return await response.text()
