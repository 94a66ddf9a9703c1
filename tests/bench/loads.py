"""The loads, in the order of the table, with the bounds of their figures."""

from typing import Final

from tests.bench import crowd, far, held, latency, long_case, looks, memory, rest, stream, throughput, uploads
from tests.bench.values import PROXY, Figure, Load, at_least, at_most

WRK: Final = ("wrk",)
_P50: Final = Figure("p50", "p50, µs")
_P99: Final = Figure("p99", "p99, µs")
_CPU: Final = Figure("cpu", "processor, µs a call")
_TAIL: Final = Figure("tail", "p99 / p50", 1, at_most(3))


def _rate(bound: float) -> Figure:
    return Figure("rate", "calls/s", 0, at_least(bound, of_floor=True))


ALL: Final = (
    Load(
        "L1",
        "encounters passed through, 32 connections",
        (_rate(1.5), _CPU, _P50, _TAIL),
        throughput.pass_through,
        needs=WRK,
    ),
    Load(
        "L1m",
        "the same, 2,000 callers in turn",
        (_rate(0.5), _CPU, _P50, _P99),
        throughput.pass_through_many,
        needs=WRK,
    ),
    Load(
        "L2",
        "newCase with 20 KB, 16 connections",
        (_rate(2), _CPU, _P50, _TAIL),
        throughput.new_case,
        needs=WRK,
    ),
    Load(
        "L2d",
        "newCase with 20 KB, 128 connections, upstream 20 ms away",
        (_rate(3.4), _CPU, _P50, _P99),
        throughput.new_case_far,
        needs=WRK,
    ),
    Load(
        "L3",
        "newCase with 8 MB, 4 connections",
        (
            Figure("speed", "MB/s", 0, at_least(0.9, of_floor=True)),
            Figure("cpu", "processor, ms a MB", 2),
        ),
        throughput.new_case_large,
        needs=WRK,
    ),
    Load(
        "L4",
        "uploadAudio, 4 × 90 MB at once",
        (
            Figure("wall", "s", 2, at_most(1.2, of_floor=True)),
            Figure("grown", "MB over idle", 1, at_most(12)),
            Figure("cpu", "processor, ms a MB", 2),
        ),
        uploads.four_recordings,
    ),
    Load("L4m", "memory of large uploads", memory.FIGURES, memory.grown, PROXY, once=True),
    Load(
        "L5",
        "query about 64 cases, 32 connections",
        (_rate(0.8), _CPU, _P50, _P99),
        throughput.query,
        needs=WRK,
    ),
    Load(
        "L6",
        "time added to a call, 300 calls/s, one connection",
        (
            Figure("pass", "pass-through, p50, µs", 0, at_most(0.9, of_floor=True)),
            Figure("case", "newCase, p50, µs", 0, at_most(0.8, of_floor=True)),
            Figure("query", "query, p50, µs", 0, at_most(1.2, of_floor=True)),
        ),
        latency.added,
    ),
    Load(
        "L7",
        "1,000 idle clients",
        (Figure("kilobytes", "KB a client", 1, at_most(13)), Figure("p99", "a fast client's p99, ms", 1)),
        held.idle_clients,
    ),
    Load(
        "L8",
        "500 clients in the middle of a slow upload",
        (
            Figure("p99", "a fast client's p99, ms", 1, at_most(1.2, of_floor=True)),
            Figure("kilobytes", "KB a client", 1),
        ),
        held.slow_clients,
    ),
    Load(
        "trips",
        "round trips, upstreams 20 ms away by TLS",
        (
            Figure("case", "newCase, the caller again", 2, at_most(1.6)),
            Figure("query", "query, the caller again", 2, at_most(1.4)),
            Figure("pass", "pass-through, the caller again", 2, at_most(1.4)),
            Figure("case_many", "newCase, 40 callers in turn", 2, at_most(1.8)),
            Figure("pass_many", "pass-through, 40 callers in turn", 2, at_most(1.6)),
        ),
        far.round_trips,
    ),
    Load(
        "pdf",
        "newCase with a one-page PDF of 20 KB, 16 connections",
        (Figure("rate", "calls/s", 0, at_least(150)), _CPU, _P50, _P99),
        throughput.new_case_page,
        needs=WRK,
    ),
    Load(
        "pages",
        "a case of 200 pages, ms over the upstream's",
        (Figure("first", "first query", 1, at_most(150)), Figure("next", "next queries", 1, at_most(30))),
        long_case.long_case,
    ),
    Load(
        "cases",
        "a user with 20 cases, very many cases in the store, × 1,000 cases",
        (
            Figure("doc_ratio", "doc", 2, at_most(1.5)),
            Figure("encounters_ratio", "encounters", 2, at_most(1.5)),
            Figure("query_ratio", "query", 2, at_most(1.5)),
            Figure("doc", "doc, p50, ms", 2),
            Figure("encounters", "encounters, p50, ms", 2),
            Figure("query", "query, p50, ms", 2),
        ),
        crowd.crowded,
        PROXY,
        once=True,
    ),
    Load(
        "rest",
        "start and rest",
        (
            Figure("processor", "processor at rest, ms/s", 1, at_most(2)),
            Figure("serving", "serving process, MB", 0, at_most(70)),
            Figure("tree", "all processes (PSS), MB", 0, at_most(160)),
            Figure("ready", "start to ready, s", 2, at_most(1)),
            Figure("healthcheck", "healthcheck, s", 2, at_most(0.2)),
        ),
        rest.at_rest,
    ),
    Load(
        "stream",
        "the stream of events, 32 clients",
        (Figure("event", "processor, µs an event and client", 1, at_most(50)),),
        stream.of_each_event,
        PROXY,
        once=True,
    ),
    Load(
        "views",
        "the operator's page, very many cases, 90 days of series",
        (
            Figure("longest", "the slowest view, ms", 1, at_most(100)),
            *(Figure(name, f"{name}, p50, ms", 1) for name in looks.VIEWS),
        ),
        looks.looked_at,
        PROXY,
        once=True,
    ),
)
LOADS: Final = {load.name: load for load in ALL}
