"""A store on real files, fresh for each test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from proxy.store import Store

from .examples import opened


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with opened(tmp_path) as store:
        yield store
