"""Answers that are written oddly and mean what was asked for: no case is lost by them (CONTRACT X03)."""

import gzip
import zlib
from pathlib import Path
from typing import Final

import pytest

from tests.faults.asks import documented, prepared
from tests.faults.facing import facing
from tests.faults.kinds import compressed, half_an_emoji
from tests.faults.system import CHAT, PLATFORM, Script, system

SCRIPTS: Final[dict[str, Script]] = {
    "half an emoji": half_an_emoji,
    "gzip": compressed("gzip", gzip.compress),
    "deflate": compressed("deflate", zlib.compress),
    "said to be gzip": compressed("gzip", bytes),
    "said to be utf-8": compressed("utf-8", bytes),
}


@pytest.mark.parametrize("how", SCRIPTS)
async def test_upstream_X03_an_answer_that_is_written_oddly_is_an_answer(tmp_path: Path, how: str) -> None:
    async with system() as platform, system() as chat, facing(tmp_path, platform.url, chat.url) as api:
        for target in (*PLATFORM, *CHAT):
            at = platform if target in PLATFORM else chat
            ask = await prepared(api, target)
            at.spoilt = (target, SCRIPTS[how])
            assert documented(target, await ask(), ()) is None, target
            at.spoilt = None
