"""The store that release 0.1.0 left: everything in it is found, and can be brought to this release's form."""

from pathlib import Path

import pytest

from .examples import opened
from .filled import expected, found, unpack


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """The folder of a store that 0.1.0 filled."""
    unpack("0.1.0", tmp_path)
    return tmp_path


async def test_everything_that_0_1_0_stored_is_found(old: Path) -> None:
    async with opened(old) as store:
        assert await found(store) == expected(store)
