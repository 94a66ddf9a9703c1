"""Every answer of the admin API, good and bad, is as `contracts/admin.yaml` says, and it says no other."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest

from proxy.compare import Difference, Leaf
from proxy.sandbox import Sandbox, SandboxConfig, run_sandbox
from proxy.store import Store
from proxy.store.audit.request_traces import RequestTrace
from proxy.store.audit.usage import Visit
from proxy.store.records.journal import JournalEntry
from proxy.store.rollout.contract_runs import ContractRun
from proxy.store.rollout.evidence import Outcome, SeenAnswer
from proxy.store.rollout.series import SeriesCounts, SeriesKey, minute_of
from proxy.web.service import Running, running
from tests.captured import captured_log
from tests.conftest import Clock, edited_table, settings_for
from tests.contracts.description import ADMIN, CONTRACTS
from tests.contracts.exchange import Exchange
from tests.damage import damage
from tests.stores import ENGINES
from tests.web.admin.operators import TOKENS, Operator, said

ANY: Final = {"If-Match": "*"}
EVA: Final = "eva-token-0123456789"
HASH: Final = "0123456789abcdef" * 4
DIFFERENCE: Final = {
    "route": "doc",
    "path": "document.timestamp",
    "kind": "value",
    "control_type": "string",
    "candidate_type": "none",
}
# Every operation as it succeeds, in an order in which it does.
GOOD: Final[tuple[tuple[str, str, Any], ...]] = (
    ("PUT", "overrides/doc", {"mode": "shadow", "reason": "compare"}),
    (
        "PUT",
        "overrides/doc",
        {"mode": "canary", "organization": "Clínica Norte", "reason": "x", "percent": 5},
    ),
    ("PUT", "overrides/query", {"mode": "off", "reason": "x", "until": "2 h"}),
    ("DELETE", "overrides/query?reason=enough", None),
    ("POST", "rollback", {"reason": "too early", "route": "query"}),
    ("POST", "overrides/doc:preview", {"mode": "canary", "percent": 50}),
    ("POST", "overrides/doc:preview", {"rollback": True}),
    ("POST", "mappings/reload", None),
    ("GET", "routes", None),
    ("GET", "overrides", None),
    ("GET", "history?limit=10&route=doc", None),
    ("GET", "processes", None),
    ("GET", "audit?limit=5", None),
    ("GET", "audit/verify", None),
    ("GET", "comparisons?route=doc&days=3", None),
    ("POST", "differences:explain", {**DIFFERENCE, "reason": "Milliseconds, which no client reads"}),
    ("GET", "differences?route=doc", None),
    ("GET", "differences?mapping=all&limit=1", None),
    ("GET", "differences?mapping=0123456789ab", None),
    ("GET", "learned?route=doc", None),
    ("GET", "series?route=doc&step=60&since=2020-01-01T00:00:00Z&until=2020-06-01T00:00:00%2B02:00", None),
    ("GET", "series", None),
    ("GET", "clients?since=2020-01-01&route=doc", None),
    ("GET", "organizations?route=doc&limit=1", None),
    ("GET", "can-switch/doc", None),
    ("GET", "requests?route=doc&status=5xx&failed=true&limit=1", None),
    ("GET", "requests?cursor=OTk&organization=Cl%C3%ADnica%20Norte&side=new&since=2%20h", None),
    ("GET", "requests/r-1", None),
    ("GET", "pending", None),
    ("GET", "system", None),
    ("POST", "pending/i-1:resolve", {"made": "case-1", "reason": "it is there"}),
    ("GET", "openapi.yaml", None),
)
PATHS: Final = tuple(sorted({path.partition("?")[0] for _, path, _ in GOOD}))
# What nobody foresaw has no recipe; one of it is brought about.
UNFORESEEN: Final = {
    entry for entry in ADMIN.documented() if entry[2] == 500 and entry[0] != "/admin/v1/requests/{request_id}"
}


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> list[Exchange]:
    with captured_log():
        return asyncio.run(_play(tmp_path_factory.mktemp("admin")))


def test_every_answer_is_as_described(played: list[Exchange]) -> None:
    assert [problem for each in played for problem in ADMIN.answer_problems(each)] == []


def test_the_api_gave_every_answer_that_its_description_knows(played: list[Exchange]) -> None:
    assert ADMIN.documented() - {ADMIN.seen(each) for each in played} == UNFORESEEN


def test_every_request_that_was_done_is_as_described(played: list[Exchange]) -> None:
    done = [each for each in played if each.status in (200, 304)]
    assert len(done) > len(GOOD)
    assert [problem for each in done for problem in ADMIN.request_problems(each)] == []


def test_every_answer_has_an_id_and_is_for_no_cache(played: list[Exchange]) -> None:
    assert [each.title for each in played if not each.answer.header("X-Request-ID")] == []
    assert {each.answer.header("Cache-Control") for each in played} == {"no-store"}


def test_the_description_tells_of_everything_that_was_kept(played: list[Exchange]) -> None:
    """Checks that the lists had entries: an empty list would prove nothing."""
    lists = {
        key: value
        for each in played
        if each.status == 200 and each.answer.header("Content-Type") == "application/json"
        for key, value in said(each).items()
        if isinstance(value, list | dict) and value
    }
    needed = "routes overrides changes processes rows comparisons differences learned calls reasons dropped "
    needed += "points sides left_out dry_run_failures never_compared contract_run stories pending "
    needed += "organizations moves against requests notes"
    assert set(needed.split()) <= lists.keys()


def test_the_api_gives_out_this_description(played: list[Exchange]) -> None:
    given = next(each for each in played if each.path.endswith("openapi.yaml") and each.status == 200)
    assert given.answer.body == (CONTRACTS / "admin.yaml").read_bytes()


async def _play(folder: Path) -> list[Exchange]:
    async with run_sandbox(SandboxConfig()) as sandbox, aiohttp.ClientSession() as http:
        exchanges: list[Exchange] = []
        tokens = {"MICHIQ_ADMIN_TOKENS": f"{TOKENS},eva:{EVA}:read"}
        legacy = {"MICHIQ_LEGACY_URL": sandbox.michiq.url}
        async with _proxy(folder / "open", sandbox, {**tokens, **legacy}) as proxy:
            ana = Operator(http, proxy.admin_url, exchanges=exchanges)
            await _fill(proxy.deps.store, proxy.deps.effects.clock())
            await _good(ana)
            await _bad(ana)
            await _strangers(Operator(http, proxy.admin_url, token="", exchanges=exchanges))
            await _only_read(Operator(http, proxy.admin_url, EVA, exchanges))
            await _broken(ana, folder / "open")
        # Without a legacy server, and without a folder that is followed.
        async with _proxy(folder / "alone", sandbox, tokens, watch=False) as proxy:
            alone = Operator(http, proxy.admin_url, exchanges=exchanges)
            await alone.set_mode("doc", "legacy")
            await alone.roll_back()
            await alone.ask("POST", "overrides/doc:preview", {"rollback": True})
            await alone.ask("POST", "mappings/reload")
        async with _proxy(folder / "closed", sandbox, {}) as proxy:
            await _strangers(Operator(http, proxy.admin_url, exchanges=exchanges))
    return exchanges


@asynccontextmanager
async def _proxy(
    folder: Path, sandbox: Sandbox, environ: dict[str, str], *, watch: bool = True
) -> AsyncIterator[Running]:
    await asyncio.to_thread(folder.mkdir)
    mappings = folder / "mappings"
    table = edited_table(mappings, {})
    settings = settings_for(folder, sandbox.llamalitica.url, sandbox.llamachat.url, **environ)
    async with running(settings, table, Clock(), mappings if watch else None) as proxy:
        yield proxy


async def _fill(store: Store, now: Any) -> None:
    """One of each that can be told of."""
    leaf = Leaf("string", 20, "0123456789abcdef")
    scope = store.sealer.organization("Clínica Norte")
    difference = Difference("document.timestamp", "value", leaf, Leaf("none", None, None))
    status = Difference("", "status", Leaf("200", None, None), Leaf("404", None, None))
    ends = (
        "match",
        "difference",
        "dropped:busy",
        "dropped:control-failed",
        "dropped:not-sampled",
        "dry-run-failed:undocumented",
    )
    await store.evidence.add(
        outcomes=[Outcome("doc", HASH if end == "match" else "", end, (difference, status)) for end in ends],
        seen=[
            SeenAnswer("doc", "legacy", 200, "application/json", frozenset({("document.username", "string")}))
        ],
        visits=[
            Visit(HASH, HASH, "Clínica Norte", HASH[::-1], "okhttp/4.9", "doc", "shadow", 200, now),
            Visit("", "", "", "", "", "doc", "refused", 401, now),
        ],
        series=_series(now),
        stories=[
            RequestTrace(f"r-{number}", now, {"route": "doc"}, "doc", scope, "new", "llamalitica-500", 500, 9)
            for number in (1, 2)
        ],
        at=now,
    )
    await store.contract_runs.add([ContractRun(now, "http://127.0.0.1:8080", "doc", 9, 0, 1)])
    await store.journal.begin(JournalEntry("i-1", "owner", "doc", None, "digest", now))
    await store.journal.fail("i-1", "upstream_timeout", ambiguous=True)


def _series(now: datetime) -> dict[SeriesKey, SeriesCounts]:
    """Returns an answer of each kind, one of which took longer than any bound, and a comparison."""
    answered, compared = SeriesCounts(), SeriesCounts()
    for seconds in (0.03, 60):
        answered.answered(seconds, error=seconds > 1)
    compared.noted(differing=True)
    minute = minute_of(now)
    keys = [("off", ""), ("", ""), ("canary", "legacy")]
    series = {SeriesKey("doc", mode, side, minute): answered for mode, side in keys}
    return {**series, SeriesKey("doc", "shadow", "new", minute): compared}


async def _good(ana: Operator) -> None:
    for method, path, body in GOOD:
        headers = {} if method == "GET" or path == "mappings/reload" else ANY
        done = await ana.ask(method, path, body, headers=headers)
        assert done.status == 200, done.answer.body
        if tag := done.answer.header("ETag") if method == "GET" else None:
            await ana.get(path, **{"If-None-Match": tag})
    await ana.get("clients", Accept="text/csv")
    await ana.listen("events", 2, **{"Last-Event-ID": "4"})


async def _bad(ana: Operator) -> None:
    """Brings about every refusal that needs no broken proxy."""
    changes: list[tuple[str, str, Any]] = [
        ("PUT", "overrides/doc", {"mode": "off", "reason": "x"}),
        ("DELETE", "overrides/doc?reason=x", None),
        ("POST", "rollback", {"reason": "x"}),
    ]
    for method, path, body in changes:
        for seen in ({}, {"If-Match": '"99"'}, {"If-Match": "99"}):
            await ana.ask(method, path, body, headers=seen)
    for change in ({"route": "docs"}, {"kind": "type"}, {"reason": " "}):
        await ana.ask("POST", "differences:explain", {**DIFFERENCE, "reason": "x", **change})
    await ana.get("differences?cursor=x")
    bodies = [
        ("PUT", "overrides/doc"),
        ("POST", "rollback"),
        ("POST", "overrides/doc:preview"),
        ("POST", "differences:explain"),
        ("POST", "pending/i-1:resolve"),
        ("POST", "differences:explain"),
    ]
    for method, path in bodies:
        for wrong in (b"", b"[]", b"{}", b"{" * (64 * 1024 + 1)):
            await ana.ask(method, path, wrong, headers=ANY)
        for kind in ({"Content-Type": "text/plain"}, {"Content-Encoding": "gzip"}):
            await ana.ask(method, path, b"{}", headers={**ANY, **kind})
    await ana.ask("DELETE", "overrides/doc?reason=", headers=ANY)
    others = [
        ("GET", "can-switch/doc", None),
        ("GET", "requests/x", None),
        ("POST", "overrides/doc:preview", {"clear": True}),
    ]
    for method, path, body in [*changes, *others]:
        await ana.ask(method, path.replace("doc", "docs"), body, headers=ANY)
    await ana.ask("POST", "pending/i-9:resolve", {"made": None, "reason": "x"})
    await ana.ask("POST", "pending/i-1:resolve", {"made": None, "reason": "x"})
    reads = "history audit comparisons differences learned series clients organizations requests"
    for path in reads.split():
        await ana.get(f"{path}?route=docs&limt=1")
    for path in (*PATHS, "events"):
        await ana.ask("PATCH", path)


async def _only_read(eva: Operator) -> None:
    """Asks for every change with a token that may not."""
    for method, path, body in GOOD:
        if method != "GET":
            refused = await eva.ask(method, path, body, headers=ANY)
            assert refused.status == 403


async def _strangers(operator: Operator) -> None:
    for method, path, body in GOOD:
        assert (await operator.ask(method, path, body, headers=ANY)).status in (401, 404)
    await operator.get("events")


async def _broken(ana: Operator, folder: Path) -> None:
    """Mapping files with a fault; a story that can't be read; at last no table is where it was."""
    (folder / "mappings" / "doc.toml").write_text("mode = 1\n", "utf-8")
    assert (await ana.ask("POST", "mappings/reload")).status == 409
    await ana.get("routes")
    await damage(folder, "UPDATE requests SET story = '{' WHERE request_id = 'r-2'")
    assert (await ana.get("requests/r-2")).status == 500
    await damage(folder, *_renamings(folder))
    for method, path, body in GOOD:
        if path not in ("mappings/reload", "openapi.yaml"):
            failed = await ana.ask(method, path, body, headers=ANY)
            assert failed.status == 503, failed.title
    assert (await ana.get("events", **{"Last-Event-ID": "0"})).status == 503


def _renamings(folder: Path) -> list[str]:
    return [f"ALTER TABLE {name} RENAME TO gone_{name}" for name in ENGINES.tables(folder)]
