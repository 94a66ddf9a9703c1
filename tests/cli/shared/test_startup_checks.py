"""The settings that the proxy refuses or warns of at start, and SECURITY.md's claims about this code."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import click
import pytest

from proxy.cli import main
from proxy.cli.shared.startup_checks import warn_of, warn_of_missing
from proxy.settings import Settings, load_settings
from tests.captured import captured_log
from tests.conftest import ROOT, edited_table

SECURITY: Final = (ROOT / "SECURITY.md").read_text("utf-8")


@pytest.mark.parametrize(
    ("command", "options", "environ", "said"),
    [
        ("serve", ["-O"], {}, "python -O"),
        ("serve", [], {"PYTHONOPTIMIZE": "1"}, "python -O"),
        ("serve", [], {"AIOHTTP_NO_EXTENSIONS": "1"}, "aiohttp runs without its C parser"),
        ("demo", ["-O"], {}, "python -O"),
    ],
    ids=["python -O", "PYTHONOPTIMIZE", "AIOHTTP_NO_EXTENSIONS", "demo"],
)
def test_a_python_that_takes_checks_away_is_refused_in_a_sentence(
    tmp_path: Path, secret_key: str, command: str, options: list[str], environ: dict[str, str], said: str
) -> None:
    """Uses settings that would serve, so that nothing else is wrong."""
    settings = {"MICHIQ_SECRET_KEYS": secret_key, "MICHIQ_LISTEN": "127.0.0.1:0"}
    ran = _ran(tmp_path, [*options, "-m", "proxy", command], {**settings, **environ})
    assert (ran.returncode, ran.stdout) == (2, "")
    assert said in ran.stderr
    assert "Traceback" not in ran.stderr
    assert list(tmp_path.iterdir()) == []


def _ran(folder: Path, arguments: list[str], environ: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MICHIQ_")}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**inherited, "PYTHONPATH": str(ROOT), **environ},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize(
    ("address", "warned"),
    [
        ("127.0.0.1:9090", False),
        ("127.8.9.1:9090", False),
        ("[::1]:9090", False),
        ("localhost:9090", False),
        ("0.0.0.0:9090", True),
        ("[::]:9090", True),
        ("10.1.2.3:9090", True),
        ("proxy.example:9090", True),
    ],
)
def test_an_admin_address_beyond_this_machine_is_warned_of(
    secret_key: str, address: str, warned: bool
) -> None:
    settings = load_settings({"MICHIQ_SECRET_KEYS": secret_key, "MICHIQ_ADMIN_LISTEN": address}, None)
    with captured_log() as log:
        warn_of(settings)
    assert ('"admin_listens_beyond_this_machine"' in log.getvalue()) == warned


@pytest.mark.parametrize(
    ("mode", "warned"), [(0o600, False), (0o400, False), (0o640, True), (0o604, True), (0o644, True)]
)
def test_settings_that_others_can_read_are_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, secret_key: str, mode: int, warned: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text(f"MICHIQ_SECRET_KEYS={secret_key}\n")
    (tmp_path / ".env").chmod(mode)
    with captured_log() as log:
        warn_of(load_settings({}, tmp_path / ".env"))
    assert ('"env_file_readable_by_others"' in log.getvalue()) == warned
    assert (f'"{mode:04o}"' in log.getvalue()) == warned


def test_settings_that_stand_in_no_file_are_not_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, secret_key: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with captured_log() as log:
        warn_of(load_settings({"MICHIQ_SECRET_KEYS": secret_key}, tmp_path / ".env"))
    assert log.getvalue() == ""


@pytest.mark.parametrize(
    ("url", "warned"),
    [("http://10.0.0.1:8080", True), ("http://127.0.0.1:8080", False), ("https://10.0.0.1", False)],
)
def test_an_old_server_that_is_called_in_plain_http_is_warned_of(
    secret_key: str, url: str, warned: bool
) -> None:
    environ = {"MICHIQ_LEGACY_URL": url, "MICHIQ_LEGACY_INSECURE": "yes"}
    settings = load_settings({"MICHIQ_SECRET_KEYS": secret_key, **environ}, None)
    with captured_log() as log:
        warn_of(settings)
    assert ('"legacy_server_without_tls"' in log.getvalue()) == warned


def test_a_missing_llamachat_is_said_at_the_start_with_the_routes_that_will_fail(
    secret_key: str, tmp_path: Path
) -> None:
    settings = load_settings({"MICHIQ_SECRET_KEYS": secret_key}, None)
    off = lambda text: text.replace('mode = "new"', 'mode = "off"')  # noqa: E731
    with captured_log() as log:
        warn_of_missing(settings, edited_table(tmp_path, {"query": off}))
    line = json.loads(log.getvalue())
    assert (line["event"], line["routes"]) == ("llamachat_missing", ["speech_to_text"])


def test_the_threat_model_names_tests_settings_and_commands_that_there_are() -> None:
    tests = {*re.findall(r"`(tests/[^`]+)`", SECURITY)}
    assert [name for name in tests if not (ROOT / name).is_file()] == []
    names = {name.removeprefix("MICHIQ_").lower() for name in re.findall(r"MICHIQ_[A-Z_]+[A-Z]", SECURITY)}
    assert names - {*Settings.model_fields} == set()
    commands = {*re.findall(r"`michiq-proxy ([a-z-]+)", SECURITY)}
    assert commands - {*main.list_commands(click.Context(main))} == set()
    assert all((tests, names, commands))


def test_every_threat_has_a_test() -> None:
    rows = [line.split("|") for line in SECURITY.splitlines() if line.startswith("| ") and "---" not in line]
    threats = [row for row in rows if row[1].strip() != "threat"]
    assert len(threats) > 20
    assert [row[1] for row in threats if "`tests/" not in row[3]] == []
