"""The commands as a person or a program calls them: what they print, and how they end."""

import json
import os
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from proxy.cli import main
from tests.conftest import ROOT


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("MICHIQ_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def call(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def test_check_says_that_the_built_in_mappings_are_good() -> None:
    result = call("check")
    assert (result.exit_code, "7 routes, all good" in result.output) == (0, True)


def test_check_for_programs_gives_file_line_key_and_reason_of_each_complaint(tmp_path: Path) -> None:
    folder = _mappings(tmp_path, "doc.toml", 'username = "case.user"', 'username = "case.usr"')
    result = call("check", str(folder), "--json")
    assert result.exit_code == 1
    complaints = json.loads(result.output)["complaints"]
    assert [(each["file"], each["key"]) for each in complaints] == [
        ("doc.toml", "answer.document.username"),
        ("doc.toml", "answer.metadata.username"),
    ]
    lines = (folder / "doc.toml").read_text("utf-8").splitlines()
    assert ["case.usr" in lines[each["line"] - 1] for each in complaints] == [True, True]
    assert all("case.usr" in each["reason"] for each in complaints)


def test_check_prints_the_json_schema_of_each_file() -> None:
    for name in ("new_case", "organizations"):
        assert json.loads(call("check", "--schema", name).output)["type"] == "object"


def test_routes_for_programs_lists_every_route_with_its_mode() -> None:
    rows = json.loads(call("routes", "--json").output)
    assert {row["path"]: row["mode"] for row in rows} == {
        "/michiQ/newCase": "new",
        "/michiQ/doc/{id}": "new",
        "/michiQ/encounters": "new",
        "/michiQ/query/{id}": "new",
        "/michiQ/uploadAudio/{id}": "new",
        "/michiQ/speechToText/{id}": "new",
        "/app/encounter/{id}": "new",
    }


def test_init_lays_out_a_folder_that_check_accepts_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert call("init", "site").exit_code == 0
    monkeypatch.chdir(tmp_path / "site")
    result = call("check")
    assert (result.exit_code, result.stdout) == (0, "mappings: 7 routes, no errors\n")
    assert result.stderr.splitlines() == [
        "warning: MICHIQ_LLAMACHAT_URL is not set: the new side can't answer query and speech_to_text",
        "warning: MICHIQ_WEBHOOK_SECRETS is not set: no report reaches doc and encounters",
    ]


def test_init_keeps_the_new_key_to_its_owner(tmp_path: Path) -> None:
    call("init", "site")
    assert (tmp_path / "site" / ".env").stat().st_mode & 0o777 == 0o600


def test_init_overwrites_nothing(tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / ".env").write_text("MICHIQ_LISTEN=127.0.0.1:1\n")
    result = call("init", "site")
    assert result.exit_code == 1
    assert [path.name for path in (tmp_path / "site").iterdir()] == [".env"]


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({"MICHIQ_SECRET_KEYS": ""}, "MICHIQ_SECRET_KEYS is required"),
        ({"MICHIQ_LISTNE": "x"}, "MICHIQ_LISTNE is not a setting; the nearest one is MICHIQ_LISTEN"),
        ({"MICHIQ_LISTEN": "8080"}, "MICHIQ_LISTEN needs host:port"),
        ({"MICHIQ_LLAMALITICA_WEB_URL": "https://private.llamalitica.com"}, "are no pair"),
        ({"MICHIQ_LLAMACHAT_URL": "http://chat.example"}, "MICHIQ_LLAMACHAT_URL needs https"),
    ],
)
def test_serve_names_a_wrong_setting_and_its_mend_and_ends_with_2(
    environ: dict[str, str], named: str, secret_key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"MICHIQ_SECRET_KEYS": secret_key, **environ}.items():
        monkeypatch.setenv(name, value)
    result = call("serve")
    assert (result.exit_code, "Traceback" in result.output) == (2, False)
    assert named in result.output


def test_serve_refuses_a_mapping_folder_with_a_mistake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, secret_key: str
) -> None:
    folder = _mappings(tmp_path, "query.toml", 'mode = "new"', "mode = off")
    monkeypatch.setenv("MICHIQ_SECRET_KEYS", secret_key)
    monkeypatch.setenv("MICHIQ_MAPPINGS", str(folder))
    result = call("serve")
    assert (result.exit_code, "query.toml:5: not TOML" in result.output) == (1, True)


def test_serve_with_keys_that_do_not_open_the_store_says_so_and_ends_with_2(
    monkeypatch: pytest.MonkeyPatch, secret_key: str
) -> None:
    other = "A" * 43 + "="
    monkeypatch.setenv("MICHIQ_LISTEN", "127.0.0.1:0")
    monkeypatch.setenv("MICHIQ_ADMIN_LISTEN", "256.0.0.1:0")
    monkeypatch.setenv("MICHIQ_SECRET_KEYS", secret_key)
    assert call("serve").exit_code == 1  # the address can't be listened on; the store was made
    monkeypatch.setenv("MICHIQ_SECRET_KEYS", other)
    result = call("serve")
    assert (result.exit_code, "MICHIQ_SECRET_KEYS" in result.output) == (2, True)


def test_healthcheck_without_a_proxy_fails(monkeypatch: pytest.MonkeyPatch, secret_key: str) -> None:
    monkeypatch.setenv("MICHIQ_SECRET_KEYS", secret_key)
    monkeypatch.setenv("MICHIQ_ADMIN_LISTEN", "127.0.0.1:1")
    result = call("healthcheck")
    assert (result.exit_code, "no answer on 127.0.0.1:1" in result.output) == (1, True)


@pytest.mark.parametrize(
    "arguments", [["serve", "--no-such-option"], ["no-such-command"], ["check", "/no/such/folder"]]
)
def test_misuse_ends_with_2(arguments: list[str]) -> None:
    assert call(*arguments).exit_code == 2


def _mappings(tmp_path: Path, file: str, old: str, new: str) -> Path:
    """Returns the default mappings with a mistake in one file."""
    folder = tmp_path / "wrong"
    shutil.copytree(ROOT / "mappings", folder)
    text = (folder / file).read_text("utf-8")
    assert old in text
    (folder / file).write_text(text.replace(old, new), "utf-8")
    return folder
