"""What tests of moving routes share: modes in mapping files, overrides, and what the store has seen of it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

from multidict import CIMultiDictProxy

from proxy.overrides import Mode, Override
from proxy.store.overrides import Change
from tests.conftest import IDENTITY, Api, case_form

ROUTES: Final = (
    "new_case",
    "doc",
    "encounters",
    "query",
    "upload_audio",
    "speech_to_text",
    "encounter_page",
)
T = TypeVar("T")


def mode(name: str, more: str = "") -> Callable[[str], str]:
    """An edit of a mapping file: its mode, and further lines at its top."""
    return lambda text: text.replace('mode = "new"', f'mode = "{name}"\n{more}')


def all_in(name: str) -> dict[str, Callable[[str], str]]:
    return dict.fromkeys(ROUTES, mode(name))


async def override(api: Api, route: str, name: Mode | None, **more: Any) -> Override:
    """Sets an override, in force on return."""
    values = {"organization": None, "percent": None, "until": None, "reason": "a test", "actor": "ana"}
    change = Change(route=route, mode=name, **{**values, **more})
    made = await api.proxy.deps.store.overrides.change(change, expected=None, at=api.clock())
    await api.proxy.moving.follower.catch_up()
    return made


async def eventually(ask: Callable[[], Awaitable[T]], good: Callable[[T], bool], seconds: float = 20) -> T:
    """What `ask` gives once it is good; TimeoutError when it never is."""
    async with asyncio.timeout(seconds):
        while not good(found := await ask()):  # noqa: ASYNC110  what is asked sets no event
            await asyncio.sleep(0.005)
        return found


async def new_case(api: Api, **headers: str) -> tuple[int, CIMultiDictProxy[str], str]:
    """A newCase's status, headers and text."""
    url = f"{api.url}/michiQ/newCase"
    async with api.http.post(url, data=case_form(), headers={**IDENTITY, **headers}) as response:
        return response.status, response.headers, await response.text()


def made_by(api: Api, text: str) -> str:
    """The side that made the case of this answer."""
    return "legacy" if any(each in text for each in api.sandbox.michiq.encounters) else "new"
