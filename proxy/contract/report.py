"""Writes the report of a run: a line for each check, a summary, JSON for programs, JUnit for CI."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Final
from xml.etree import ElementTree

from proxy.contract.check import Writes
from proxy.contract.samples import NAME_PREFIX
from proxy.contract.verdicts import Outcome
from proxy.jsons import dump

_MARKS: Final = {"pass": "pass", "fail": "FAIL", "not applicable": "n/a "}
_NOT_XML: Final = re.compile(r"[^\t\n\r\x20-\uD7FF\uE000-\uFFFD\U00010000-\U0010FFFF]")


def plan(writes: Writes) -> str:
    """Returns the announcement that is printed before anything is made."""
    if not writes.cases:
        return "Nothing will be created."
    return (
        f'Up to {writes.cases} cases of the synthetic patient "{NAME_PREFIX} …" will be created, '
        f"{writes.recordings} recordings of 1 to 2 s uploaded and {writes.questions} questions asked."
    )


def line(number: int, total: int, outcome: Outcome) -> str:
    """Returns the line of one check; a failed one has the expected and the received answer below it."""
    width = len(str(total))
    head = (
        f"{number:{width}}/{total} {_MARKS[outcome.verdict]} {outcome.row} {outcome.route}: {outcome.title}"
    )
    if outcome.verdict == "fail":
        return f"{head}\n    expected {outcome.expected}\n    came     {outcome.came}"
    return f"{head} ({outcome.why})" if outcome.why else head


def summary(outcomes: Sequence[Outcome]) -> str:
    count = Counter(outcome.verdict for outcome in outcomes)
    failed = sorted({outcome.row for outcome in outcomes if outcome.verdict == "fail"})
    seconds = sum(outcome.seconds for outcome in outcomes)
    text = (
        f"{len(outcomes)} checks in {seconds:.1f} s: {count['pass']} pass, {count['fail']} fail, "
        f"{count['not applicable']} not applicable"
    )
    return f"{text}\nRows that fail: {', '.join(failed)}" if failed else text


def as_json(target: str, outcomes: Sequence[Outcome], *, is_proxy: bool) -> str:
    """Returns one JSON object: the target, whether it is a proxy, the counts, and every outcome."""
    count = Counter(outcome.verdict for outcome in outcomes)
    return dump(
        {
            "target": target,
            "michiq_proxy": is_proxy,
            "passed": count["pass"],
            "failed": count["fail"],
            "not_applicable": count["not applicable"],
            "checks": [{**asdict(each), "seconds": round(each.seconds, 3)} for each in outcomes],
        }
    ).decode()


def junit(target: str, outcomes: Sequence[Outcome]) -> bytes:
    """Returns JUnit's XML: one suite, with a case for each check; not applicable is skipped."""
    count = Counter(outcome.verdict for outcome in outcomes)
    suite = ElementTree.Element(
        "testsuite",
        name=f"michiQ contract of {target}",
        tests=str(len(outcomes)),
        failures=str(count["fail"]),
        errors="0",
        skipped=str(count["not applicable"]),
        time=f"{sum(outcome.seconds for outcome in outcomes):.3f}",
    )
    for outcome in outcomes:
        name, seconds = f"{outcome.row} {outcome.title}", f"{outcome.seconds:.3f}"
        case = ElementTree.SubElement(suite, "testcase", classname=outcome.route, name=name, time=seconds)
        if outcome.verdict == "fail":
            message = f"expected {outcome.expected}; came {outcome.came}"
            ElementTree.SubElement(case, "failure", message=_NOT_XML.sub("�", message))
        elif outcome.verdict == "not applicable":
            ElementTree.SubElement(case, "skipped", message=_NOT_XML.sub("�", outcome.why))
    return b'<?xml version="1.0" encoding="utf-8"?>\n' + bytes(ElementTree.tostring(suite, "utf-8"))
