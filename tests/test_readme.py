"""The README shows what the program does."""

import re
import shutil
import tomllib
from pathlib import Path
from typing import Any, Final

import pytest
from click.testing import CliRunner

from proxy.cli import main
from proxy.mapping.models import NewCase
from proxy.settings import settings_table
from tests.conftest import ROOT

README: Final = (ROOT / "README.md").read_text("utf-8")


def test_the_settings_table_is_the_one_that_the_code_makes() -> None:
    shown = re.search(r"<!-- settings: .*? -->\n(.*)<!-- /settings -->", README, re.DOTALL)
    assert shown
    assert shown[1] == settings_table()


def test_the_routes_are_listed_as_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.chdir(ROOT)
    assert _lines(CliRunner().invoke(main, ["routes"]).output) == _lines(_shown("michiq-proxy routes"))


def test_a_mistake_is_complained_of_as_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(ROOT / "mappings", tmp_path / "mappings")
    query = tmp_path / "mappings" / "query.toml"
    query.write_text(query.read_text("utf-8").replace('mode = "new"', 'mode = "nwe"'), "utf-8")
    monkeypatch.chdir(tmp_path)
    assert _lines(CliRunner().invoke(main, ["check"]).output) == _lines(_shown("michiq-proxy check"))


def test_the_mapping_example_is_accepted_in_the_place_of_the_default_values() -> None:
    shown = re.search(r"```toml\n# mappings/new_case.toml, in part\n(.*?)```", README, re.DOTALL)
    assert shown
    default = tomllib.loads((ROOT / "mappings" / "new_case.toml").read_text("utf-8"))
    assert NewCase.model_validate(_merged(default, tomllib.loads(shown[1]))).provision == "known"


def _shown(command: str) -> str:
    """Returns the output that the README shows below a command."""
    shown = re.search(rf"```console\n\$ {re.escape(command)}\n(.*?)```", README, re.DOTALL)
    assert shown, command
    return shown[1]


def _lines(text: str) -> list[str]:
    """Returns the lines without the spaces between columns: a terminal has them, a pipe has tabs."""
    return [" ".join(line.split()) for line in text.strip("\n").splitlines()]


def _merged(under: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    both = {key: _merged(under[key], over[key]) for key in under.keys() & over if isinstance(over[key], dict)}
    return {**under, **over, **both}
