"""`erase` and `rotate-keys`: the questions and answers for an operator, and the bytes left on the disk."""

import asyncio
import json
import os
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import Connection, update

from proxy.cli.erase.run import traces
from proxy.store import Store, open_store
from proxy.store.audit.trail import AuditEvent
from proxy.store.sql.tables import sessions
from tests.cli.filled import Site, said, site, visit
from tests.flows._client import everything
from tests.store.examples import case, cases_of, record, session
from tests.stores import sqlite_in

MAIL, ORGANIZATION = "ana@clinica.example", "Clínica Norte"
OF_ANA = ("--user", MAIL, "--organization", ORGANIZATION)


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, secret_key: str) -> Site:
    """Returns a store with a user and their case."""
    made = site(tmp_path, secret_key, monkeypatch)
    made.fill(_fill)
    return made


async def _fill(store: Store) -> None:
    owner = store.sealer.owner(MAIL, ORGANIZATION)
    await record(store, case("5e1f-case", owner=owner))
    await store.sessions.put("token", session(owner=owner))


async def trail(store: Store) -> list[AuditEvent]:
    return await store.audit.all()


def owned(store: Store) -> Any:
    return cases_of(store, store.sealer.owner(MAIL, ORGANIZATION))


def test_a_case_is_erased_once_it_is_confirmed(shop: Site) -> None:
    result = shop.call("erase", "--case", "5e1f-case", "--actor", "eva", answer="5e1f-case\n")
    assert result.exit_code == 0, result.output
    assert "stored about this case: 1 kept answer, 1 case" in said(result)
    assert "erased: 1 kept answer, 1 case; no file of the store holds a trace of it" in said(result)
    assert b"5e1f-case" not in everything(shop.folder / "var")
    (event,) = shop.fill(trail)
    assert (event.action, event.actor) == ("case_erased", "eva")


@pytest.mark.parametrize("answer", ["", "y", "yes", "5e1f"])
def test_anything_but_the_name_typed_again_erases_nothing(shop: Site, answer: str) -> None:
    result = shop.call("erase", "--case", "5e1f-case", answer=f"{answer}\n")
    assert (result.exit_code, "no file of the store" in result.output) == (1, False)
    assert len(shop.fill(owned)) == 1


