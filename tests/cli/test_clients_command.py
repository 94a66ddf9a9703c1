"""`michiq-proxy clients`: the clients that still call, for people, spreadsheets and programs."""

import asyncio
import csv
import io
import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from proxy.cli import main
from proxy.store import open_store
from proxy.store.audit.usage import Visit
from tests.stores import sqlite_in

NOW = datetime(2026, 3, 21, 10, 0, tzinfo=UTC)
KEY, USER = "0123456789abcdef" * 4, "fedcba9876543210" * 4


@pytest.fixture(autouse=True)
def _own_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, secret_key: str) -> None:
    for name in [name for name in os.environ if name.startswith("MICHIQ_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("MICHIQ_SECRET_KEYS", secret_key)
    monkeypatch.setenv("COLUMNS", "250")
    monkeypatch.chdir(tmp_path)


def call(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["clients", *arguments])


def rows(*arguments: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(call(*arguments, "--json").stdout)
    return found


def visit(days: int = 0, **changes: Any) -> Visit:
    values: dict[str, Any] = {
        "key": KEY,
        "user": USER,
        "organization": "Clínica Norte",
        "organization_hash": "c" * 64,
        "agent": "okhttp/4.9",
        "route": "doc",
        "mode": "new",
        "status": 200,
        "side": "new",
        "at": NOW - timedelta(days=days),
    }
    return Visit(**{**values, **changes})


def fill(secret_key: str, *visits: Visit) -> None:
    """Adds visits to the store of the settings."""

    async def add() -> None:
        async with open_store(sqlite_in(), [secret_key]) as store:
            await store.evidence.add(visits=visits, at=NOW)

    asyncio.run(add())


def cells(result: Result) -> list[list[str]]:
    """Returns the table's rows, without its heads."""
    assert result.exit_code == 0, result.output
    return [line.split("\t") for line in result.stdout.splitlines()][1:]


def test_the_table_has_a_row_for_each_client_and_route_with_what_they_got(secret_key: str) -> None:
    many = [visit() for _ in range(41)]
    fill(
        secret_key,
        visit(3, route="query"),
        *many,
        *(visit(2, mode="canary", side="legacy", status=401) for _ in range(2)),
    )
    assert cells(call()) == [
        [
            "doc",
            "Clínica Norte",
            "0123456789ab",
            "fedcba987654",
            "okhttp/4.9",
            "43",
            "2026-03-19",
            "2026-03-21",
            "new 200×41, canary→legacy 401×2",
        ],
        [
            "query",
            "Clínica Norte",
            "0123456789ab",
            "fedcba987654",
            "okhttp/4.9",
            "1",
            "2026-03-18",
            "2026-03-18",
            "new 200×1",
        ],
    ]


def test_a_caller_whom_nobody_knows_is_shown_by_the_user_agent_alone(secret_key: str) -> None:
    fill(secret_key, visit(key="", user="", organization="", organization_hash="", status=401))
    assert cells(call())[0][:5] == ["doc", "-", "-", "-", "okhttp/4.9"]


def test_a_narrow_terminal_hides_nothing(secret_key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(secret_key, visit(route="encounter_page", agent="agent/" + "a" * 30))
    monkeypatch.setenv("COLUMNS", "80")
    shown = call().stdout
    parts = ("encounter_page", "Norte", "0123456789ab", "fedcba987654", "2026-03-21", "200×1")
    assert [part for part in parts if part not in shown] == []
    assert "…" not in shown


def test_a_user_agent_is_no_markup_of_the_table(secret_key: str) -> None:
    fill(secret_key, visit(agent="[red]alarm[/red] :smile:"))
    assert "[red]alarm[/red] :smile:" in call().stdout


def test_programs_get_a_row_for_each_client_day_route_mode_status_and_side(secret_key: str) -> None:
    fill(secret_key, visit(1), visit(), visit(), visit(status=404))
    who = {
        "key": "0123456789ab",
        "organization": "Clínica Norte",
        "user": "fedcba987654",
        "user_agent": "okhttp/4.9",
        "first_seen": "2026-03-20T10:00:00+00:00",
        "last_seen": "2026-03-21T10:00:00+00:00",
        "route": "doc",
        "mode": "new",
        "side": "new",
    }
    assert rows() == [
        {**who, "day": "2026-03-20", "status": 200, "count": 1},
        {**who, "day": "2026-03-21", "status": 200, "count": 2},
        {**who, "day": "2026-03-21", "status": 404, "count": 1},
    ]


def test_since_and_route_choose_the_calls(secret_key: str) -> None:
    fill(secret_key, visit(2), visit(1), visit(), visit(route="query"))
    assert [row["day"] for row in rows("--since", "2026-03-20", "--route", "doc")] == [
        "2026-03-20",
        "2026-03-21",
    ]
    assert rows("--since", "2026-03-22") == []


def read_csv(*arguments: str) -> list[dict[str, str]]:
    result = call(*arguments, "--csv")
    assert result.exit_code == 0, result.output
    return list(csv.DictReader(io.StringIO(result.stdout)))


def test_a_spreadsheet_gets_the_same_rows(secret_key: str) -> None:
    fill(secret_key, visit(1, agent='a "quoted", agent'), visit(status=404))
    assert read_csv() == [{name: str(value) for name, value in row.items()} for row in rows()]


@pytest.mark.parametrize("sign", ["=", "+", "-", "@", "＝"])
def test_a_user_agent_that_a_spreadsheet_would_run_is_quoted(secret_key: str, sign: str) -> None:
    formula = f"{sign}HYPERLINK(1)"
    fill(secret_key, visit(agent=formula, organization=formula))
    (row,) = read_csv()
    assert (row["user_agent"], row["organization"]) == (f"'{formula}", f"'{formula}")
    assert rows()[0]["user_agent"] == formula  # a program reads what came


@pytest.mark.parametrize(
    ("arguments", "said"),
    [((), "no calls\n"), (("--json",), "[]\n"), (("--csv",), "key,organization,user,user_agent,first_seen")],
)
def test_without_calls_there_is_nothing_to_list(
    secret_key: str, arguments: tuple[str, ...], said: str
) -> None:
    fill(secret_key)
    result = call(*arguments)
    assert (result.exit_code, result.stdout.startswith(said)) == (0, True)


@pytest.mark.parametrize(
    "arguments", [["--since", "yesterday"], ["--route", "nonsense"], ["--csv", "--json"], ["more"]]
)
def test_misuse_ends_with_2(arguments: list[str]) -> None:
    assert call(*arguments).exit_code == 2


def test_keys_that_do_not_open_the_store_are_said_and_end_with_2(
    secret_key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(secret_key, visit())
    monkeypatch.setenv("MICHIQ_SECRET_KEYS", "A" * 43 + "=")
    result = call()
    assert (result.exit_code, "MICHIQ_SECRET_KEYS" in result.output) == (2, True)
