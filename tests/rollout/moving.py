"""Helpers for tests of moving routes: modes in mapping files, overrides, and the store's evidence."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

from multidict import CIMultiDictProxy

from proxy.modes import Mode, Override
from proxy.store.rollout.overrides import Change
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
    """Returns an edit of a mapping file: its mode, and more lines at its top."""
    return lambda text: text.replace('mode = "new"', f'mode = "{name}"\n{more}')


def all_in(name: str) -> dict[str, Callable[[str], str]]:
    return dict.fromkeys(ROUTES, mode(name))


async def override(api: Api, route: str, name: Mode | None, **more: Any) -> Override:
    """Sets an override, which is in force on return."""
    values = {"organization": None, "percent": None, "until": None, "reason": "a test", "actor": "ana"}
    change = Change(route=route, mode=name, **{**values, **more})
    made = await api.proxy.deps.store.overrides.change(change, expected=None, at=api.clock())
    await api.proxy.moving.follower.catch_up()
    return made


async def eventually(ask: Callable[[], Awaitable[T]], good: Callable[[T], bool], seconds: float = 20) -> T:
    """Returns the result of `ask` once it is good. Raises TimeoutError when it never is."""
    async with asyncio.timeout(seconds):
        while not good(found := await ask()):  # noqa: ASYNC110  what is asked sets no event
            await asyncio.sleep(0.005)
        return found


async def new_case(api: Api, **headers: str) -> tuple[int, CIMultiDictProxy[str], str]:
    """Makes a newCase; returns its status, headers and text."""
    url = f"{api.url}/michiQ/newCase"
    async with api.http.post(url, data=case_form(), headers={**IDENTITY, **headers}) as response:
        return response.status, response.headers, await response.text()


def made_by(api: Api, text: str) -> str:
    """Returns the side that made the case of this answer."""
    return "legacy" if any(each in text for each in api.sandbox.michiq.encounters) else "new"
