"""Measures the cost of shadowing for the client: the same route, with and without it, in turns."""

from datetime import UTC, datetime

from proxy.modes import Mode
from proxy.store import Store
from proxy.store.rollout.overrides import Change
from tests.conftest import IDENTITY, case_form
from tests.soak.process import Host, hosted, percentile, steadily, timed
from tests.soak.rows import Row

# A rate that leaves the process time for the candidates, as a hospital's does.
_RATE, _CALLS, _TURNS = 10, 100, 6


async def run(scale: float) -> list[Row]:
    calls = max(10, round(_CALLS * scale))
    alone: list[float] = []
    shadowed: list[float] = []
    wrong: list[str] = []
    async with hosted() as host, host.store() as store:
        await _turn(host, store, "legacy", calls, [], wrong)  # warm
        await _turn(host, store, "shadow", calls, [], wrong)
        for _ in range(_TURNS):
            await _turn(host, store, "legacy", calls, alone, wrong)
            await _turn(host, store, "shadow", calls, shadowed, wrong)
        rows = await store.evidence.comparisons("new_case", datetime.now(UTC).date())
    compared = sum(row.count for row in rows if row.outcome in ("match", "difference"))
    one, other = percentile(alone, 50) * 1000, percentile(shadowed, 50) * 1000
    more = (other / one - 1) * 100
    figure = f"{one:.2f} ms alone, {other:.2f} ms with ({more:+.1f} %); {compared} compared"
    return [
        Row("shadow", "p50 within 5 % of the route without shadow", figure, more <= 5 and compared > 0),
        Row("shadow", "no status changes", f"{len(wrong)} of {len(alone) + len(shadowed)}", not wrong),
    ]


async def _turn(
    host: Host, store: Store, mode: Mode, calls: int, times: list[float], wrong: list[str]
) -> None:
    change = Change(actor="soak", route="new_case", mode=mode, reason="a turn")
    made = await store.overrides.change(change, expected=None, at=datetime.now(UTC))
    await _followed(host, made.revision)

    async def call(_: int) -> None:
        async with timed(times):
            url = f"{host.url}/michiQ/newCase"
            async with host.http.post(url, data=case_form(), headers=IDENTITY) as response:
                await response.read()
        if response.status != 200:
            wrong.append(f"{mode} {response.status}")

    await steadily(_RATE, calls, call)


async def _followed(host: Host, revision: int) -> None:
    while True:
        async with host.http.get(f"{host.admin_url}/readyz") as response:
            if (await response.json())["revision"] >= revision:
                return
