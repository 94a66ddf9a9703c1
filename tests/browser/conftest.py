"""One Chromium, and one event loop, for all tests of this folder; each test has a profile of its own."""

import asyncio
import functools
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from tests.browser.chromium import chromium

_HERE: Final = Path(__file__).parent
_SECONDS: Final = 60.0  # a browser that hangs must not hold the others up


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts this folder's tests on the browser's loop, and limits the time of each."""
    for item in items:
        if not (isinstance(item, pytest.Function) and item.path.is_relative_to(_HERE)):
            continue
        if asyncio.iscoroutinefunction(item.obj):
            item.add_marker(pytest.mark.asyncio(loop_scope="package"), append=False)
            item.obj = _limited(item.obj)


def _limited(test: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    @functools.wraps(test)
    async def limited(*arguments: Any, **named: Any) -> None:
        async with asyncio.timeout(_SECONDS):
            await test(*arguments, **named)

    return limited


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as running:
        yield running
