"""Three replicas behind nginx on PostgreSQL with a synchronous standby and on S3: 10 minutes of faults."""

import asyncio
import json
import os
import shutil
import statistics
import sys
import tempfile
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import Final

import aiohttp

from proxy.concurrency.tasks import beside
from proxy.sandbox import SandboxConfig, run_sandbox
from tests.conftest import ROOT
from tests.replicas.changes import keep_changing
from tests.replicas.chaos import FAULTS, OF_ROOT, Chaos
from tests.replicas.chat import Listener
from tests.replicas.checks import Findings, check_all
from tests.replicas.clients import Clients
from tests.replicas.links import can_isolate, isolated, make_hub
from tests.replicas.pair import Pair
from tests.replicas.promises import Promises
from tests.replicas.site import Site, nginx, replica
from tests.replicas.storage import storage
from tests.soak.rows import Row

SEED: Final = 14
_SECONDS: Final = 600.0
_REPLICAS: Final = 3
_READY_SECONDS: Final = 15.0
_AGREE_SECONDS: Final = 2.0
_RETRIES: Final = (0.3,) * 2000


@dataclass(frozen=True, slots=True)
class Run:
    """A whole run: what was promised, what happened, and what is wrong."""

    promises: Promises
    chaos: Chaos
    findings: Findings
    overlapping: Listener


