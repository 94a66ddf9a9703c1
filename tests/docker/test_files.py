"""The image and the compose file, by the rules of their own tools."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest
from ruamel.yaml import YAML

from proxy.cli.sandbox.command import sandbox
from proxy.settings import load_settings

ROOT: Final = Path(__file__).parents[2]
DOCKERFILE: Final = ROOT / "docker/Dockerfile"
COMPOSE: Final = ROOT / "docker/compose.yaml"
SCALE: Final = ROOT / "docker/compose.scale.yaml"


@pytest.fixture
def services() -> dict[str, dict[str, Any]]:
    services: dict[str, dict[str, Any]] = YAML(typ="safe").load(COMPOSE)["services"]
    return services


@pytest.mark.parametrize(
    "command",
    [
        ["hadolint", str(DOCKERFILE)],
        ["check-jsonschema", "--builtin-schema", "vendor.compose-spec", str(COMPOSE), str(SCALE)],
    ],
    ids=["hadolint", "compose-spec"],
)
def test_the_file_is_accepted_by_its_linter(command: list[str]) -> None:
    program = Path(sys.executable).parent / command[0]
    ran = subprocess.run([program, *command[1:]], capture_output=True, text=True, check=False, timeout=60)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_the_image_runs_as_a_number_and_installs_only_what_is_locked() -> None:
    last_stage = DOCKERFILE.read_text().split("\nFROM ")[-1]
    assert re.search(r"^USER [1-9]\d*:[1-9]\d*$", last_stage, re.MULTILINE)
    assert (
        'HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["michiq-proxy", "healthcheck"]'
        in (last_stage)
    )
    installs = re.findall(
        r"pip --python \S+ install (.*?)(?: \\| &&|$)", DOCKERFILE.read_text(), re.MULTILINE
    )
    assert len(installs) == 3
    assert all("--require-hashes" in install or "--no-index" in install for install in installs)


def test_everything_copied_into_the_image_passes_the_dockerignore() -> None:
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {
        name
        for line in re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE.read_text(), re.MULTILINE)
        for name in line.split()
    }
    assert copied == allowed


@pytest.mark.parametrize("path", [COMPOSE, SCALE], ids=lambda path: path.name)
def test_every_service_is_read_only_and_without_capabilities(path: Path) -> None:
    for service in YAML(typ="safe").load(path)["services"].values():
        assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
        assert any(mount.startswith("/tmp:") for mount in service["tmpfs"])


def test_only_nginx_can_be_reached_and_only_from_this_machine(services: dict[str, dict[str, Any]]) -> None:
    assert {name: service.get("ports") for name, service in services.items()} == {
        "nginx": ["127.0.0.1:8080:8080"],
        "proxy": None,
        "sandbox": None,
    }


def test_the_proxys_settings_in_compose_are_settings_that_it_accepts(
    services: dict[str, dict[str, Any]],
) -> None:
    """With the defaults of the file, and a key made by the command that it names."""
    given: dict[str, str] = services["proxy"]["environment"]
    required = re.fullmatch(
        r"\$\{MICHIQ_SECRET_KEYS:\?set it to the output of (.+)\}", given["MICHIQ_SECRET_KEYS"]
    )
    assert required
    made = subprocess.run(required[1], shell=True, capture_output=True, text=True, check=True, timeout=30)
    defaults = {name: re.sub(r"^\$\{\w+:-(.+)\}$", r"\1", value) for name, value in given.items()}
    image = re.findall(r"(MICHIQ_\w+)=(\S+)", DOCKERFILE.read_text())
    settings = load_settings({**dict(image), **defaults, "MICHIQ_SECRET_KEYS": made.stdout}, None)
    assert settings.database_url.get_secret_value() == "sqlite:////data/michiq.db"
    assert settings.llamachat_url == "http://127.0.0.1:8082"


def test_the_sandbox_in_compose_is_started_as_its_command_allows(services: dict[str, dict[str, Any]]) -> None:
    """And on the ports that the proxy beside it calls by default."""
    name, *options = services["sandbox"]["command"]
    chosen = sandbox.make_context(name, options).params
    assert chosen["ports"][:2] == (8081, 8082)
    assert chosen["webhook_url"] == "http://127.0.0.1:8080/webhooks/llamalitica"
