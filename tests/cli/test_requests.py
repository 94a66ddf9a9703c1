"""`michiq-proxy requests`: from an organization's complaint to the request."""

import json
from pathlib import Path
from typing import Any

import pytest

from proxy.store import Store
from proxy.store.audit.request_traces import RequestTrace

from .filled import Site, ago, said, scope, site, visit

NORTH = "Clínica Norte"


@pytest.fixture
def here(tmp_path: Path, secret_key: str, monkeypatch: pytest.MonkeyPatch) -> Site:
    made = site(tmp_path, secret_key, monkeypatch)
    made.fill(_add)
    return made


async def _add(store: Store) -> None:
    def trace(name: str, hours: float, **changes: Any) -> RequestTrace:
        facts = {"route": "new_case", "organization": scope(store, NORTH), "side": "new", "status": 200}
        return RequestTrace(name, ago(hours=hours), {}, **{**facts, "milliseconds": 1234, **changes})

    traces = [
        trace("old", 30, status=500, cause="llamalitica-500"),
        trace("failed", 3, status=500, cause="llamalitica-timeout"),
        trace("refused", 2, status=401, cause="no-api-key", side="", organization=""),
        trace("fine", 1, route="doc", organization=scope(store, "Otra")),
    ]
    await store.evidence.add(stories=traces, visits=[visit(store, NORTH)], at=ago())


def ids(here: Site, *options: str) -> list[str]:
    result = here.call("requests", "--json", *options)
    assert result.exit_code == 0, result.output
    return [row["request_id"] for row in json.loads(result.stdout)]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], ["fine", "refused", "failed", "old"]),
        (["--organization", " Clínica Norte ", "--route", "new_case", "--since", "4 h"], ["failed"]),
        (["--organization", "Cli\u0301nica Norte"], ["failed", "old"]),
        (["--failed", "--until", "24 h"], ["old"]),
        (["--status", "4XX"], ["refused"]),
        (["--side", "none"], ["refused"]),
        (["--cause", "llamalitica-timeout"], ["failed"]),
        (["--id", "f", "--limit", "1"], ["fine"]),
    ],
    ids=str,
)
def test_each_option_finds_its_requests(here: Site, options: list[str], expected: list[str]) -> None:
    assert ids(here, *options) == expected


def test_a_list_for_a_person_has_names_and_says_how_to_go_on(here: Site) -> None:
    result = here.call("requests", "--failed", "--limit", "2")
    lines = result.stdout.splitlines()
    assert lines[0].split("\t") == ["at", "id", "route", "organization", "answer", "cause", "side", "ms"]
    own = ["new_case", "Clínica Norte", "500", "llamalitica-timeout", "new", "1,234"]
    assert lines[2].split("\t")[2:] == own
    assert "There are more: --limit" in result.output
    assert "michiq-proxy explain ID" in result.output


def test_nothing_found_says_what_to_try_and_names_an_organization_like_it(here: Site) -> None:
    shown = said(here.call("requests", "--organization", "Clinica Norte"))
    assert "no stored request fits: widen --since" in shown
    assert "no organization of this name has called; did you mean Clínica Norte" in shown


@pytest.mark.parametrize(
    ("options", "said_of"),
    [
        (["--status", "20"], "--status: write a status such as 200, or 4xx or 5xx"),
        (["--since", "yesterday"], "--since: write a time such as 2027-01-31T18:00:00Z"),
        (["--until", "2 parsecs"], "--until: write a time"),
        (["--cause", "a\nb"], "--cause: write at most 300 printable characters"),
    ],
)
def test_a_wrong_option_is_named(here: Site, options: list[str], said_of: str) -> None:
    result = here.call("requests", *options)
    assert (result.exit_code, said_of in said(result)) == (2, True), result.output