async def run(scale: float) -> list[Row]:
    """About 12 minutes at scale 1. As root, all of it is in a network of its own; else no link is cut."""
    if not await asyncio.to_thread(can_isolate):
        return _rows(await soaked(_SECONDS * scale, [*FAULTS.keys() - OF_ROOT], own_network=False))
    process = await asyncio.create_subprocess_exec(
        *isolated("-m", "tests.soak.replicas", str(_SECONDS * scale)),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, "the run in a network of its own has failed"
    return [Row(**each) for each in json.loads(said.splitlines()[-1])]


async def soaked(seconds: float, faults: list[str], *, own_network: bool, seed: int = SEED) -> Run:
    """Runs clients and faults for so long, then checks everything."""
    async with AsyncExitStack() as stack:
        folder = Path(
            stack.enter_context(
                tempfile.TemporaryDirectory(prefix="michiq-soak-", ignore_cleanup_errors=True)
            )
        )
        os.chmod(folder, 0o755)  # noqa: PTH101  PostgreSQL runs as another user
        stack.callback(_keep_logs, folder)
        listener = Listener(Random(seed))
        stack.enter_context(listener.listening())
        sandbox = await stack.enter_async_context(run_sandbox(SandboxConfig(webhook_retries=_RETRIES)))
        pair = Pair(folder, own_network)
        stack.callback(pair.end)
        await pair.start()
        await stack.enter_async_context(beside("keep-database", pair.keep()))
        objects = await stack.enter_async_context(storage(folder / "s3"))
        http = await stack.enter_async_context(
            aiohttp.ClientSession(
                cookie_jar=aiohttp.DummyCookieJar(), connector=aiohttp.TCPConnector(limit=0)
            )
        )
        replicas = [replica(number + 1, folder, own_network=own_network) for number in range(_REPLICAS)]
        for one in replicas:
            if one.link is not None:
                await one.link.make()
        site = Site(folder, sandbox, replicas, pair.url, objects.url, http)
        stack.push_async_callback(site.end_all)
        for one in replicas:
            await site.start(one)
        await site.until_all_ready()
        site.url = await stack.enter_async_context(nginx(folder, replicas))
        sandbox.llamalitica.webhook_url = f"{site.url}/webhooks/llamalitica"
        promises = Promises(Random(seed + 1))
        chaos = Chaos(site, pair, objects, Random(seed + 3))
        clients = Clients(
            promises,
            http,
            lambda: site.url,
            Random(seed + 2),
            calm=chaos.calm,
            is_of_legacy=sandbox.michiq.encounters.__contains__,
        )
        finished = asyncio.Event()
        load = asyncio.create_task(clients.run(10, 4, 4, finished), name="load")
        changing = keep_changing(site, promises, Random(seed + 4), chaos.calm)
        async with beside("changes", changing):
            await chaos.run(seconds, faults)
        chaos.calm_since = None
        finished.set()
        await load
        return Run(promises, chaos, await check_all(site, clients, listener), listener)


def _keep_logs(folder: Path) -> None:
    """Copies the logs to where SOAK_LOGS says, for whoever looks into a fault."""
    if there := os.environ.get("SOAK_LOGS"):
        for path in folder.glob("*.log"):
            shutil.copy(path, there)


def _rows(run: Run) -> list[Row]:
    promises, chaos, findings = run.promises, run.chaos, run.findings
    answered = [each for each in promises.attempts if each.answer is not None]
    chunks = sum(len(writer.taken) for visit in promises.visits for writer in visit.writers)
    failovers, agreed = chaos.failovers, promises.agreed
    kinds = Counter(each.name for each in chaos.faults)
    clients = sum(promises.answered.values())
    return [
        _row(
            "0 acknowledged lost: cases, chunks, transcriptions, reports, changes of modes",
            f"{len(answered)} cases, {chunks} chunks, {len(promises.changes)} changes; "
            f"{sum(kinds.values())} faults of {len(kinds)} kinds; {_said(findings.lost)}; of the "
            f"legacy server's in a fault {promises.found_later} of "
            f"{sum(len(each.later) for each in promises.people)} found",
            met=not findings.lost and bool(kinds) and not chaos.failed,
        ),
        _row(
            "0 cases twice upstream",
            f"{len(promises.attempts)} newCases in {sum(each.tries for each in promises.attempts)} tries, "
            f"{_said(findings.doubled)}",
            met=not findings.doubled,
        ),
        _row(
            "0 gaps or swaps in recordings",
            f"{len(promises.visits)} ids, {_said(findings.mixed)}",
            met=not findings.mixed,
        ),
        _row(
            "questions one at a time",
            f"{run.overlapping.questions} questions, {_said(findings.overlaps)} at once",
            met=not findings.overlaps,
        ),
        _row(
            "0 foreign bytes, 0 words of users in a log",
            f"{promises.belongings.seen} words seen, {_said([*findings.foreign, *findings.logged])}",
            met=not findings.foreign and not findings.logged,
        ),
        _row("audit verify: whole", _said(findings.audit), met=not findings.audit),
        _row(
            "ambiguous calls are shown, promised work goes on",
            f"{sum(each.unknown for each in promises.attempts)} unknown, {_said(findings.unseen)}",
            met=not findings.unseen,
        ),
        _row(
            "every client's error a documented one",
            f"{clients} calls, {_errors(promises)} failed, {_said(findings.undocumented)} otherwise",
            met=not findings.undocumented,
        ),
        _row(
            f"ready again <= {_READY_SECONDS:g} s after a failover",
            f"at most {max(failovers, default=0):.1f} s of {len(failovers)}; "
            f"after others at most {max((each.ready_after for each in chaos.faults), default=0):.1f} s"
            + (f"; {chaos.failed}" if chaos.failed else ""),
            met=bool(failovers) and max(failovers) <= _READY_SECONDS and not chaos.failed,
        ),
        _row(
            f"replicas agree on a change <= {_AGREE_SECONDS:g} s",
            f"at most {max(agreed, default=0):.1f} s, median {statistics.median(agreed or [0]):.1f} s, of "
            f"{len(agreed)} without a fault meanwhile",
            met=bool(agreed) and max(agreed) <= _AGREE_SECONDS,
        ),
    ]


def _errors(promises: Promises) -> int:
    return sum(
        count for kind, count in promises.answered.items() if kind.split()[1] not in ("200", "302", "404")
    )


def _said(wrong: list[str]) -> str:
    return f"{len(wrong)}" + "".join(f": {each}" for each in wrong[:1])


def _row(goal: str, figure: str, *, met: bool) -> Row:
    return Row("replicas", goal, figure, met)


async def _isolated_run(seconds: float, faults: list[str]) -> None:
    await make_hub()
    done = await soaked(seconds, faults, own_network=True)
    for line in [f"{each}" for each in done.chaos.faults]:
        print(line, file=sys.stderr)  # noqa: T201
    for kind, count in sorted(done.promises.answered.items()):
        print(f"{count:6} {kind}", file=sys.stderr)  # noqa: T201
    for wrong in done.findings.all()[:60]:
        print(wrong, file=sys.stderr)  # noqa: T201
    print(json.dumps([asdict(row) for row in _rows(done)]))  # noqa: T201


if __name__ == "__main__":
    asyncio.run(_isolated_run(float(sys.argv[1]), sys.argv[2:] or [*FAULTS]))
    sys.stdout.flush()
    os._exit(0)
