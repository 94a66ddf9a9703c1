"""The views of the operator's page, over very many cases and 90 days of series."""

import asyncio
import random
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final
from urllib.parse import urlencode

from proxy.compare import Difference, Leaf
from proxy.flows.registry import SPECS
from proxy.store import StoreOptions, open_store
from proxy.store.audit.request_traces import RequestTrace
from proxy.store.audit.usage import Visit
from proxy.store.rollout.evidence import Outcome
from proxy.store.rollout.series import HOUR, LIVES, MINUTE, SeriesCounts, SeriesKey, add_series, minute_of
from tests.bench import bodies, calls
from tests.bench.client import Client
from tests.bench.processes import ADMIN_TOKEN, ROOT, Kind, Peer, admin_port, served
from tests.bench.stage import Stage
from tests.bench.values import Sample, Void

VIEWS: Final = {
    "now": "/",
    "route": "/routes/new_case?range=90d",
    "chart": "/series.json?route=new_case&range=90d",
    "differences": "/differences",
    "requests": "/requests",
    "clients": "/clients",
    "pending": "/pending",
    "audit": "/audit",
    "system": "/system",
    "contract": "/contract",
}
_HOST: Final = {"Host": "127.0.0.1"}  # the page answers to no other name over plain http
_ROUNDS: Final = 7
_DAYS: Final = 90
_ORGANIZATIONS: Final = 40
_MODES: Final = (("shadow", "legacy"), ("canary", "legacy"), ("canary", "new"), ("new", "new"))


def looked_at(stage: Stage, kind: Kind) -> Sample:
    """Returns the median of each view in milliseconds, from the request to the last byte, and the longest."""
    environ = {"MICHIQ_MAPPINGS": str(ROOT / "mappings"), "MICHIQ_LEGACY_URL": ""}
    store = stage.stored(stage.folder / "looked-at")
    with ExitStack() as opened:
        with served(store.folder, stage.upstream, **environ, **store.environ) as peer:
            environ["MICHIQ_SECRET_KEYS"] = peer.environ["MICHIQ_SECRET_KEYS"]
            with Client(peer.port) as client:
                case = calls.new_case(client, bodies.case_form(bodies.KB), 1)
                calls.good(client.send(case.query("¿Qué tensión tiene?")))
        store.multiply(case.id, stage.cases, 20)
        asyncio.run(_fill({**peer.environ, **store.environ}, days=stage.scaled(_DAYS)))
        again = opened.enter_context(served(store.folder, stage.upstream, **environ, **store.environ))
        found = {name: statistics.median(_times(again, path)) * 1000 for name, path in VIEWS.items()}
    store.close()
    return found | {"longest": max(found.values())}


def _times(peer: Peer, path: str) -> Iterator[float]:
    with Client(admin_port(peer)) as client:
        cookie = _logged_in(client)
        for number in range(_ROUNDS):
            started = time.perf_counter()
            answer = client.call("GET", path, {"Cookie": cookie, **_HOST})
            if answer.status != 200:
                raise Void(f"{path} was answered {answer.status}")
            if number:  # the first one loads the templates
                yield time.perf_counter() - started


def _logged_in(client: Client) -> str:
    headers = {"Content-Type": "application/x-www-form-urlencoded", **_HOST}
    answer = client.call("POST", "/login", headers, urlencode({"token": ADMIN_TOKEN, "next": "/"}).encode())
    if answer.status != 303:
        raise Void(f"the login was answered {answer.status}")
    return answer.headers["set-cookie"].partition(";")[0]


async def _fill(environ: Mapping[str, str], *, days: int) -> None:
    """Writes what a busy installation has after that time: series, evidence, clients and requests."""
    now, chance = datetime.now(UTC), random.Random(1)
    options = StoreOptions(database_url=environ["MICHIQ_DATABASE_URL"], blobs_url=environ["MICHIQ_BLOBS_URL"])
    async with open_store(options, [environ["MICHIQ_SECRET_KEYS"]]) as store:
        for counted in _series(now, days, chance):
            await store.database.write(partial(add_series, counted=counted))
        for day in range(days):
            at = now - timedelta(days=day)
            await store.evidence.add(
                outcomes=[_outcome(chance) for _ in range(500)],
                visits=[_visit(chance, at, store.sealer.organization) for _ in range(2000)],
                stories=[_trace(chance, at, number) for number in range(200)],
                at=at,
            )


def _series(now: datetime, days: int, chance: random.Random) -> Iterator[Mapping[SeriesKey, SeriesCounts]]:
    """Yields the counts of each hour, and of each minute while minutes are stored."""
    latest = minute_of(now)
    hours = [latest - each * HOUR // MINUTE for each in range(days * 24)]
    minutes = [
        latest - each for each in range(min(int(LIVES[MINUTE].total_seconds()) // MINUTE, days * 1440))
    ]
    every = [*hours, *minutes]
    for start in range(0, len(every), 500):
        yield {
            SeriesKey(spec.name, mode, side, minute): _counts(chance)
            for minute in every[start : start + 500]
            for spec in SPECS
            for mode, side in _MODES
        }


def _counts(chance: random.Random) -> SeriesCounts:
    made = SeriesCounts()
    for _ in range(3):
        made.answered(chance.expovariate(8), error=chance.random() < 0.01)
    made.noted(differing=chance.random() < 0.01)
    return made


def _outcome(chance: random.Random) -> Outcome:
    where = f"organization-{chance.randrange(_ORGANIZATIONS)}"
    differs = chance.random() < 0.02
    leaf = Leaf("string", chance.randrange(40), "0123456789abcdef")
    differences = (
        (Difference(f"document.part{chance.randrange(60)}", "value", leaf, leaf),) if differs else ()
    )
    return Outcome(chance.choice(SPECS).name, where, "difference" if differs else "match", differences)


def _visit(chance: random.Random, at: datetime, scope: Callable[[str], str]) -> Visit:
    name = f"Clínica {chance.randrange(_ORGANIZATIONS)}"
    key, user = f"key-{name}", f"user-{chance.randrange(20)}"
    route, side = chance.choice(SPECS).name, chance.choice(("legacy", "new"))
    return Visit(key, user, name, scope(name), "HIS/4.2", route, "canary", 200, at, side)


def _trace(chance: random.Random, at: datetime, number: int) -> RequestTrace:
    status = 500 if chance.random() < 0.1 else 200
    return RequestTrace(
        request_id=f"{at:%j}-{number}",
        at=at,
        story={"route": "doc", "calls": []},
        route="doc",
        side="new",
        status=status,
        milliseconds=chance.randrange(900),
    )
