"""Mapping files that change while the proxy runs: all in force, or none of them and the reason told."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Api, StartProxy
from tests.web.moving import eventually


@pytest.fixture
async def api(start_proxy: StartProxy) -> AsyncIterator[Api]:
    async with start_proxy(watch=True) as started:
        yield started


@pytest.fixture
def query(tmp_path: Path) -> Path:
    return tmp_path / "mappings" / "query.toml"


async def refused(api: Api) -> str:
    """The text of a refusal that stands in query.toml."""
    async with api.http.post(f"{api.url}/michiQ/query/x") as response:
        return await response.text()


async def ready(api: Api) -> tuple[int, Any]:
    async with api.http.get(f"{api.proxy.admin_url}/readyz") as response:
        return response.status, await response.json()


def change(path: Path, edit: Callable[[str], str]) -> str:
    """Writes the file anew; what stood in it."""
    before = path.read_text("utf-8")
    path.write_text(edit(before), "utf-8")
    return before


def replace(path: Path, edit: Callable[[str], str]) -> None:
    """As editors do: another file takes the place of this one."""
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
