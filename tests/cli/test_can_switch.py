"""`michiq-proxy can-switch`: yes or no, from the evidence in a real store."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, TypeAlias

import pytest

from proxy.compare import Difference, Leaf
from proxy.flows.registry import SPECS
from proxy.mapping.loader import load_table
from proxy.modes import Change
from proxy.store import JournalEntry, Store
from proxy.store.rollout.contract_runs import ContractRun
from proxy.store.rollout.evidence import Outcome

from .filled import Site, ago, nothing, said, scope, site, visit

ROUTE: Final = "new_case"
NORTE: Final = "Clínica Norte"
SUR: Final = "Clínica Sur"

Work: TypeAlias = Callable[[Store], Awaitable[Any]]


@pytest.fixture
def here(tmp_path: Path, secret_key: str, monkeypatch: pytest.MonkeyPatch) -> Site:
    return site(tmp_path, secret_key, monkeypatch)


async def enough(store: Store) -> None:
    """Stores everything that a yes needs."""
    await compared(1240)(store)
    await called(NORTE)(store)
    await contract()(store)


def compared(
    times: int, how: str = "match", organization: str = NORTE, days: float = 0, mapping: str = ""
) -> Work:
    async def add(store: Store) -> None:
        one = Outcome(ROUTE, scope(store, organization), how, mapping=mapping)
        await store.evidence.add(outcomes=[one] * times, at=ago(days=days))

    return add


def called(organization: str, **changes: Any) -> Work:
    async def add(store: Store) -> None:
        await store.evidence.add(visits=[visit(store, organization, **changes)], at=ago())

    return add


def contract(route: str = ROUTE, days: float = 3, passed: int = 14, failed: int = 0) -> Work:
    run = ContractRun(ago(days=days), "http://127.0.0.1:8080", route, passed, failed, 2)

    async def add(store: Store) -> None:
        await store.contract_runs.add([run])

    return add


def ambiguous(kind: str = ROUTE, days: float = 1) -> Work:
    async def add(store: Store) -> None:
        entry = JournalEntry(f"intent-{kind}", "o" * 64, kind, None, "body", ago(days=days))
        await store.journal.begin(entry)
        await store.journal.fail(entry.id, "llamalitica-timeout", ambiguous=True)

    return add


def moved(organization: str) -> Work:
    change = Change(actor="eva", route=ROUTE, organization=organization, mode="new", reason="asked for it")

    async def add(store: Store) -> None:
        await store.overrides.change(change, expected=None, at=ago(hours=1))

    return add


def differing(path: str, times: int = 1, days: float = 0) -> Work:
    """Stores comparisons that differ at one path."""

    async def add(store: Store) -> None:
        difference = Difference(path, "type", Leaf("string", 3, "c" * 16), Leaf("number", None, "d" * 16))
        one = Outcome(ROUTE, scope(store, NORTE), "difference", (difference,))
        await store.evidence.add(outcomes=[one] * times, at=ago(days=days))

    return add


@pytest.mark.parametrize(
    ("more", "yes", "told"),
    [
        pytest.param([], True, f"{ROUTE}: yes", id="all that it takes"),
        pytest.param([compared(1, "difference")], True, "1 of 1,241", id="one difference in a thousand"),
        pytest.param([compared(2, "difference")], False, "2 of 1,242", id="more differences than allowed"),
        pytest.param([compared(200, "dropped:timeout")], False, "timeout 200", id="many were lost"),
        pytest.param([compared(100, "dropped:timeout")], True, "timeout 100", id="few were lost"),
        pytest.param(
            [compared(5000, "dropped:not-sampled"), compared(7, "dropped:unpaired")],
            True,
            "Not meant to be compared: not-sampled 5,000, unpaired 7.",
            id="many were left out on purpose",
        ),
        pytest.param(
            [compared(5000, "dropped:control-failed")],
            True,
            "The legacy server itself failed, so nothing was compared: 5,000.",
            id="the legacy server failed",
        ),
        pytest.param(
            [compared(1, "dry-run-failed:createCase:body.files:missing")],
            False,
            "The dry runs failed at: createCase:body.files:missing 1.",
            id="a dry run failed",
        ),
        pytest.param([called(SUR)], False, "Never seen in shadow: Clínica Sur.", id="one was never compared"),
        pytest.param(
            [called(SUR), compared(1, "dropped:timeout", SUR)],
            False,
            "Never seen in shadow: Clínica Sur.",
            id="one was only lost",
        ),
        pytest.param([called(SUR), compared(1, organization=SUR)], True, "2 of 2", id="both were compared"),
        pytest.param([called(SUR, status=401)], True, "1 of 1", id="a stranger was refused"),
        pytest.param([called(SUR, route="doc")], True, "1 of 1", id="one calls another route"),
        pytest.param([called(SUR, at=ago(days=20))], True, "1 of 1", id="one called long ago"),
        pytest.param([called(SUR), moved(SUR)], True, "1 of 1", id="one has moved already"),
        pytest.param([ambiguous()], False, "may have worked or not: 1;", id="a call is ambiguous"),
        pytest.param([ambiguous("other")], True, "or not: 0;", id="another route's call is ambiguous"),
        pytest.param([ambiguous(days=30)], True, "or not: 0;", id="an old call is ambiguous"),
        pytest.param([contract(days=0.1, failed=1)], False, "14 passed, 1 failed", id="the contract broke"),
        pytest.param(
            [contract("doc", 0, failed=1)], True, "14 passed, 0 failed", id="another route broke it"
        ),
    ],
)
def test_the_verdict_says_which_figure_decides(here: Site, more: list[Work], yes: bool, told: str) -> None:
    for work in (enough, *more):
        here.fill(work)
    result = here.call("can-switch", ROUTE)
    assert (result.exit_code, told in said(result)) == (0 if yes else 1, True), result.output
    assert said(result).startswith(f"{ROUTE}: {'yes' if yes else 'no'} ")
    assert (" NO " in said(result)) == (not yes)


def test_evidence_under_another_mapping_is_named_and_not_counted(here: Site) -> None:
    for work in (enough, compared(10, mapping=digest(here)), compared(7, "difference", mapping="f" * 12)):
        here.fill(work)
    before = said(here.call("can-switch", ROUTE))
    assert f"Counted since mapping {digest(here)}, first seen {ago().date()}." in before
    assert "Counted too, of an earlier release: 1,240 comparisons." in before
    assert "Not counted, under other mappings: 7 comparisons." in before
    assert "differences: 0 of 1,250," in before
    here.edit("new_case.toml", '"token"]', '"token", "message"]')
    after = said(here.call("can-switch", ROUTE))
    assert f"Counted since mapping {digest(here)}, not compared yet." in after
    assert "Not counted, under other mappings: 17 comparisons." in after


def digest(here: Site) -> str:
    return load_table(here.folder / "mappings", SPECS).routes[ROUTE].digest


@pytest.mark.parametrize(
    ("works", "told"),
    [
        pytest.param([], "Comparisons in the last 14 days: 0;", id="nothing was ever seen"),
        pytest.param(
            [compared(1240, days=30), called(NORTE), contract()], "14 days: 0;", id="what was seen is old"
        ),
        pytest.param([compared(999), called(NORTE), contract()], "14 days: 999;", id="too few"),
        pytest.param([compared(1240), called(NORTE)], "checks: none;", id="the contract was never held up"),
        pytest.param(
            [compared(1240), called(NORTE), contract(days=8)], "14 passed, 0 failed", id="the run is old"
        ),
    ],
)
def test_what_is_missing_is_a_no(here: Site, works: list[Work], told: str) -> None:
    for work in [nothing, *works]:
        here.fill(work)
    result = here.call("can-switch", ROUTE)
    assert (result.exit_code, told in said(result)) == (1, True), result.output


def test_an_organization_that_only_the_operator_knows_is_waited_for(here: Site) -> None:
    here.fill(enough)
    here.edit("organizations.toml", "", f'[organizations."{SUR}"]\nsend_as = "sur"\n')
    result = here.call("can-switch", ROUTE)
    assert (result.exit_code, "Never seen in shadow: Clínica Sur." in said(result)) == (1, True)


def test_an_organization_whose_name_nobody_kept_is_told_by_12_digits(here: Site) -> None:
    async def nameless(store: Store) -> None:
        no_name = replace(visit(store, SUR), organization="\x00")
        await store.evidence.add(visits=[no_name], at=ago())

    here.fill(enough)
    here.fill(nameless)
    digits = here.fill(_scope_of_sur)[:12]
    assert f"Never seen in shadow: {digits}." in said(here.call("can-switch", ROUTE))


async def _scope_of_sur(store: Store) -> str:
    return scope(store, SUR)


def test_the_most_frequent_differences_are_told_and_how_many_more_there_are(here: Site) -> None:
    for number in range(12):
        here.fill(differing(f"field_{number:02}", times=1 + number))
    result = here.call("can-switch", ROUTE)
    lines = [line.split() for line in result.output.splitlines()]
    assert ["field_11", "type", "string", "number", "12"] in [line[:5] for line in lines]
    assert ["field_00", "type", "string", "number", "1"] not in [line[:5] for line in lines]
    assert "and 2 others: --json has all" in result.output
    assert max(map(len, result.output.splitlines())) <= 100


def test_a_difference_that_is_not_seen_any_more_is_not_told(here: Site) -> None:
    here.fill(differing("voice", days=20))
    here.fill(differing("token", days=2))
    output = here.call("can-switch", ROUTE).output
    assert ("voice" in output, "token" in output, "--json has all" in output) == (False, True, False)


def test_the_mapping_says_how_much_is_enough(here: Site) -> None:
    for work in (compared(40), called(NORTE), contract()):
        here.fill(work)
    assert here.call("can-switch", ROUTE).exit_code == 1
    here.edit(
        "new_case.toml", "[answer]", "[switch]\ncomparisons = 30\nmax_difference_percent = 10\n\n[answer]"
    )
    assert here.call("can-switch", ROUTE).exit_code == 0


def test_a_program_gets_the_verdict_its_reasons_and_all_differences(here: Site) -> None:
    for work in (enough, differing("voice", times=3), called(SUR)):
        here.fill(work)
    result = here.call("can-switch", ROUTE, "--json")
    found = json.loads(result.stdout)
    assert (result.exit_code, found["route"], found["yes"]) == (1, ROUTE, False)
    assert (found["comparisons"], found["differing"]) == (1243, 3)
    assert [each["name"] for each in found["never_compared"]] == [SUR]
    assert {each["ok"] for each in found["reasons"]} == {True, False}
    assert [(each["path"], each["count"]) for each in found["differences"]] == [("voice", 3)]
    assert found["contract_run"]["passed"] == 14


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["new_cas"], "there is no route new_cas; did you mean new_case?"),
        (["nothing"], "there is no route nothing (routes: new_case, doc,"),
        ([], "Missing argument 'ROUTE'"),
    ],
)
def test_an_unknown_route_is_misuse(here: Site, arguments: list[str], told: str) -> None:
    result = here.call("can-switch", *arguments)
    assert (result.exit_code, told in said(result)) == (2, True), result.output


def test_without_keys_it_is_misuse(here: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MICHIQ_SECRET_KEYS")
    result = here.call("can-switch", ROUTE)
    assert (result.exit_code, "MICHIQ_SECRET_KEYS is required" in result.output) == (2, True)
