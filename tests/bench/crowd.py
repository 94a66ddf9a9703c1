"""doc, encounters and query of a user with 20 cases, in a store of 1,000 cases and in one of very many."""

import shutil
import sqlite3
import statistics
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Final

from tests.bench import bodies, calls
from tests.bench.client import Client
from tests.bench.processes import ROOT, Kind, Peer, served
from tests.bench.stage import Stage
from tests.bench.values import Sample, Void

_FEW: Final = 1000
_OWN: Final = 20
_OTHER: Final = 1  # the number of the caller whose one case is multiplied
_TABLES: Final = ("cases", "case_files", "journal", "homes", "conversations")
# Columns that name a case or its owner; 20 cases make an owner. A freed key is NULL.
_NEW_VALUES: Final[Mapping[str, str]] = {
    "case": "printf('%08x-0000-4000-9000-%012x', n, n)",
    "owner": f"printf('%032x', n / {_OWN})",
}
_CASE_COLUMNS: Final = frozenset({"id", "case_id", "legacy_id"})


def crowded(stage: Stage, kind: Kind) -> Sample:
    """Returns medians with many cases in the store, and how many times those with few they are."""
    with ExitStack() as opened:
        folder = stage.folder / "few"
        folder.mkdir()
        environ = {"MICHIQ_MAPPINGS": str(ROOT / "mappings"), "MICHIQ_LEGACY_URL": ""}
        with _serving(stage, folder, environ) as peer:
            environ["MICHIQ_SECRET_KEYS"] = peer.environ["MICHIQ_SECRET_KEYS"]
            other, *cases = _prepared(peer)
        many = shutil.copytree(folder, stage.folder / "many")
        _multiply(folder / "michiq.db", other, _FEW - _OWN - 1)
        _multiply(many / "michiq.db", other, stage.cases - _OWN - 1)
        peers = [opened.enter_context(_serving(stage, each, environ)) for each in (folder, many)]
        few, much = _compared(stage, peers, cases)
    for each in (folder, many):
        shutil.rmtree(each)
    return {name: time_ * 1000 for name, time_ in much.items()} | {
        f"{name}_ratio": much[name] / few[name] for name in few
    }


@contextmanager
def _serving(stage: Stage, folder: Path, environ: Mapping[str, str]) -> Iterator[Peer]:
    with served(folder, stage.upstream, **environ) as peer:
        yield peer


def _prepared(peer: Peer) -> list[calls.Case]:
    """Makes a case of another user and then the user's, with a question about each."""
    with Client(peer.port) as client:
        form = bodies.case_form(bodies.KB)
        cases = [calls.new_case(client, form, number) for number in (_OTHER, *[0] * _OWN)]
        for case in cases:
            calls.good(client.send(case.query("¿Qué tensión tiene?")))
    return cases


def _multiply(database: Path, case: calls.Case, count: int) -> None:
    """Copies the rows of a case under new ids and owners."""
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("PRAGMA synchronous = OFF")
        for table in _TABLES:
            columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
            values = ", ".join(_value(table, column) for column in columns)
            key = next(each for each in ("case_id", "legacy_id", "id") if each in columns)
            connection.execute(
                f"WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ?) "
                f"INSERT INTO {table} ({', '.join(columns)}) "
                f"SELECT {values} FROM numbers CROSS JOIN (SELECT * FROM {table} WHERE {key} = ?)",
                (count, case.id),
            )
        connection.execute("ANALYZE")
        (found,) = connection.execute("SELECT count(*) FROM cases").fetchone()
        if found != count + 1 + _OWN:
            raise Void(f"the store has {found} cases")


def _value(table: str, column: str) -> str:
    if column in _CASE_COLUMNS:
        return _NEW_VALUES["case"]
    return "NULL" if column == "idempotency" else _NEW_VALUES.get(column, column)


def _compared(stage: Stage, peers: list[Peer], cases: list[calls.Case]) -> tuple[dict[str, float], ...]:
    """Returns each peer's medians; peers take turns, call by call."""
    times: list[dict[str, list[float]]] = [{"doc": [], "encounters": [], "query": []} for _ in peers]
    deadline = time.monotonic() + 3 * stage.seconds
    with ExitStack() as opened:
        clients = [opened.enter_context(Client(peer.port)) for peer in peers]
        number = 0
        while time.monotonic() < deadline or number < _OWN:
            case = cases[number % len(cases)]
            for client, timed in zip(clients, times, strict=True):
                for name, call in _calls(case).items():
                    timed[name].append(_seconds(client, name, call))
            number += 1
    return tuple({name: statistics.median(each) for name, each in timed.items()} for timed in times)


def _calls(case: calls.Case) -> dict[str, bytes]:
    return {
        "doc": case.get(f"/michiQ/doc/{case.id}"),
        "encounters": case.get("/michiQ/encounters"),
        "query": case.query("¿Qué tensión tiene?"),
    }


def _seconds(client: Client, name: str, call: bytes) -> float:
    started = time.perf_counter()
    answer = client.send(call)
    took = time.perf_counter() - started
    if answer.status != 200 or (name == "encounters" and len(answer.json()) != _OWN):
        raise Void(f"{name} was answered {answer.status}, {len(answer.body)} bytes")
    return took
