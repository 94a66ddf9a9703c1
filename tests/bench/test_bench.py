"""The bench itself: peers are checked before they are timed, every load runs, and the table says what came.

What is checked are answers, counters and words; how long anything takes is not.
"""

import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from tests.bench import __main__ as bench
from tests.bench import table
from tests.bench.checks import wrongs
from tests.bench.loads import LOADS
from tests.bench.stage import Stage
from tests.bench.values import BOTH, Figure, Load, Must, Void, at_least, at_most
from tests.bench.wrk import Burst
from tests.conftest import ROOT

_SMALL: Final = ["--secs", "0.1", "--rounds", "1", "--scale", "0.05", "--cases", "1200"]
# The others are the same code with other sizes; those of L4m are full-size or nothing.
_LOADS: Final = ["L1m", "L2", "L4", "L5", "L6", "L8", "trips", "pages", "cases", "rest", "stream", "views"]
_PERFORMANCE: Final = ROOT / "docs" / "performance.md"


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with Stage(seconds=0.1, cases=1200) as started:
        yield started


def test_a_peer_that_translates_nothing_is_found_out(stage: Stage) -> None:
    upstream = int(stage.upstream.new.rpartition(":")[2])
    found = wrongs(stage, replace(stage.peer("floor"), port=upstream))
    assert len([each for each in found if each.startswith("newCase with ")]) == 8
    assert {"query", "uploadAudio"} <= {each.partition(":")[0] for each in found}


def test_both_peers_answer_as_they_must_every_load_runs_and_the_upstreams_count_each_answer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if shutil.which("wrk") is None and os.environ.get("CI") != "true":
        pytest.skip("wrk isn't installed")
    written = tmp_path / "performance.md"
    written.write_text(f"before\n{table.BEGIN}\nold\n{table.END}\nafter\n")
    ended = bench.main([*_LOADS, *_SMALL, "--write", str(written)])
    told = capsys.readouterr().err
    assert ended != bench.WRONG_ANSWERS, told
    text = written.read_text()
    assert " is void" not in told, told
    for name in _LOADS:
        assert text.count(f"\n| {name} |") == len(LOADS[name].figures)
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    assert "old" not in text


def test_a_load_whose_program_is_missing_names_its_package(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "")
    assert bench.main(["L1", *_SMALL]) == bench.WRONG_ANSWERS
    assert capsys.readouterr().err == "missing: apt-get install wrk\n"


@pytest.mark.parametrize("called", [9, 13])
def test_a_round_is_void_where_an_upstream_counted_fewer_calls_than_answers_or_more_than_were_sent(
    called: int,
) -> None:
    ran = Burst(10, 2, seconds=1, p50=1, p99=2, processor=1, counted={"cases": called})
    with pytest.raises(Void, match=f"10 answers, and {called} calls to cases"):
        ran.fit("cases")


def test_a_round_fits_where_only_calls_under_way_were_not_answered() -> None:
    ran = Burst(10, 2, seconds=2, p50=1, p99=2, processor=1, counted={"cases": 12})
    assert ran.fit("cases").sample()["rate"] == 5


@pytest.mark.parametrize(
    ("must", "own", "floor", "verdict"),
    [
        (at_least(1.5, of_floor=True), 150, 100, "met"),
        (at_least(1.5, of_floor=True), 149, 100, "MISSED"),
        (at_most(13), 13, None, "met"),
        (at_most(13), 13.1, 1, "MISSED"),
        (at_most(1.2, of_floor=True), 1, None, "void"),
        (at_most(13), None, 1, "void"),
    ],
)
def test_a_figure_is_judged_by_its_bound_or_by_its_ratio_to_the_floor(
    must: Must, own: float | None, floor: float | None, verdict: str
) -> None:
    assert must.judge(own, floor) == verdict


def test_a_row_compares_medians() -> None:
    load = Load("L", "", (Figure("rate", "calls/s", 1, at_least(2, of_floor=True)),), lambda *_: {})
    samples = {"proxy": [{"rate": 1.0}, {"rate": 1000.0}, {"rate": 30.0}], "floor": [{"rate": 10.0}]}
    (row,) = table.rows(load, {kind: samples[kind] for kind in BOTH})
    assert row.cells() == ("L", "calls/s", "≥ 2 × floor", "30.0", "10.0", "3.00", "met")


def test_the_document_has_a_row_for_every_figure_of_every_load() -> None:
    text = _PERFORMANCE.read_text("utf-8")
    shown = text.partition(table.BEGIN)[2].partition(table.END)[0]
    heads = [line.split(" | ")[:3] for line in shown.splitlines()]
    for load in LOADS.values():
        assert f"\n| `{load.name}` |" in text
        for figure in load.figures:
            assert [f"| {load.name}", figure.words, str(figure.must or "")] in heads
