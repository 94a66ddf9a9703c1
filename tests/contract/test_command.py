"""`michiq-proxy contract` as a person, a program or a CI calls it."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final
from xml.etree import ElementTree

import pytest

from proxy.contract import catalogue
from proxy.contract.catalogue import CHECKS, MODULES
from proxy.contract.check import Check, documented
from proxy.contract.probe import Probe, probing
from proxy.contract.routes import NEW_CASE, ROUTES
from proxy.contract.runner import outcome_of
from proxy.contract.samples import NAME_PREFIX
from proxy.contract.verdicts import Mismatch
from proxy.sandbox import Fault, Sandbox, SandboxConfig, run_sandbox
from tests.conftest import API_KEY, ROOT, Api
from tests.contract.conftest import contract, target

NOBODY: Final = "http://127.0.0.1:1"


@pytest.fixture
async def legacy() -> AsyncIterator[Sandbox]:
    async with run_sandbox(SandboxConfig()) as started:
        yield started


def test_there_is_a_line_for_every_row_of_the_contract() -> None:
    text = (ROOT / "docs" / "CONTRACT.md").read_text("utf-8")
    rows = set(re.findall(r"^\| ([A-Z]\d\d) \|", text, re.MULTILINE))
    assert {check.row for check in CHECKS} == rows


def test_no_check_is_written_and_forgotten() -> None:
    written = {value for module in MODULES for value in vars(module).values() if isinstance(value, Check)}
    assert written <= set(CHECKS)
    assert len({str(check) for check in CHECKS}) == len(CHECKS)


def test_every_route_has_checks_and_every_check_a_route() -> None:
    assert {check.route for check in CHECKS} == set(ROUTES)
    assert set(catalogue.checks_of({"doc"})) == {check for check in CHECKS if check.route == "doc"}


async def test_a_person_sees_the_plan_then_each_check_then_the_sum(legacy: Sandbox) -> None:
    ran = await contract(legacy.michiq.url)
    lines = ran.output.splitlines()
    assert "is another host" in lines[0]
    assert lines[1].startswith(f'Up to 12 cases of the synthetic patient "{NAME_PREFIX}')
    assert len([line for line in lines if re.match(r" *\d+/\d+ (pass|n/a )", line)]) == len(CHECKS)
    assert re.search(r"\d+ pass, 0 fail, \d+ not applicable", lines[-1])
    assert ran.exit_code == 0


async def test_a_fail_tells_what_was_expected_and_what_came(legacy: Sandbox) -> None:
    legacy.michiq.lies.add("unknown_document_as_json")
    ran = await contract(legacy.michiq.url, "--routes", "doc")
    assert "FAIL D02 doc: an unknown id is answered 404" in ran.output
    assert "expected 404 text/plain; charset=utf-8 'Not Found'" in ran.output
    assert 'came     404 application/json; charset=utf-8 \'{"error":"Not Found"}\'' in ran.output
    assert ran.output.endswith("Rows that fail: D02\n")


async def test_all_that_is_made_was_announced_and_is_of_the_synthetic_patient(api: Api) -> None:
    ran = await contract(api.url)
    made = api.sandbox.llamalitica.cases
    announced = re.search(r"Up to (\d+) cases", ran.output)
    async with asyncio.timeout(10):
        while any(task.get_name() == "linked_case" for task in asyncio.all_tasks()):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert announced
    assert len(made) == int(announced[1])
    without_ehr = 1  # its patient has no name
    named = [case for case in made.values() if str(case.patient_metadata["name"]).startswith(NAME_PREFIX)]
    assert len(named) == len(made) - without_ehr


async def test_read_only_makes_nothing_and_says_so(legacy: Sandbox) -> None:
    ran = await contract(legacy.michiq.url, "--read-only")
    assert ran.exit_code == 0
    assert "Nothing will be created." in ran.output
    assert "(read-only: it would make something)" in ran.output
    assert (legacy.michiq.encounters, legacy.michiq.recordings) == ({}, {})
    # What it may ask, it does ask, of every route: each is refused, or its question makes nothing.
    refused = re.findall(r"^ *\d+/\d+ pass", ran.output, re.MULTILINE)
    assert len(legacy.michiq.calls) >= len(refused) > 0
    assert all(call.status and call.status >= 400 for call in legacy.michiq.calls)


async def test_only_the_named_routes_are_checked(legacy: Sandbox) -> None:
    ran = await contract(legacy.michiq.url, "--json", "--routes", "doc, query")
    assert {check["route"] for check in ran.checks} == {"doc", "query"}


async def test_without_a_second_user_what_takes_one_is_not_applicable(legacy: Sandbox) -> None:
    ran = await contract(legacy.michiq.url, "--json", other_user=None)
    reasons = {check["why"] for check in ran.checks if check["row"] == "D02"}
    assert ran.exit_code == 0
    assert "it needs a second user (--other-user)" in reasons


async def test_json_stands_alone_on_stdout_and_the_progress_elsewhere(api: Api) -> None:
    ran = await contract(api.url, "--json")
    result = json.loads(ran.stdout)
    assert (result["target"], result["michiq_proxy"], result["failed"]) == (f"{api.url}", True, 0)
    assert result["passed"] + result["not_applicable"] == len(result["checks"]) == len(CHECKS)


async def test_junit_has_a_case_for_every_check(legacy: Sandbox, tmp_path: Path) -> None:
    legacy.michiq.lies.add("no_allow")
    file = tmp_path / "contract.xml"
    ran = await contract(legacy.michiq.url, "--junit", str(file))
    suite = ElementTree.parse(file).getroot()
    assert ran.exit_code == 1
    assert (suite.get("tests"), suite.get("failures")) == (str(len(CHECKS)), "7")
    assert len(suite.findall("testcase/failure")) == 7
    assert suite.get("skipped") == str(len(suite.findall("testcase/skipped")))


async def test_the_environment_may_hold_what_the_options_say(
    legacy: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONTRACT_API_KEY", API_KEY)
    ran = await contract(legacy.michiq.url, "--routes", "doc", api_key=None)
    assert ran.exit_code == 0


async def test_a_host_that_breaks_off_fails_the_check_and_the_run_goes_on(legacy: Sandbox) -> None:
    legacy.michiq.faults.add(
        Fault(kind="cut_before_body", path_prefix="/michiQ/doc", times=2)
    )  # aiohttp tries again once
    ran = await contract(legacy.michiq.url, "--json", "--routes", "doc")
    assert {(each["row"], each["came"]) for each in ran.checks if each["verdict"] == "fail"} == {
        ("G02", "none (ServerDisconnectedError)")
    }


async def test_a_host_that_makes_no_cases_is_asked_for_one_once(legacy: Sandbox) -> None:
    legacy.michiq.faults.add(Fault(kind="status", status=500, path_prefix="/michiQ/newCase", times=99))
    ran = await contract(legacy.michiq.url, "--json", "--routes", "doc")
    calls = [call for call in legacy.michiq.calls if call.path == "/michiQ/newCase"]
    assert ran.failed >= {"D01", "D02"}
    assert len(calls) == 3  # for the case, the bare one and the other user's


async def test_a_key_that_the_host_does_not_know_is_one_sentence_and_no_row_of_fails(legacy: Sandbox) -> None:
    ran = await contract(legacy.michiq.url, api_key="wrong")
    assert ran.exit_code == 1
    assert "answers newCase with 401: it doesn't know this API key" in " ".join(ran.output.split())
    assert (" FAIL " in ran.output, "wrong" in ran.output) == (False, False)


async def test_a_host_that_is_not_there_ends_with_1_and_a_sentence() -> None:
    ran = await contract(NOBODY)
    assert ran.exit_code == 1
    assert f"Error: {NOBODY} can't be reached: ClientConnectorError" in ran.output


@pytest.mark.parametrize(
    ("url", "flags", "changed", "said"),
    [
        (NOBODY, ("--routes", "dock"), {}, "there is no route dock; there are new_case, doc"),
        ("michiq.example", (), {}, "--target needs an address"),
        ("https://ana:secreto@michiq.example", (), {}, "--target takes no user name"),
        ("https://michiq.example/?a=1", (), {}, "--target takes no user name, query"),
        (NOBODY, ("--junit", "nowhere/contract.xml"), {}, "--junit: there is no folder nowhere"),
        (NOBODY, (), {"user": None}, "Missing option '--user'"),
    ],
)
async def test_a_wrong_call_ends_with_2_before_anything_is_sent(
    url: str, flags: tuple[str, ...], changed: dict[str, str | None], said: str
) -> None:
    ran = await contract(url, *flags, **changed)
    assert ran.exit_code == 2
    assert said in ran.output
    assert "secreto" not in ran.output


async def test_no_outcome_shows_a_key_or_a_token(legacy: Sandbox) -> None:
    """Checks it even for a host that quotes them."""

    @documented("N01", NEW_CASE, "a host quotes what it was sent")
    async def quoted(probe: Probe) -> None:
        token = (await probe.main()).token
        raise Mismatch(f"key {API_KEY}", f"token {token}, and eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbg")

    async with probing(target(legacy.michiq.url)) as probe:
        outcome = await outcome_of(quoted, probe)
    assert (outcome.expected, outcome.came) == ("key •••", "token •••, and •••")


async def test_a_success_that_should_be_a_refusal_is_not_quoted(legacy: Sandbox) -> None:
    """Quotes nothing, because a host that lets in anybody may show anybody's data."""
    legacy.michiq.lies.add("foreign_document")
    ran = await contract(legacy.michiq.url, "--json", "--routes", "doc")
    came = [check["came"] for check in ran.checks if check["verdict"] == "fail"]
    assert [re.sub(r"\d+ bytes", "n bytes", each) for each in came] == [
        "200 application/json; charset=utf-8, n bytes"
    ]
