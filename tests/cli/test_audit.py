"""`audit`: the trail as an operator sees it, and the check that it is whole."""

import asyncio
import json
import os
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from proxy.cli import main
from proxy.store import open_store
from proxy.store.audit.trail import Access
from tests.cli.filled import Site, nothing
from tests.stores import sqlite_in


@pytest.fixture(autouse=True)
def _site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, secret_key: str) -> None:
    """Returns a store with three changes in it."""
    for name in [name for name in os.environ if name.startswith("MICHIQ_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("MICHIQ_SECRET_KEYS", secret_key)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    Site(tmp_path, secret_key).fill(nothing)
    for route in ("doc", "query", "encounters"):
        change = ("mode", route, "off", "--actor", "ana", "--reason", "the [end]", "--organization", "Norte")
        assert call(*change).exit_code == 0


def call(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def verdict(exit_code: int) -> Any:
    result = call("audit", "verify", "--json")
    assert result.exit_code == exit_code
    return json.loads(result.stdout)


def tamper(statement: str) -> None:
    with closing(sqlite3.connect("var/michiq.db")) as connection:
        connection.execute("DROP TRIGGER audit_no_update")
        connection.execute("DROP TRIGGER audit_no_delete")
        connection.execute(statement)
        connection.commit()


def test_a_whole_trail_ends_with_0() -> None:
    result = call("audit", "verify")
    assert (result.exit_code, result.stdout) == (0, "3 rows, all as they were written\n")
    told = verdict(0)
    assert (told["ok"], told["rows"], told["chained"], told["first_bad"]) == (True, 3, 3, None)


def test_a_trail_that_goes_on_has_another_end() -> None:
    before = verdict(0)["end"]
    call("mode", "--rollback", "--newest", "--reason", "again")
    assert verdict(0)["end"] not in {before, ""}


@pytest.mark.parametrize(
    ("statement", "first_bad"),
    [("UPDATE audit SET actor = 'eva' WHERE id = 2", 2), ("DELETE FROM audit WHERE id = 3", 3)],
)
def test_a_trail_that_was_tampered_with_ends_with_1_and_its_first_bad_row(
    statement: str, first_bad: int
) -> None:
    tamper(statement)
    told = verdict(1)
    assert (told["ok"], told["rows"], told["first_bad"]) == (False, first_bad - 1, first_bad)
    result = call("audit", "verify")
    assert (result.exit_code, told["reason"] in result.stdout) == (1, True)


def test_the_newest_rows_come_first_and_name_no_organization() -> None:
    result = call("audit", "list", "--json", "--limit", "2")
    rows = json.loads(result.stdout)
    assert [(row["id"], row["actor"], row["action"]) for row in rows] == [
        (3, "ana", "mode_set"),
        (2, "ana", "mode_set"),
    ]
    assert json.loads(rows[0]["detail"]) == {
        "revision": 3,
        "route": "encounters",
        "mode": "off",
        "reason": "the [end]",
        "via": "cli",
    }
    assert "Norte" not in result.stdout


def test_for_people_the_rows_are_a_table() -> None:
    lines = call("audit", "list").stdout.splitlines()
    assert [line.split()[0] for line in lines if "mode_set" in line] == ["3", "2", "1"]
    assert "the [end]" in "".join(lines)


def test_a_user_is_shown_by_the_first_digits_of_their_hash(secret_key: str) -> None:
    async def work() -> None:
        async with open_store(sqlite_in(), [secret_key]) as store:
            access = Access("0123456789abcdef" * 4, "c" * 64, "doc", datetime.now(UTC))
            await store.evidence.add(accesses=[access], at=access.at)

    asyncio.run(work())
    (line,) = [line for line in call("audit", "list").stdout.splitlines() if "case_accessed" in line]
    assert line.split()[3:6] == ["0123456789ab", "case_accessed", "c" * 12]
