"""The reading of pip-audit's report."""

import json
from typing import Any

import pytest

from tests.supply import judged

CLEAN = {"name": "aiohttp", "version": "3.14.5", "vulns": []}
BAD = {
    "name": "pypdf",
    "version": "1.0",
    "vulns": [{"id": "PYSEC-1", "fix_versions": ["1.1"]}, {"id": "PYSEC-2", "fix_versions": []}],
}
UNKNOWN = {"name": "yarl", "skip_reason": "Dependency not found"}


@pytest.mark.parametrize(
    ("packages", "ok", "said"),
    [
        ([CLEAN, CLEAN], True, ["2 packages, no known advisory"]),
        ([CLEAN, BAD], False, ["pypdf 1.0: PYSEC-1, mended in 1.1", "pypdf 1.0: PYSEC-2, mended in ?"]),
        ([CLEAN, UNKNOWN], False, ["yarl: not looked up: Dependency not found"]),
        ([UNKNOWN, UNKNOWN], True, ["SKIPPED, nothing was audited"]),
    ],
    ids=["clean", "an advisory", "one that nobody knows", "none that anybody knows"],
)
def test_what_could_not_be_looked_up_is_never_taken_for_clean(
    packages: list[dict[str, Any]], ok: bool, said: list[str]
) -> None:
    verdict = judged(json.dumps({"dependencies": packages, "fixes": []}), "")
    assert verdict.ok == ok
    assert [line[: len(start)] for line, start in zip(verdict.lines, said, strict=True)] == said


@pytest.mark.parametrize(
    ("complaint", "why"),
    [("Traceback\nConnectionError: no route", "ConnectionError: no route"), ("", "it gave no report")],
)
def test_where_the_service_can_not_be_asked_the_reason_is_told(complaint: str, why: str) -> None:
    verdict = judged("", complaint)
    assert verdict.ok
    assert verdict.lines[0].endswith(f"no advisory service answers from here: {why}")
