"""The help texts, whole, with an example and the environment of each command; `settings`, `completion`."""

import json
import re
from itertools import takewhile
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from proxy.cli import main
from proxy.cli.help_texts import ENVIRONMENT, EXAMPLES, SUMMARIES
from proxy.cli.shared.schemas import MODELS
from proxy.environment import PREFIX
from proxy.flows.registry import SPECS
from proxy.settings import Settings

from .filled import Site, site

COMMANDS = main.list_commands(click.Context(main))
SECRET = "a-secret-that-nobody-may-see"


def help_of(*command: str) -> str:
    result = CliRunner().invoke(main, [*command, "--help"], terminal_width=80)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture
def here(tmp_path: Path, secret_key: str, monkeypatch: pytest.MonkeyPatch) -> Site:
    return site(tmp_path, secret_key, monkeypatch)


@pytest.mark.parametrize("command", COMMANDS)
def test_each_summary_is_the_first_sentence_of_its_commands_help(command: str) -> None:
    found = main.get_command(click.Context(main), command)
    assert found is not None
    assert SUMMARIES[command] == " ".join((found.help or "").split("\n\n")[0].split())


def test_no_summary_of_a_command_is_cut() -> None:
    shown = help_of()
    assert "..." not in shown.split("Commands:")[1]
    assert [name for name in COMMANDS if not re.search(rf"(?m)^  {name} ", shown)] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_an_example_and_its_environment(command: str) -> None:
    shown = help_of(command)
    assert f"  {EXAMPLES[command][0]}" in shown
    assert "Environment (or .env): " in shown


def test_the_routes_and_files_that_can_be_chosen_are_those_that_there_are() -> None:
    chosen = {name: _choices(name, option) for name, option in (("clients", "route"), ("check", "schema"))}
    assert chosen == {"clients": [spec.name for spec in SPECS], "check": sorted(MODELS)}


def _choices(command: str, option: str) -> list[str]:
    found = main.get_command(click.Context(main), command)
    assert found
    [parameter] = [each for each in found.params if each.name == option]
    assert isinstance(parameter.type, click.Choice)
    return [*parameter.type.choices]


@pytest.mark.parametrize("command", COMMANDS)
def test_each_example_names_options_that_there_are(command: str) -> None:
    for example in EXAMPLES[command]:
        arguments = takewhile(
            lambda word: not word.startswith("-"), example.partition(f" {command}")[2].split()
        )
        shown = help_of(command, *arguments).split("Examples:")[0]
        options = re.findall(r"(?<= )--[a-z-]+", example)
        assert [each for each in options if each not in shown] == []


def test_each_setting_in_an_environment_is_one() -> None:
    named = {each for names in ENVIRONMENT.values() for each in names if re.fullmatch("MICHIQ_[A-Z_]+", each)}
    assert {each.removeprefix(PREFIX).lower() for each in named} - {*Settings.model_fields} == set()


def test_settings_are_shown_as_they_are_in_force_and_secrets_only_as_set(
    here: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MICHIQ_ADMIN_TOKENS", f"eva:{SECRET}")
    monkeypatch.setenv("MICHIQ_WEBHOOK_SECRETS", f"{SECRET},{SECRET}2")
    (here.folder / ".env").write_text("MICHIQ_AUDIO_DAYS=7\n")
    result = here.call("settings", "--json")
    told = json.loads(result.stdout)
    assert told["MICHIQ_AUDIO_DAYS"] == {"value": "7", "from": "set"}
    assert told["MICHIQ_CONTENT_DAYS"] == {"value": "90", "from": "default"}
    assert told["MICHIQ_ADMIN_TOKENS"]["value"] == "eva:set"
    assert told["MICHIQ_WEBHOOK_SECRETS"]["value"] == "set,set"
    assert told["MICHIQ_TESTER_SECRET"]["value"] == "unset"
    assert told.keys() == {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    shown = result.stdout + here.call("settings").stdout
    assert [each for each in (SECRET, here.key) if each in shown] == []
    assert "MICHIQ_AUDIO_DAYS\t7\tset" in shown


def test_settings_show_where_the_database_is_and_never_its_password(
    here: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MICHIQ_DATABASE_URL", f"postgresql://ana:{SECRET}@db.example.com:5433/michiq")
    told = json.loads(here.call("settings", "--json").stdout)
    assert told["MICHIQ_DATABASE_URL"] == {
        "value": "postgresql://ana@db.example.com:5433/michiq",
        "from": "set",
    }


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_printed_for_each_shell(shell: str) -> None:
    result = CliRunner().invoke(main, ["completion", shell])
    assert (result.exit_code, "_MICHIQ_PROXY_COMPLETE" in result.stdout) == (0, True), result.output


def test_completion_without_a_shell_that_is_known_says_which_there_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SHELL", "/bin/false")
    result = CliRunner().invoke(main, ["completion"])
    assert (result.exit_code, "bash, zsh, fish" in result.output) == (2, True)


def test_what_completes_in_bash_are_the_commands() -> None:
    result = CliRunner().invoke(
        main,
        [],
        prog_name="michiq-proxy",
        env={
            "_MICHIQ_PROXY_COMPLETE": "bash_complete",
            "COMP_WORDS": "michiq-proxy he",
            "COMP_CWORD": "1",
        },
    )
    assert "healthcheck" in result.stdout
