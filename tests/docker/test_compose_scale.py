"""docker/compose.scale.yaml: three replicas on PostgreSQL and S3, with the secrets that its script makes."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest
from click import Context
from dotenv import dotenv_values
from ruamel.yaml import YAML

from proxy.cli import main
from proxy.settings import load_settings
from tests.conftest import ROOT
from tests.docker.tools import tool

COMPOSE: Final = ROOT / "docker/compose.scale.yaml"
REPLICAS: Final = ("proxy", "proxy-2", "proxy-3")


@pytest.fixture(scope="module")
def services() -> dict[str, dict[str, Any]]:
    services: dict[str, dict[str, Any]] = YAML(typ="safe").load(COMPOSE)["services"]
    return services


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tool("openssl")
    folder = tmp_path_factory.mktemp("compose") / "secrets"
    subprocess.run([ROOT / "docker/scale-secrets.sh", folder], check=True, timeout=60)
    return folder


def filled(values: dict[str, str], secrets: Path) -> dict[str, str]:
    """Returns an environment as compose fills it in: `${NAME:?…}` must be in the env file."""
    given = dotenv_values(secrets / "env")

    def value(match: re.Match[str]) -> str:
        found = given.get(match[1])
        assert found or match[2] == ":-", match[1]
        return found or match[3]

    return {name: re.sub(r"\$\{(\w+)(:[-?])(.*?)\}", value, text) for name, text in values.items()}


def test_only_nginx_can_be_reached_and_only_from_this_machine(services: dict[str, dict[str, Any]]) -> None:
    assert {name: service["ports"] for name, service in services.items() if "ports" in service} == {
        "nginx": ["127.0.0.1:8080:8080"]
    }


def test_every_service_that_goes_on_has_a_health_check(services: dict[str, dict[str, Any]]) -> None:
    """The image brings the proxy's own."""
    without = {name for name, service in services.items() if "test" not in service.get("healthcheck", {})}
    assert without == {*REPLICAS, "migrate"}


def test_nginx_knows_every_replica_by_its_service(services: dict[str, dict[str, Any]]) -> None:
    configured = [(ROOT / "docker" / name).read_text() for name in ("nginx.conf", "nginx.replicas.conf")]
    named = re.findall(
        r"^ *server (\S+):8080 max_fails=1 fail_timeout=5s;$", "".join(configured), re.MULTILINE
    )
    assert tuple(named) == REPLICAS
    assert {*REPLICAS} <= services.keys()
    assert {*services["nginx"]["depends_on"]} == {*REPLICAS}


def test_the_secrets_are_only_for_their_owner(secrets: Path) -> None:
    assert secrets.stat().st_mode & 0o777 == 0o700
    assert (secrets / "env").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("service", [*REPLICAS, "migrate"])
def test_the_settings_are_settings_that_the_proxy_accepts(
    service: str, services: dict[str, dict[str, Any]], secrets: Path
) -> None:
    environ = filled(services[service]["environment"], secrets)
    settings = load_settings({"MICHIQ_LISTEN": "0.0.0.0:8080", **environ}, None)
    password = dotenv_values(secrets / "env")["POSTGRES_PASSWORD"]
    assert settings.database_url.get_secret_value() == (
        f"postgresql://michiq:{password}@/michiq?host=/var/run/postgresql"
    )
    assert settings.blobs_url.startswith("s3://michiq/audio?")
    assert settings.migrate == "never"


def test_the_commands_are_commands(services: dict[str, dict[str, Any]]) -> None:
    assert services["migrate"]["command"][0] in main.list_commands(Context(main))
    assert all("command" not in services[name] for name in REPLICAS)


def test_seaweedfs_has_each_option_that_it_is_started_with(services: dict[str, dict[str, Any]]) -> None:
    [command, *options] = services["s3"]["command"]
    ran = subprocess.run(
        [Path(sys.executable).with_name("weed"), command, "-h"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    known = set(re.findall(r"^  (-[\w.]+)", ran.stdout + ran.stderr, re.MULTILINE))
    assert {option.partition("=")[0] for option in options} <= known


def test_the_certificate_is_for_the_name_that_the_replicas_call(secrets: Path) -> None:
    shown = ["openssl", "x509", "-in", str(secrets / "s3.crt"), "-noout", "-ext", "subjectAltName"]
    ran = subprocess.run(shown, capture_output=True, text=True, check=True, timeout=30)
    assert "DNS:s3" in ran.stdout
