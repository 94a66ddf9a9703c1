"""`michiq-proxy pending`: the calls in doubt, and how an operator closes one."""

import json
from pathlib import Path

import pytest

from proxy.store import JournalEntry, Store

from .filled import Site, ago, said, scope, site, visit

NORTH = "Clínica Norte"
RESOLVE = ("pending", "resolve", "intent-1", "--actor", "ana", "--reason", "looked there")


@pytest.fixture
def here(tmp_path: Path, secret_key: str, monkeypatch: pytest.MonkeyPatch) -> Site:
    made = site(tmp_path, secret_key, monkeypatch)
    made.fill(_add)
    return made


async def _add(store: Store) -> None:
    origin = {"request_id": "request-1", "organization": scope(store, NORTH)}
    await store.evidence.add(visits=[visit(store, NORTH)], at=ago())
    for intent in ("intent-1", "intent-2"):
        await store.journal.begin(
            JournalEntry(intent, "o" * 64, "new_case", None, "body", ago(), **origin)  # type: ignore[arg-type]
        )
        await store.journal.fail(intent, "llamalitica-timeout", ambiguous=True)


def left(here: Site) -> list[str]:
    return [row["id"] for row in json.loads(here.call("pending", "--json").stdout)]


def test_the_list_names_the_request_and_the_organization(here: Site) -> None:
    result = here.call("pending")
    assert "intent-1\trequest-1" in result.stdout
    assert "new_case\tClínica Norte" in result.stdout
    assert result.stdout == here.call("routes", "--pending").stdout
    [row, _] = json.loads(here.call("pending", "--json").stdout)
    assert (row["request_id"], row["organization"]["name"]) == ("request-1", NORTH)


def test_a_call_without_a_case_leaves_the_list(here: Site) -> None:
    result = here.call(*RESOLVE, "--not-made")
    assert (result.exit_code, "intent-1 is closed: no case was made" in result.stdout) == (0, True)
    assert left(here) == ["intent-2"]


def test_a_call_with_a_case_leaves_the_list_and_its_client_is_not_given_it(
    here: Site,
) -> None:
    result = here.call(*RESOLVE, "--made", "case-7")
    assert "No client is given the case by this" in said(result)
    assert left(here) == ["intent-2"]


def test_a_second_operator_is_told_and_changes_nothing(here: Site) -> None:
    here.call(*RESOLVE, "--not-made")
    result = here.call(*RESOLVE, "--made", "case-7")
    assert (result.exit_code, "intent-1: already resolved by ana at" in said(result)) == (1, True)


@pytest.mark.parametrize(
    ("options", "code", "said_of"),
    [
        ([], 2, "say --made CASE or --not-made"),
        (["--made", "case-7", "--not-made"], 2, "say --made CASE or --not-made"),
        (["--made", "no id"], 2, "a case id has 1 to 64 letters"),
        (["--made", "looked"], 2, "don't name the case"),
    ],
)
def test_what_can_not_be_is_refused(here: Site, options: list[str], code: int, said_of: str) -> None:
    result = here.call(*RESOLVE, *options)
    assert (result.exit_code, said_of in said(result)) == (code, True), result.output
    assert left(here) == ["intent-1", "intent-2"]


def test_an_unknown_id_is_said(here: Site) -> None:
    result = here.call("pending", "resolve", "intent-9", "--not-made", "--reason", "x", "--actor", "ana")
    assert (result.exit_code, "no call with an unknown outcome has this id" in said(result)) == (1, True)
