"""`michiq-proxy migrate`, and `serve` that may not migrate."""

import asyncio
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from proxy.cli import main
from proxy.cli.migrate.run import sentence
from proxy.store.sql.migrate import newest
from proxy.store.sql.schema import Migrated
from tests.postgresql import Postgresql
from tests.store.older import as_of


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, secret_key: str) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MICHIQ_SECRET_KEYS", secret_key)
    monkeypatch.setenv("MICHIQ_LISTEN", "127.0.0.1:0")
    monkeypatch.setenv("MICHIQ_ADMIN_LISTEN", "127.0.0.1:0")


def call(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def migrated() -> dict[str, str | None]:
    result = call("migrate", "--json")
    assert result.exit_code == 0, result.output
    read: dict[str, str | None] = json.loads(result.stdout)
    return read


def make_older(revision: str) -> None:
    with closing(sqlite3.connect("var/michiq.db")) as connection:
        as_of(connection, revision)


def test_it_makes_the_tables_once_and_says_so_and_where(tmp_path: Path) -> None:
    result = call("migrate")
    assert (result.exit_code, result.stdout) == (0, f"tables made: revision {newest()}\n")
    assert result.stderr == f"store: {tmp_path}/var/michiq.db\n"
    assert call("migrate").stdout == f"nothing to do: revision {newest()} is this release's\n"


def test_it_migrates_where_the_proxy_itself_may_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MICHIQ_MIGRATE", "never")
    assert migrated() == {"before": None, "after": newest(), "serving_role": None}
    make_older("0010")
    assert migrated() == {"before": "0010", "after": newest(), "serving_role": None}


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (None, "0012", "tables made: revision 0012"),
        ("0011", "0012", "tables upgraded: revision 0011 to 0012"),
        ("0012", "0012", "nothing to do: revision 0012 is this release's"),
        ("0013", "0013", "nothing to do: revision 0013 is of a newer release, and this one (0012) fits it"),
    ],
)
def test_each_outcome_has_a_sentence(before: str | None, after: str, said: str) -> None:
    assert sentence(Migrated(before, after), "0012") == said


def test_without_leave_to_migrate_serve_makes_no_tables(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MICHIQ_MIGRATE", "never")
    result = call("serve")
    assert result.exit_code == 2
    assert result.stderr.endswith("the database has no tables yet; run `michiq-proxy migrate` first\n")
    assert not (tmp_path / "var" / "michiq.db").exists()


def test_without_leave_to_migrate_serve_leaves_an_older_schema_as_it_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    migrated()
    make_older("0010")
    before = (tmp_path / "var" / "michiq.db").read_bytes()
    monkeypatch.setenv("MICHIQ_MIGRATE", "never")
    result = call("serve")
    assert (result.exit_code, "run `michiq-proxy migrate` first" in result.stderr) == (2, True)
    assert (tmp_path / "var" / "michiq.db").read_bytes() == before


@pytest.fixture
def empty(postgresql_server: Postgresql, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Yields the settings' database: an empty one of PostgreSQL."""
    name = asyncio.run(postgresql_server.new(template="template0"))
    url = postgresql_server.url(name).replace("postgres@", "postgres:CANARY-7f3a@")
    monkeypatch.setenv("MICHIQ_DATABASE_URL", url)
    yield name
    asyncio.run(postgresql_server.drop(name))


def test_in_postgresql_a_command_makes_no_tables_and_names_the_one_that_does(empty: str) -> None:
    result = call("mode")
    assert (result.exit_code, "no tables yet; run `michiq-proxy migrate` first" in result.stderr) == (2, True)
    made = call("migrate")
    assert (made.exit_code, made.stdout) == (0, f"tables made: revision {newest()}\n")
    assert made.stderr.startswith("store: postgresql://postgres@127.0.0.1:")
    assert call("mode").exit_code == 0
    assert "CANARY" not in result.output + made.output


def test_a_role_that_is_not_there_gets_nothing(empty: str) -> None:
    result = call("migrate", "--serving-role", "nobody_there")
    assert (result.exit_code, "there is no such role" in result.stderr) == (2, True)
    assert call("mode").exit_code == 2, "the tables were made all the same"


def test_a_role_is_asked_for_in_postgresql_only() -> None:
    result = call("migrate", "--serving-role", "michiq")
    assert (result.exit_code, "SQLite has no roles" in result.stderr) == (2, True)
