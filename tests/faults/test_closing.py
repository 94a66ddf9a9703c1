"""A platform that closes idle connections: a newCase never meets one of them; the soak does it in full."""

from pathlib import Path

import pytest

from proxy.upstream.http1 import idle, pool
from tests.faults.closing import come_back

SEED = 9


async def test_case_N17_is_never_in_doubt_because_an_idle_connection_was_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a tenth of all times."""
    monkeypatch.setattr(pool, "IDLE_SECONDS", pool.IDLE_SECONDS / 10)
    monkeypatch.setattr(pool, "_LOOK_SECONDS", 0.05)
    monkeypatch.setattr(idle, "SURE_SECONDS", idle.SURE_SECONDS / 10)
    figures = await come_back(tmp_path, callers=12, times=8, idle_seconds=0.5, seed=SEED)
    assert (figures.calls, figures.ambiguous, figures.failed) == (96, 0, {})
    assert figures.connections > 12, "no connection was closed for being idle"
