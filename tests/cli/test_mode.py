"""`mode`: shows and changes in the store the modes in force, with the proxy running or not."""

import asyncio
import json
import os
import shutil
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from proxy.cli import main
from proxy.rollout.following import wait_for
from proxy.store import Store, open_store
from proxy.store.audit.usage import Visit
from tests.conftest import ROOT
from tests.stores import sqlite_in

WHY = ("--reason", "evidence")
FORWARD = "--despite-evidence"


@pytest.fixture(autouse=True)
def _site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, secret_key: str) -> None:
    """Returns a folder with the built-in mappings, a legacy server configured, and nothing in force."""
    for name in [name for name in os.environ if name.startswith("MICHIQ_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("MICHIQ_SECRET_KEYS", secret_key)
    monkeypatch.setenv("MICHIQ_LEGACY_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("LOGNAME", "ana")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    in_store(secret_key, nothing)


async def nothing(_: Store) -> None:
    """Makes the store, as the first `serve` does."""


def call(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["mode", *arguments])


def told(*arguments: str) -> Any:
    """Returns the JSON that a program gets."""
    result = call(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def changed(*arguments: str) -> Any:
    return told(*arguments, *WHY)["override"]


def in_force() -> dict[tuple[str, str | None], str]:
    return {(each["route"], each["organization"]): each["mode"] for each in told()["in_force"]}


def in_store(secret_key: str, work: Callable[[Store], Awaitable[None]]) -> None:
    async def run() -> None:
        async with open_store(sqlite_in(), [secret_key]) as store:
            await work(store)

    asyncio.run(run())


def process_at(revision: int, number: int = 4711, age: timedelta = timedelta(0)) -> Any:
    """Writes a process's heartbeat."""

    async def work(store: Store) -> None:
        now = datetime.now(UTC) - age
        name = f"host:{number}"
        await store.processes.report(
            name, name, revision=revision, mappings_digest="", rejected=(), started_at=now, at=now
        )

    return work


def test_without_changes_each_route_is_shown_with_its_mappings_mode() -> None:
    state = told()
    assert (state["revision"], state["in_force"], len(state["mappings"])) == (0, [], 7)
    assert state["mappings"]["query"] == {"mode": "new", "canary_percent": 0.0}
    result = call()
    assert (result.exit_code, result.stdout.count("everyone")) == (0, 7)


def test_a_change_is_in_force_at_once_with_its_actor_its_reason_and_its_end() -> None:
    before = datetime.now(UTC)
    written = changed("query", "shadow", "--organization", "h1", "--until", "2h", "--actor", "berta")
    ends_in = datetime.fromisoformat(written["until"]) - before
    assert timedelta(hours=2) - timedelta(seconds=1) < ends_in < timedelta(hours=2, minutes=1)
    assert (written["revision"], written["actor"], written["reason"]) == (1, "berta", "evidence")
    assert told()["in_force"] == [written]


def test_for_people_a_change_is_a_sentence_and_what_is_in_force_a_table() -> None:
    why = ("--reason", "try [red]this[/red] :smile:")
    made = call("query", "canary", "--percent", "5", "--despite-evidence", *why)
    assert (made.exit_code, made.stdout) == (0, "query for everyone: canary 5 % (revision 1)\n")
    (line,) = [line for line in call().stdout.splitlines() if "\tquery\t" in line]
    assert line.split() == [
        "1",
        "query",
        "new",
        "everyone",
        "canary",
        "5",
        "%",
        "ana",
        "try",
        "[red]this[/red]",
        ":smile:",
    ]


def test_the_actor_is_by_default_the_user_of_the_machine() -> None:
    assert changed("query", "shadow")["actor"] == "ana"


def test_one_route_can_be_shown_alone() -> None:
    changed("query", "shadow")
    changed("doc", "off")
    state = told("doc")
    assert (list(state["mappings"]), [each["route"] for each in state["in_force"]]) == (["doc"], ["doc"])


def test_a_canary_without_a_percent_is_refused_where_no_other_says_one() -> None:
    result = call("query", "canary", *WHY)
    assert (result.exit_code, "canary needs --percent" in result.stderr) == (2, True)
    assert in_force() == {}


def test_a_canary_without_a_percent_of_its_own_has_its_mappings(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "mappings", tmp_path / "mappings")
    with (tmp_path / "mappings" / "query.toml").open("r+", encoding="utf-8") as file:
        text = file.read()
        file.seek(0)
        file.write(f"canary_percent = 7\n{text}")
    changed("query", "canary")
    assert "canary 7 %" in call("query").stdout


def test_a_canary_keeps_the_percent_that_it_has() -> None:
    changed("query", "canary", "--percent", "5", FORWARD)
    result = call("query", "canary", "--until", "2h", *WHY)
    assert "query for everyone: canary 5 % → canary 5 % until" in result.stdout


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (["shadow"], ["canary", "--percent", "1"]),
        (["canary", "--percent", "5"], ["canary", "--percent", "6"]),
        (["off"], ["new"]),
        (["legacy"], ["new", "--organization", "h1"]),
    ],
    ids=lambda value: " ".join(value),
)
def test_going_forward_needs_the_evidence_or_its_own_word(before: list[str], after: list[str]) -> None:
    changed("query", *before, *([FORWARD] if before[0] == "canary" else []))
    refused = call("query", *after, *WHY)
    assert (refused.exit_code, told()["revision"]) == (1, 1)
    assert "NO  Comparisons in the last 14 days: 0; 1,000 are needed." in refused.stderr
    assert "--despite-evidence" in refused.stderr
    forced = call("query", *after, *WHY, FORWARD)
    assert (forced.exit_code, " NO  " in forced.stderr, told()["revision"]) == (0, True, 2)


@pytest.mark.parametrize("mode", ["legacy", "shadow", "off", "canary"])
def test_what_takes_clients_back_never_asks_for_evidence(mode: str) -> None:
    changed("query", "new")
    more = ["--percent", "99"] if mode == "canary" else []
    assert (call("query", mode, *more, *WHY).stderr, told()["revision"]) == (place(), 2)


def test_without_a_legacy_server_there_is_nothing_to_compare_with(monkeypatch: pytest.MonkeyPatch) -> None:
    changed("query", "off")
    monkeypatch.delenv("MICHIQ_LEGACY_URL")
    assert call("query", "new", *WHY).exit_code == 0


def test_an_equal_change_is_unchanged_and_makes_no_revision() -> None:
    changed("query", "shadow")
    result = call("query", "shadow", *WHY)
    assert (result.exit_code, result.stdout) == (0, "query for everyone: unchanged, shadow (revision 1)\n")
    nothing_to_clear = call("doc", "--clear", *WHY)
    assert (nothing_to_clear.exit_code, "unchanged" in nothing_to_clear.stdout) == (0, True)
    assert (told("query", "shadow", *WHY)["unchanged"], told()["revision"]) == (True, 1)
    assert told("query", "shadow", *WHY, "--organization", "h1")["unchanged"] is False


def test_every_change_says_which_store_it_is_in() -> None:
    assert call("query", "shadow", *WHY).stderr == place()


def place() -> str:
    return f"store: {Path('var/michiq.db').absolute()}\n"


@pytest.mark.parametrize("text", ["2 h", "2h", "90 min", "365 d"])
def test_an_end_may_be_a_duration_from_now(text: str) -> None:
    assert datetime.fromisoformat(changed("query", "shadow", "--until", text)["until"]) > datetime.now(UTC)


def test_an_end_may_be_a_time_with_its_zone() -> None:
    soon = datetime.now(timezone(timedelta(hours=2))).replace(microsecond=0) + timedelta(days=1)
    assert datetime.fromisoformat(changed("query", "off", "--until", soon.isoformat())["until"]) == soon


def test_clearing_gives_the_route_back_to_its_mapping_and_an_organization_to_everyones() -> None:
    changed("query", "shadow")
    changed("query", "new", "--organization", "h1", FORWARD)
    assert "what everyone has" in call("query", "--clear", "--organization", "h1", *WHY).stdout
    assert in_force() == {("query", None): "shadow"}
    assert "its mapping" in call("query", "--clear", *WHY).stdout
    assert in_force() == {}


def test_a_rollback_restores_and_walks_back_until_nothing_is_left() -> None:
    changed("query", "shadow")
    changed("doc", "off")
    changed("query", "new", FORWARD)
    assert changed("--rollback", "doc")["undoes"] == 2
    assert in_force() == {("query", None): "new"}
    assert [changed("--rollback", "--newest")["undoes"] for _ in range(2)] == [3, 1]
    result = call("--rollback", "--newest", *WHY)
    assert (result.exit_code, "no change left to roll back" in result.stderr) == (1, True)
    of_route = call("--rollback", "doc", *WHY)
    assert (of_route.exit_code, "no change of doc left" in of_route.stderr) == (1, True)


def test_a_rollback_needs_no_good_mapping_files(tmp_path: Path) -> None:
    changed("query", "shadow")
    (tmp_path / "mappings").mkdir()
    assert (call().exit_code, call("query", "--rollback", *WHY).exit_code) == (1, 0)


@pytest.mark.parametrize("mode", ["legacy", "shadow", "off"])
def test_a_broken_mapping_file_does_not_stand_before_the_rescue(tmp_path: Path, mode: str) -> None:
    shutil.copytree(ROOT / "mappings", tmp_path / "mappings")
    (tmp_path / "mappings" / "query.toml").write_text("mode = off")
    for route in ("query", "doc"):
        assert call(route, mode, "--organization", "h1", *WHY).exit_code == 0
    assert call("query", "--clear", "--organization", "h1", *WHY).exit_code == 0
    assert call("query", "--history").exit_code == 0
    forward = call("doc", "new", "--organization", "h1", *WHY)
    assert (forward.exit_code, "query.toml:1" in forward.stderr) == (1, True)


def test_a_rollback_shows_what_was_and_what_is() -> None:
    changed("query", "shadow")
    changed("query", "off")
    result = call("query", "--rollback", *WHY)
    assert result.stdout == "query for everyone: off → shadow (revision 3, undoes 2)\n"


def test_a_rollback_without_a_route_undoes_nobodys_change() -> None:
    changed("query", "shadow")
    refused = call("--rollback", *WHY)
    assert (refused.exit_code, "--newest" in refused.stderr, told()["revision"]) == (2, True, 1)


def test_a_rollback_to_a_mode_without_its_server_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    changed("query", "shadow")
    changed("query", "new", FORWARD)
    monkeypatch.delenv("MICHIQ_LEGACY_URL")
    result = call("query", "--rollback", *WHY)
    assert (result.exit_code, "shadow needs MICHIQ_LEGACY_URL" in result.stderr) == (0, True)


def test_the_history_is_newest_first_and_can_be_cut() -> None:
    changed("query", "shadow")
    changed("doc", "off")
    changed("--rollback", "--newest")
    assert [each["revision"] for each in told("--history")] == [3, 2, 1]
    assert [each["revision"] for each in told("--history", "--limit", "1")] == [3]
    assert [each["revision"] for each in told("query", "--history")] == [1]
    lines = call("--history").stdout.splitlines()
    assert "undoes 2: evidence" in "".join(lines)


@pytest.mark.parametrize("mode", ["legacy", "shadow", "canary"])
def test_without_a_legacy_server_what_needs_one_is_refused(
    mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MICHIQ_LEGACY_URL")
    result = call("query", mode, *WHY)
    assert (result.exit_code, f"{mode} needs the legacy server" in result.stderr) == (1, True)
    assert call("query", "off", *WHY).exit_code == 0
    assert told()["revision"] == 1


def test_a_stale_revision_is_refused_and_says_who_changed_what_meanwhile() -> None:
    changed("query", "shadow", "--expect", "0")
    changed("doc", "off", "--actor", "berta")
    result = call("query", "new", *WHY, "--expect", "1")
    assert result.exit_code == 1
    assert "revision 1 is not the newest any more" in result.stderr
    assert "doc for everyone: off (revision 2), by berta" in result.stderr
    assert "query for everyone" not in result.stderr
    assert call("doc", "--rollback", *WHY, "--expect", "1").exit_code == 1
    ahead = call("query", "new", *WHY, "--expect", "9")
    assert (ahead.exit_code, "there is no revision 9 yet" in ahead.stderr) == (1, True)
    assert told()["revision"] == 2


def test_an_organization_that_no_file_names_is_taken_with_a_note() -> None:
    result = call("query", "shadow", "--organization", "Cli\u0301nica", *WHY)
    assert (result.exit_code, "does not name Clínica" in result.stderr) == (0, True)
    assert in_force() == {("query", "Clínica"): "shadow"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["qurey", "shadow", *WHY], "there is no route qurey; did you mean query?"),
        (["shadow"], "there is no route shadow"),
        (["--rollback", "qurey", *WHY], "did you mean query?"),
        (["--history", "qurey"], "did you mean query?"),
        (["query", "shaddow", *WHY], "there is no mode shaddow; did you mean shadow?"),
        (["query", "shadow"], "--reason is needed"),
        (["--rollback", "query"], "--reason is needed"),
        (["--rollback", *WHY], "--rollback takes the ROUTE of the change to undo, or else --newest"),
        (["--rollback", "query", "--newest", *WHY], "--rollback takes the ROUTE"),
        (["query", "new", "--newest", *WHY], "--newest does not go with a MODE"),
        (["query", FORWARD], "--despite-evidence does not go with showing"),
        (["query", "shadow", "--reason", " "], "the reason needs 1 to 300 printable characters"),
        (["query", "shadow", "--reason", "a\x1bb"], "the reason needs"),
        (["query", "shadow", *WHY, "--actor", ""], "the actor needs"),
        (["query", "shadow", *WHY, "--actor", "proxy"], "--actor"),
        (["query", "shadow", *WHY, "--organization", ""], "the organization needs"),
        (["query", "shadow", *WHY, "--percent", "5"], "goes only with the mode canary"),
        (["query", "canary", *WHY, "--percent", "101"], "from 0 to 100"),
        (["query", "canary", *WHY, "--percent", "nan"], "from 0 to 100"),
        (["query", "--clear", *WHY, "--percent", "5"], "goes only with the mode canary"),
        (["query", "shadow", *WHY, "--until", "tomorrow"], "--until takes a duration"),
        (["query", "shadow", *WHY, "--until", "2027-01-31T18:00:00"], "needs a time zone"),
        (["query", "shadow", *WHY, "--until", "2020-01-31T18:00:00Z"], "in the past"),
        (["query", "shadow", *WHY, "--until", "9999-12-31T23:59:59-23:00"], "more than 3650 days"),
        (["query", "shadow", "--clear", *WHY], "a MODE and --clear don't go together"),
        (["--rollback", "--history"], "--rollback and --history don't go together"),
        (["--clear", *WHY], "--clear needs a ROUTE"),
        (["query", *WHY], "--reason does not go with showing"),
        (["--rollback", "query", *WHY, "--until", "2h"], "--until does not go with --rollback"),
        (["query", "shadow", *WHY, "--limit", "5"], "--limit does not go with a MODE"),
        (["query", "shadow", *WHY, "--expect", "x"], "not a valid integer"),
        (["query", "shadow", *WHY, "--wait=soon"], "not a valid float"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_misuse_ends_with_2_says_what_is_wrong_and_changes_nothing(arguments: list[str], said: str) -> None:
    result = call(*arguments)
    assert (result.exit_code, said in result.stderr, result.stdout) == (2, True, ""), result.output
    assert told()["revision"] == 0


def test_a_wait_with_no_process_live_says_so_and_ends_with_1(secret_key: str) -> None:
    in_store(secret_key, process_at(0, age=timedelta(seconds=11)))
    result = call("query", "shadow", *WHY, "--wait")
    assert (result.exit_code, "no process is live" in result.stderr) == (1, True)
    assert in_force() == {("query", None): "shadow"}


def test_a_wait_ends_when_every_live_process_follows(secret_key: str) -> None:
    in_store(secret_key, process_at(1, 1))
    in_store(secret_key, process_at(1, 2))
    result = call("query", "shadow", "--wait", *WHY)
    assert (result.exit_code, "followed by host:1, host:2" in result.stdout) == (0, True)


def test_a_wait_that_is_over_names_who_is_behind_and_the_change_stands(secret_key: str) -> None:
    changed("query", "shadow")
    in_store(secret_key, process_at(1, 1))
    in_store(secret_key, process_at(9, 2))
    result = call("query", "new", *WHY, FORWARD, "--wait=0", "--json")
    assert (result.exit_code, "host:1 is at revision 1" in result.stderr) == (1, True)
    answer = json.loads(result.stdout)
    assert (answer["following"], answer["behind"]) == (["host:2"], [{"name": "host:1", "revision": 1}])
    assert in_force() == {("query", None): "new"}


def test_a_wait_goes_on_until_the_last_one_follows(secret_key: str) -> None:
    paused = 0

    async def work(store: Store) -> None:
        await process_at(41)(store)

        async def pause(seconds: float) -> None:
            nonlocal paused
            paused += 1
            if paused == 3:
                await process_at(42)(store)

        following = await wait_for(store.processes, 42, 15, pause=pause)
        assert ([each.name for each in following.following], following.behind) == (["host:4711"], ())

    in_store(secret_key, work)
    assert paused == 3


def test_a_process_that_died_is_waited_for_only_until_it_counts_as_dead(secret_key: str) -> None:
    now = datetime.now(UTC)

    async def work(store: Store) -> None:
        nonlocal now
        await process_at(41)(store)

        async def pause(seconds: float) -> None:
            nonlocal now
            now += timedelta(seconds=4)

        following = await wait_for(store.processes, 42, 15, clock=lambda: now, pause=pause)
        assert (following.following, following.behind) == ((), ())

    in_store(secret_key, work)
    assert now < datetime.now(UTC) + timedelta(seconds=15)


@pytest.mark.parametrize("arguments", [(), ("--history",), ("query", "shadow", *WHY)], ids=" ".join)
def test_in_a_wrong_folder_no_store_is_made_and_the_place_is_named(
    arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    result = call(*arguments)
    assert result.exit_code == 1
    assert f"there is no store at {tmp_path}/elsewhere/var/michiq.db" in result.stderr
    assert list((tmp_path / "elsewhere").iterdir()) == []
    there = CliRunner().invoke(main, ["-C", str(tmp_path), "mode", *arguments])
    assert there.exit_code == 0, there.output


def test_settings_come_from_the_env_file_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, secret_key: str
) -> None:
    monkeypatch.delenv("MICHIQ_SECRET_KEYS")
    assert call().exit_code == 2
    (tmp_path / ".env").write_text(f"MICHIQ_SECRET_KEYS={secret_key}\n")
    assert call().exit_code == 0


def test_keys_that_do_not_open_the_store_are_misuse(monkeypatch: pytest.MonkeyPatch) -> None:
    changed("query", "shadow")
    monkeypatch.setenv("MICHIQ_SECRET_KEYS", "A" * 43 + "=")
    result = call()
    assert (result.exit_code, "MICHIQ_SECRET_KEYS" in result.stderr) == (2, True)


def test_a_store_that_refuses_the_change_ends_with_1(tmp_path: Path) -> None:
    changed("query", "shadow")
    with closing(sqlite3.connect(tmp_path / "var" / "michiq.db")) as connection:
        connection.execute(
            "CREATE TRIGGER full BEFORE INSERT ON overrides BEGIN SELECT RAISE(ABORT, 'full'); END"
        )
        connection.commit()
    result = call("query", "off", *WHY)
    assert (result.exit_code, "the database refused it" in result.stderr) == (1, True)


def visited(secret_key: str, *names: str) -> None:
    """Adds a call of each organization to the ledger."""

    async def work(store: Store) -> None:
        now = datetime.now(UTC)
        hashes = {name: store.sealer.organization(name) for name in names}
        calls = [
            Visit("k", "u", name, digest, "okhttp/4.9", "query", "new", 200, now)
            for name, digest in hashes.items()
        ]
        await store.evidence.add(visits=calls, at=now)

    in_store(secret_key, work)


def foreseen(*arguments: str) -> tuple[int, Any]:
    """Returns the exit code and the JSON of a dry run."""
    result = call(*arguments, "--dry-run", "--json")
    return result.exit_code, json.loads(result.stdout)


def test_a_dry_run_says_who_would_move_and_changes_nothing(secret_key: str) -> None:
    visited(secret_key, "Norte", "Sur")
    changed("query", "canary", "--percent", "100", FORWARD)
    code, found = foreseen("set", "query", "legacy")
    assert (code, found["before"]["mode"], found["after"]["mode"], found["revision"]) == (
        0,
        "canary",
        "legacy",
        1,
    )
    assert [(each["name"], each["before"]["side"], each["after"]["side"]) for each in found["moves"]] == [
        ("Norte", "new", "legacy"),
        ("Sur", "new", "legacy"),
    ]
    assert (found["moving_an_hour"], found["risks"], found["refused"]) == (2.0, [], False)
    assert told()["revision"] == 1


def test_a_dry_run_is_for_people_a_table_with_the_rule(secret_key: str) -> None:
    visited(secret_key, "Norte")
    changed("query", "canary", "--percent", "100", FORWARD)
    shown = call("query", "legacy", "--dry-run").stdout
    assert "query for everyone: canary 100 % → legacy\ndry run on revision 1: nothing was changed\n" in shown
    assert "Norte\tnew\tlegacy\tmode (everyone)\t1.0\n" in shown
    assert "1 of 1 known organization would move, with 1.0 of 1.0 calls an hour" in shown


@pytest.mark.parametrize("arguments", [("clear", "query"), ("rollback", "query"), ("query", "--clear")])
def test_a_dry_run_of_going_back_shows_what_comes_back(secret_key: str, arguments: tuple[str, ...]) -> None:
    visited(secret_key, "Norte")
    changed("query", "off")
    code, found = foreseen(*arguments)
    modes = found["before"]["mode"], found["after"]["mode"]
    assert (code, modes, len(found["moves"])) == (0, ("off", "new"), 1)
    assert (found["risks"], found["forward"], found["refused"]) == (["new"], True, False)
    assert in_force() == {("query", None): "off"}


def test_a_dry_run_of_going_forward_ends_with_1_while_the_evidence_says_no() -> None:
    changed("query", "shadow")
    code, found = foreseen("query", "canary", "--percent", "30")
    assert (code, found["refused"], found["risks"]) == (1, True, ["canary-over-25"])
    assert any("Comparisons in the last" in each for each in found["against"])
    refused = call("query", "new", "--dry-run")
    assert (refused.exit_code, " NO " in refused.stdout) == (1, True)
    assert foreseen("query", "canary", "--percent", "30", FORWARD)[0] == 0


def test_a_dry_run_of_what_is_in_force_already_says_so() -> None:
    changed("query", "shadow")
    code, found = foreseen("query", "shadow")
    assert (code, found["unchanged"], found["moves"]) == (0, True, [])
    assert "It is in force already." in call("query", "shadow", "--dry-run").stdout


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("query", "off", "--expect", "9"), 1),
        (("rollback", "query"), 1),
        (("query", "canary", "--percent", "101"), 2),
        (("query", "--history"), 2),
    ],
)
def test_a_dry_run_is_refused_where_the_change_would_be(arguments: tuple[str, ...], code: int) -> None:
    assert call(*arguments, "--dry-run").exit_code == code


def test_a_dry_run_of_a_mode_that_needs_the_legacy_server_is_refused_without_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("MICHIQ_LEGACY_URL")
    result = call("query", "shadow", "--dry-run")
    assert (result.exit_code, "MICHIQ_LEGACY_URL is not set" in result.stderr) == (1, True)


def test_the_audit_says_that_a_change_came_from_the_command(secret_key: str) -> None:
    changed("query", "shadow")
    changed("rollback", "query")
    found: list[str] = []

    async def work(store: Store) -> None:
        found.extend(json.loads(event.detail)["via"] for _, event in await store.audit.newest(2))

    in_store(secret_key, work)
    assert found == ["cli", "cli"]