def test_a_user_is_erased_without_a_question_where_that_is_wanted(shop: Site) -> None:
    result = shop.call("erase", *OF_ANA, "--yes", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["removed"] == {"case": 1, "session": 1}
    assert shop.fill(owned) == []


def test_a_user_is_named_as_clients_do_whatever_form_the_accent_has(shop: Site) -> None:
    result = shop.call("erase", "--user", f" {MAIL} ", "--organization", "Cli\u0301nica Norte", "--yes")
    assert "1 case" in said(result)


def test_a_user_of_whom_nothing_is_kept_ends_with_1_and_is_not_said_to_be_erased(shop: Site) -> None:
    result = shop.call("erase", "--user", "eva@clinica.example", "--organization", ORGANIZATION, "--yes")
    assert (result.exit_code, "is the mail right?" in said(result)) == (1, True)
    assert "no file of the store" not in said(result)
    assert len(shop.fill(owned)) == 1


def test_a_misspelt_organization_is_told_with_the_one_that_was_meant(shop: Site) -> None:
    shop.fill(_called)
    result = shop.call("erase", "--user", MAIL, "--organization", "Clinica Nrote", "--yes", "--json")
    assert result.exit_code == 1
    assert "no organization Clinica Nrote is known here; did you mean Clínica Norte?" in said(result)
    assert json.loads(result.stdout)["removed"] == {}
    assert len(shop.fill(owned)) == 1


async def _called(store: Store) -> None:
    await store.evidence.add(visits=[visit(store, ORGANIZATION)], at=datetime.now(UTC))


def test_the_audit_keeps_the_reason_and_the_report_has_hashes_and_counts_alone(shop: Site) -> None:
    call = ("erase", *OF_ANA, "--yes", "--actor", "eva", "--reason", "asked by letter 4/26")
    result = shop.call(*call, "--report", "gone.json")
    assert result.exit_code == 0, result.output
    events = [each for each in shop.fill(trail) if each.action == "user_erased"]
    assert [json.loads(each.detail)["reason"] for each in events] == ["asked by letter 4/26"]
    text = (shop.folder / "gone.json").read_text()
    told = json.loads(text)
    assert (told["erased"], told["subject"]) == ("user", events[0].subject)
    assert (told["removed"], told["actor"]) == ({"case": 1, "session": 1}, "eva")
    assert [name for name in (MAIL, ORGANIZATION, "5e1f-case") if name in text] == []


def test_a_report_overwrites_nothing_and_nothing_is_erased(shop: Site) -> None:
    (shop.folder / "there.json").write_text("mine")
    result = shop.call("erase", *OF_ANA, "--yes", "--report", "there.json")
    assert (result.exit_code, (shop.folder / "there.json").read_text()) == (2, "mine")
    assert len(shop.fill(owned)) == 1


@pytest.mark.parametrize("kept_as", [MAIL, "Ana@Clinica.example"])
def test_a_user_N06_is_found_in_any_case_also_what_an_earlier_release_kept_under_a_spelling(
    shop: Site, kept_as: str
) -> None:
    async def spelt(store: Store) -> None:
        await store.sessions.put("other", session(owner=store.sealer.spelt_owner(kept_as, ORGANIZATION)))

    shop.fill(spelt)
    named = "--user", kept_as, "--organization", ORGANIZATION
    result = shop.call("erase", *named, "--yes", "--json")
    assert json.loads(result.stdout)["removed"] == {"case": 1, "session": 2}


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ((), "name either --case, or --user"),
        (("--case", "x", *OF_ANA), "name either --case, or --user"),
        (("--user", MAIL), "--user and --organization go together"),
        (("--case", "x", "--organization", ORGANIZATION), "--user and --organization go together"),
        (("--case", "x", "--json"), "--json needs --yes"),
        (("--case", "x-1", "--yes", "--reason", "the family of X-1"), "don't name the case, the user"),
        (("--case", "x", "--yes", "--reason", "a\nb"), "the reason needs 1 to 300 printable characters"),
        (("--case", "x", "--yes", "--actor", "proxy"), "--actor: proxy is the name of the process itself"),
    ],
)
def test_what_is_asked_wrongly_is_told_and_ends_with_2(
    shop: Site, arguments: tuple[str, ...], complaint: str
) -> None:
    result = shop.call("erase", *arguments)
    assert (result.exit_code, complaint in said(result)) == (2, True), result.output


