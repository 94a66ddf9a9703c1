"""Every row of docs/CONTRACT.md is named by a test that proves it."""

import re

from tests.conftest import ROOT


def test_every_row_of_the_contract_is_named_by_a_test() -> None:
    contract = (ROOT / "docs" / "CONTRACT.md").read_text("utf-8")
    rows = set(re.findall(r"^\| ([A-Z]\d\d) \|", contract, re.MULTILINE))
    tests = "\n".join(path.read_text("utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    names = " ".join(re.findall(r"def (test_\w+)\(", tests))
    named = set(re.findall(r"(?<=_)[A-Z]\d\d(?=_)", names))
    assert sorted(rows - named) == []
    assert sorted(named - rows) == [], "tests name rows that the contract doesn't have"
