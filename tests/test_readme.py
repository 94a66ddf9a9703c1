"""README and docs/ show what the program does, and their links lead somewhere."""

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

PAGES: Final = (
    "README.md",
    "SECURITY.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")),
)
SETTINGS: Final = (ROOT / "docs" / "settings.md").read_text("utf-8")


def test_the_settings_table_is_the_one_that_the_code_makes() -> None:
    shown = re.search(r"<!-- settings: .*? -->\n(.*)<!-- /settings -->", SETTINGS, re.DOTALL)
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
    shown = re.search(r"```toml\n# mappings/new_case.toml, in part\n(.*?)```", SETTINGS, re.DOTALL)
    assert shown
    default = tomllib.loads((ROOT / "mappings" / "new_case.toml").read_text("utf-8"))
    assert NewCase.model_validate(_merged(default, tomllib.loads(shown[1]))).provision == "known"


def test_the_readme_is_for_five_minutes() -> None:
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= 110


@pytest.mark.parametrize("page", PAGES)
def test_each_link_leads_to_a_file_and_a_heading_that_are_there(page: str) -> None:
    text = re.sub(r"```.*?```", "", (ROOT / page).read_text("utf-8"), flags=re.DOTALL)
    missing = []
    for link in re.findall(r"\]\((?!https?:)([^)\s]+)\)", text):
        name, _, anchor = link.partition("#")
        target = (ROOT / page).parent / name if name else ROOT / page
        if not target.exists() or (anchor and anchor not in _anchors(target.read_text("utf-8"))):
            missing.append(link)
    assert missing == []


@pytest.mark.parametrize("page", PAGES)
def test_each_path_of_the_project_that_is_named_is_there(page: str) -> None:
    text = (ROOT / page).read_text("utf-8")
    named = re.findall(r"`((?:proxy|tests|docs|docker|examples|contracts|mappings)/[\w./-]*)`", text)
    assert [each for each in named if not (ROOT / each).exists()] == []


def _anchors(page: str) -> set[str]:
    """Returns the anchors that GitHub gives to a page's headings."""
    headings = re.findall(r"(?m)^#+ (.+)$", re.sub(r"```.*?```", "", page, flags=re.DOTALL))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _shown(command: str) -> str:
    """Returns what docs/settings.md shows below a command."""
    shown = re.search(rf"```console\n\$ {re.escape(command)}\n(.*?)```", SETTINGS, re.DOTALL)
    assert shown, command
    return shown[1]


def _lines(text: str) -> list[str]:
    """Returns the lines without the spaces between columns: a terminal has them, a pipe has tabs."""
    return [" ".join(line.split()) for line in text.strip("\n").splitlines()]


def _merged(under: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    both = {key: _merged(under[key], over[key]) for key in under.keys() & over if isinstance(over[key], dict)}
    return {**under, **over, **both}
