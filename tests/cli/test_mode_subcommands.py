"""`mode show|set|clear|rollback|history`: what each does and refuses, and that both spellings agree."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from proxy.cli import main

from .filled import Site, site

WHY = ("--reason", "evidence")


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, secret_key: str, monkeypatch: pytest.MonkeyPatch) -> Site:
    """Returns a folder with a store, a legacy server configured, and nothing in force."""
    here = site(tmp_path, secret_key, monkeypatch)
    monkeypatch.setenv("MICHIQ_LEGACY_URL", "http://127.0.0.1:1")
    here.fill(lambda store: store.overrides.load())
    return here


def call(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["mode", *arguments])


def told(*arguments: str) -> Any:
    """Returns the JSON that a program gets."""
    result = call(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def in_force() -> dict[tuple[str, str | None], str]:
    return {(each["route"], each["organization"]): each["mode"] for each in told("show")["in_force"]}


def test_show_shows_every_route_or_one() -> None:
    call("set", "query", "shadow", *WHY)
    assert (len(told("show")["mappings"]), [*told("show", "query")["mappings"]]) == (7, ["query"])
    assert call("show", "query").stdout == call("query").stdout


def test_set_changes_the_mode_for_everyone_or_for_an_organization() -> None:
    made = told("set", "query", "shadow", *WHY, "--actor", "berta", "--expect", "0")["override"]
    assert (made["revision"], made["actor"], made["reason"]) == (1, "berta", "evidence")
    share = ("--percent", "5", "--until", "2h", "--despite-evidence")
    assert call("set", "query", "canary", "--organization", "h1", *share, *WHY).exit_code == 0
    assert in_force() == {("query", None): "shadow", ("query", "h1"): "canary"}


def test_set_forward_asks_for_evidence() -> None:
    call("set", "query", "shadow", *WHY)
    refused = call("set", "query", "new", *WHY)
    assert (refused.exit_code, "--despite-evidence" in refused.stderr) == (1, True)
    assert in_force() == {("query", None): "shadow"}


def test_clear_removes_the_override_of_an_organization_or_of_everyone() -> None:
    call("set", "query", "shadow", *WHY)
    call("set", "query", "off", "--organization", "h1", *WHY)
    assert "what everyone has" in call("clear", "query", "--organization", "h1", *WHY).stdout
    assert in_force() == {("query", None): "shadow"}
    assert "its mapping" in call("clear", "query", *WHY).stdout
    assert in_force() == {}


def test_rollback_undoes_the_newest_change_of_a_route_or_of_any() -> None:
    call("set", "query", "shadow", *WHY)
    call("set", "doc", "off", *WHY)
    assert told("rollback", "query", *WHY)["override"]["undoes"] == 1
    assert told("rollback", "--newest", *WHY)["override"]["undoes"] == 2
    assert in_force() == {}


def test_history_lists_the_changes_newest_first() -> None:
    call("set", "query", "shadow", *WHY)
    call("set", "doc", "off", *WHY)
    assert [each["revision"] for each in told("history")] == [2, 1]
    assert [each["revision"] for each in told("history", "--limit", "1")] == [2]
    assert [each["revision"] for each in told("history", "query")] == [1]


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        (("--history",), ("history",)),
        (("query", "--history", "--limit", "1"), ("history", "query", "--limit", "1")),
        (("doc", "shadow"), ("set", "doc", "shadow")),
        (("doc", "shaddow", *WHY), ("set", "doc", "shaddow", *WHY)),
        (("query", "--clear"), ("clear", "query")),
        (("qurey", "--rollback", *WHY), ("rollback", "qurey", *WHY)),
    ],
    ids=lambda value: " ".join(value),
)
def test_both_spellings_print_and_refuse_the_same(older: tuple[str, ...], newer: tuple[str, ...]) -> None:
    call("set", "query", "shadow", *WHY)
    first, second = call(*older), call(*newer)
    assert (first.exit_code, first.output) == (second.exit_code, second.output)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["show", "qurey"], "there is no route qurey; did you mean query?"),
        (["show", "query", *WHY], "No such option '--reason'"),
        (["set", *WHY], "Missing argument 'ROUTE'"),
        (["set", "query", *WHY], "Missing argument 'MODE'"),
        (["set", "query", "shadow"], "--reason is needed"),
        (["set", "query", "shaddow", *WHY], "there is no mode shaddow; did you mean shadow?"),
        (["set", "query", "shadow", "--percent", "5", *WHY], "goes only with the mode canary"),
        (["set", "query", "shadow", "--limit", "5", *WHY], "No such option '--limit'"),
        (["set", "query", "shadow", "--expect", "x", *WHY], "not a valid integer"),
        (["clear", *WHY], "Missing argument 'ROUTE'"),
        (["clear", "query"], "--reason is needed"),
        (["clear", "query", "--until", "2h", *WHY], "No such option '--until'"),
        (["rollback", *WHY], "rollback takes the ROUTE of the change to undo, or else --newest"),
        (["rollback", "query", "--newest", *WHY], "rollback takes the ROUTE"),
        (["rollback", "query"], "--reason is needed"),
        (["rollback", "query", "shadow", *WHY], "unexpected extra argument"),
        (["history", "qurey"], "did you mean query?"),
        (["history", "--limit", "0"], "not in the range"),
        (["rolback", "query", *WHY], "there is no route rolback"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_misuse_ends_with_2_says_what_is_wrong_and_changes_nothing(arguments: list[str], said: str) -> None:
    result = call(*arguments)
    assert (result.exit_code, said in result.stderr, result.stdout) == (2, True, ""), result.output
    assert told("show")["revision"] == 0


def test_a_shell_completes_the_subcommands() -> None:
    result = CliRunner().invoke(
        main,
        [],
        prog_name="michiq-proxy",
        env={
            "_MICHIQ_PROXY_COMPLETE": "bash_complete",
            "COMP_WORDS": "michiq-proxy mode ro",
            "COMP_CWORD": "2",
        },
    )
    assert result.stdout == "plain,rollback\n"