def test_the_old_key_can_go_once_everything_is_under_the_new_one(
    shop: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = Fernet.generate_key().decode()
    monkeypatch.setenv("MICHIQ_SECRET_KEYS", f"{new},{shop.key}")
    check = shop.call("rotate-keys", "--check")
    assert (check.exit_code, check.stdout) == (1, "0 values renewed, 8 left under an older key\n")
    rotated = shop.call("rotate-keys")
    assert (rotated.exit_code, rotated.stdout) == (0, "8 values renewed, 0 left under an older key\n")
    monkeypatch.setenv("MICHIQ_SECRET_KEYS", new)
    again = shop.call("rotate-keys", "--check", "--json")
    assert (again.exit_code, json.loads(again.stdout)) == (0, {"renewed": 0, "left": 0, "lost": 0})
    (kept,) = Site(shop.folder, new).fill(owned)
    assert kept.id == "5e1f-case"


def test_after_a_rotation_no_file_has_a_value_under_the_old_key_in_its_gaps_either(
    shop: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Removes a row first: no rotation seals it again, and its bytes would open with the old key."""
    with closing(sqlite3.connect(shop.folder / "var" / "michiq.db")) as connection:
        (sealed,) = connection.execute("SELECT content FROM cases").fetchone()
        connection.execute("PRAGMA secure_delete = OFF")
        connection.execute("DELETE FROM case_files")
        connection.execute("DELETE FROM cases")
        connection.commit()
    assert sealed in everything(shop.folder / "var")
    new = Fernet.generate_key().decode()
    monkeypatch.setenv("MICHIQ_SECRET_KEYS", f"{new},{shop.key}")
    assert shop.call("rotate-keys").exit_code == 0
    assert sealed not in everything(shop.folder / "var")


def test_a_value_that_no_key_opens_is_told(shop: Site) -> None:
    shop.fill(_spoil)
    result = shop.call("rotate-keys")
    assert (result.exit_code, result.stdout) == (
        1,
        "0 values renewed, 0 left under an older key\n"
        "1 value under none of the keys: is one missing in MICHIQ_SECRET_KEYS?\n",
    )


async def _spoil(store: Store) -> None:
    foreign = Fernet(Fernet.generate_key()).encrypt(b"access")

    def work(conn: Connection) -> None:
        conn.execute(update(sessions).values(access_token=foreign))

    await store.database.write(work)


def beating(name: str, *keys: str) -> Callable[[Store], Awaitable[None]]:
    """Writes a live process that has the keys of these fingerprints."""

    async def beat(store: Store) -> None:
        now = datetime.now(UTC)
        await store.processes.report(
            name, name, revision=0, mappings_digest="", rejected=(), keys=keys, started_at=now, at=now
        )

    return beat


def test_keys_are_not_changed_while_a_live_process_lacks_the_new_one_unless_forced(
    shop: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MICHIQ_SECRET_KEYS", f"{Fernet.generate_key().decode()},{shop.key}")
    both = asyncio.run(fingerprints())
    shop.fill(beating("host:1", both[1]))
    shop.fill(beating("host:2", *both))
    shop.fill(beating("of an older release"))
    refused = shop.call("rotate-keys")
    assert refused.exit_code == 1
    assert "host:1, of an older release lack the first of MICHIQ_SECRET_KEYS" in said(refused)
    assert "left under an older key" in said(shop.call("rotate-keys", "--check"))
    assert shop.call("rotate-keys", "--force").exit_code == 0


def test_a_process_that_was_killed_a_moment_ago_needs_no_key(
    shop: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MICHIQ_SECRET_KEYS", f"{Fernet.generate_key().decode()},{shop.key}")
    shop.fill(beating(str(uuid4()), "0a1b2c3d4e5f"))
    assert shop.call("rotate-keys").exit_code == 0


def test_keys_are_changed_where_every_live_process_has_the_new_one(
    shop: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MICHIQ_SECRET_KEYS", f"{Fernet.generate_key().decode()},{shop.key}")
    shop.fill(beating("host:2", *asyncio.run(fingerprints())))
    assert shop.call("rotate-keys").exit_code == 0


async def fingerprints() -> tuple[str, ...]:
    """Returns the fingerprints of the keys in the environment."""
    keys = os.environ["MICHIQ_SECRET_KEYS"].split(",")
    async with open_store(sqlite_in(), keys, renews=False) as store:
        return store.sealer.fingerprints


def test_a_command_that_only_looks_leaves_a_process_without_the_new_key_able_to_start(
    shop: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MICHIQ_SECRET_KEYS", f"{Fernet.generate_key().decode()},{shop.key}")
    assert shop.call("rotate-keys", "--check").exit_code == 1
    assert len(shop.fill(owned)) == 1


@pytest.mark.parametrize(
    ("database_url", "blobs_url", "said"),
    [
        ("sqlite:///var/michiq.db", "file:var/blobs", "no file of the store holds a trace of it"),
        (
            "postgresql://db.example.com/michiq",
            "file:var/blobs",
            "PostgreSQL's log, standbys and backups may hold encrypted bytes of it for a while",
        ),
        (
            "postgresql://db.example.com/michiq",
            "s3://bucket",
            "PostgreSQL's log, standbys and backups and a bucket with versions may hold encrypted bytes of "
            "it for a while",
        ),
    ],
)
def test_erase_promises_what_the_engines_can_do(database_url: str, blobs_url: str, said: str) -> None:
    assert traces(database_url, blobs_url) == said
