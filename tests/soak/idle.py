"""10,000 newCases before a platform that closes what has been idle for 5 s: none is left in doubt by that."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from tests.captured import captured_log
from tests.faults.closing import come_back
from tests.soak.rows import Row

_CALLERS: Final = 200
_TIMES: Final = 50
_IDLE_SECONDS: Final = 5.0
_SEED: Final = 9


async def run(scale: float) -> list[Row]:
    """Takes about three minutes at full size."""
    times = max(2, round(_TIMES * scale))
    with TemporaryDirectory(prefix="michiq-soak-") as name, captured_log():
        figures = await come_back(Path(name), _CALLERS, times, _IDLE_SECONDS, _SEED)
    first = f": {figures.failed.most_common(3)}" if figures.failed else ""
    failed = figures.failed.total()
    said = f"{figures.ambiguous} of {figures.calls} newCases in doubt, {failed} failed{first}"
    made = f"; {figures.connections} connections"
    goal = "a platform that closes what is idle for 5 s: 0 newCases in doubt"
    return [Row("idle", goal, said + made, met=not figures.ambiguous and not failed)]
