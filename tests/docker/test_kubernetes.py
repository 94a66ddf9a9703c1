"""docker/kubernetes: both overlays, built by kubectl and checked against Kubernetes' own schemas."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, TypeAlias

import pytest
from click import Context
from cryptography.fernet import Fernet
from ruamel.yaml import YAML

from proxy.cli import main
from proxy.environment import FILE
from proxy.settings import Settings, load_settings
from tests.conftest import ROOT

FOLDER: Final = ROOT / "docker/kubernetes"
OVERLAYS: Final = ("postgresql", "sqlite")
SCHEMA: Final = Path(__file__).with_name("service_monitor.schema.json")
# The secrets that an operator makes: what docs/scale.md shows.
SECRETS: Final = {
    "/run/secrets/michiq/secret-keys": Fernet.generate_key().decode(),
    "/run/secrets/michiq/llamachat-api-key": "a-key",
    "/run/secrets/michiq/webhook-secrets": "a-secret",
    "/run/secrets/michiq/database-url": "postgresql://serving:a@db.example/michiq",
    "/run/secrets/owner/database-url": "postgresql://owner:a@db.example/michiq",
}
Json: TypeAlias = dict[str, Any]
Built: TypeAlias = Callable[[str], list[Json]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a folder with a file of each overlay's documents."""
    made = tmp_path_factory.mktemp("kubernetes")
    for overlay in OVERLAYS:
        command = ["kustomize", "--load-restrictor", "LoadRestrictionsNone", str(FOLDER / overlay)]
        (made / f"{overlay}.yaml").write_text(_output("kubectl", *command), "utf-8")
    return made


@pytest.fixture(scope="module")
def built(folder: Path) -> Built:
    """Returns a function that reads an overlay's documents."""
    return lambda overlay: [*YAML(typ="safe").load_all((folder / f"{overlay}.yaml").read_text("utf-8"))]


def one(documents: list[Json], kind: str, name: str = "michiq-proxy") -> Json:
    [found] = [each for each in documents if (each["kind"], each["metadata"]["name"]) == (kind, name)]
    return found


def pods(documents: list[Json]) -> Iterator[Json]:
    """Yields the specification of each pod."""
    yield from (
        each["spec"]["template"]["spec"] for each in documents if each["kind"] in ("Deployment", "Job")
    )


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_kubernetes_accepts_every_document(overlay: str, folder: Path, built: Built) -> None:
    """With no unknown field. It has no schema of a ServiceMonitor: the next test does."""
    said = _output("kubernetes-validate", "--strict", "--no-warn", str(folder / f"{overlay}.yaml"))
    kinds = [each["kind"] for each in built(overlay)]
    assert said.count(" passed for resource ") == len(kinds) - kinds.count("ServiceMonitor")
    assert kinds.count("ServiceMonitor") == 1


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_prometheus_operator_accepts_the_service_monitor(
    overlay: str, tmp_path: Path, built: Built
) -> None:
    document = tmp_path / "monitor.yaml"
    with document.open("w") as file:
        YAML(typ="safe").dump(one(built(overlay), "ServiceMonitor"), file)
    _output("check-jsonschema", "--schemafile", str(SCHEMA), str(document))


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_what_selects_finds_what_it_means(overlay: str, built: Built) -> None:
    documents = built(overlay)
    labels = one(documents, "Deployment")["spec"]["template"]["metadata"]["labels"].items()
    status = one(documents, "Service", "michiq-status")["metadata"]["labels"].items()
    ports = {port["name"] for port in one(documents, "Service", "michiq-status")["spec"]["ports"]}
    monitor = one(documents, "ServiceMonitor")["spec"]
    for name in ("michiq-proxy", "michiq-status"):
        assert one(documents, "Service", name)["spec"]["selector"].items() <= labels
    assert one(documents, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"].items() <= labels
    assert monitor["selector"]["matchLabels"].items() <= status
    assert {each["port"] for each in monitor["endpoints"]} <= ports
    for budget in (each for each in documents if each["kind"] == "PodDisruptionBudget"):
        assert budget["spec"]["selector"]["matchLabels"].items() <= labels


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_no_pod_has_more_rights_than_it_needs(overlay: str, built: Built) -> None:
    for pod in pods(built(overlay)):
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] == 10001
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        [container] = pod["containers"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert {*container["resources"]} == {"requests", "limits"}
        assert "@sha256:" in container["image"]
        assert container["args"][0] in main.list_commands(Context(main))
        writable = [mount["mountPath"] for mount in container["volumeMounts"] if not mount.get("readOnly")]
        assert writable == (["/data", "/tmp"] if overlay == "sqlite" else ["/tmp"])


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_a_probe_waits_as_long_as_the_answer_may_take(overlay: str, built: Built) -> None:
    """/readyz tries the store for up to 5 s; /livez answers within Kubernetes' second, and never asks it."""
    [container] = next(pods(built(overlay)))["containers"]
    for name in ("startupProbe", "readinessProbe"):
        assert container[name]["httpGet"]["path"] == "/readyz"
        assert container[name]["timeoutSeconds"] > 5
    readiness = container["readinessProbe"]
    assert readiness["periodSeconds"] * readiness["failureThreshold"] > 15  # a failover
    assert container["livenessProbe"]["httpGet"]["path"] == "/livez"


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_a_pod_may_take_as_long_to_end_as_the_proxy(overlay: str, built: Built) -> None:
    documents = built(overlay)
    pod = one(documents, "Deployment")["spec"]["template"]["spec"]
    before = pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    drain = int(_environ(documents, pod)["MICHIQ_DRAIN_SECONDS"])
    assert pod["terminationGracePeriodSeconds"] > before + drain + 10


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_setting_is_one_that_the_proxy_has(overlay: str, built: Built) -> None:
    documents = built(overlay)
    known = {f"MICHIQ_{name.upper()}" for name in Settings.model_fields}
    for pod in pods(documents):
        named = {name.removesuffix(FILE) for name in _environ(documents, pod) if name.startswith("MICHIQ_")}
        assert named - known == set()


@pytest.mark.parametrize(
    ("overlay", "kind", "name", "user"),
    [
        ("postgresql", "Deployment", "michiq-proxy", "serving"),
        ("postgresql", "Job", "michiq-migrate", "owner"),
        ("sqlite", "Deployment", "michiq-proxy", None),
    ],
)
def test_the_settings_are_accepted_together(
    overlay: str, kind: str, name: str, user: str | None, built: Built, tmp_path: Path
) -> None:
    """With the image's own below them, and a file for each secret."""
    documents = built(overlay)
    pod = one(documents, kind, name)["spec"]["template"]["spec"]
    environ = {"MICHIQ_DATABASE_URL": "sqlite:////data/michiq.db", **_environ(documents, pod)}
    for setting in [setting for setting in environ if setting.endswith(FILE)]:
        secret = tmp_path / setting
        secret.write_text(SECRETS[environ[setting]])
        environ[setting] = str(secret)
    url = load_settings(environ, None).database_url.get_secret_value()
    assert url == (f"postgresql://{user}:a@db.example/michiq" if user else "sqlite:////data/michiq.db")


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_probes_listener_is_not_the_admin_apis(overlay: str, built: Built) -> None:
    documents = built(overlay)
    pod = one(documents, "Deployment")["spec"]["template"]["spec"]
    environ = _environ(documents, pod)
    assert environ["MICHIQ_STATUS_LISTEN"] == "0.0.0.0:9091"
    assert "MICHIQ_ADMIN_LISTEN" not in environ
    assert {port["name"]: port["containerPort"] for port in pod["containers"][0]["ports"]} == {
        "http": 8080,
        "status": 9091,
    }


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_mapping_file_is_in_the_config_map(overlay: str, built: Built) -> None:
    data = one(built(overlay), "ConfigMap", "mappings")["data"]
    assert data == {path.name: path.read_text("utf-8") for path in (ROOT / "mappings").glob("*.toml")}


def test_on_postgresql_three_replicas_serve_and_none_goes_before_another_is_ready(built: Built) -> None:
    documents = built("postgresql")
    deployment = one(documents, "Deployment")["spec"]
    assert deployment["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    assert "replicas" not in deployment  # the autoscaler's
    assert one(documents, "HorizontalPodAutoscaler")["spec"]["minReplicas"] == 3
    assert one(documents, "PodDisruptionBudget")["spec"]["minAvailable"] == 2


def test_on_sqlite_there_is_never_a_second_replica(built: Built) -> None:
    documents = built("sqlite")
    deployment = one(documents, "Deployment")["spec"]
    assert (deployment["replicas"], deployment["strategy"]) == (1, {"type": "Recreate"})
    assert "HorizontalPodAutoscaler" not in {each["kind"] for each in documents}


def _environ(documents: list[Json], pod: Json) -> dict[str, str]:
    """Returns the environment of a pod's container, without the values that secrets give."""
    [container] = pod["containers"]
    found: dict[str, str] = {}
    for source in container.get("envFrom", []):
        found |= one(documents, "ConfigMap", source["configMapRef"]["name"])["data"]
    return found | {entry["name"]: entry["value"] for entry in container.get("env", []) if "value" in entry}


def _output(name: str, *arguments: str) -> str:
    command = [str(Path(sys.executable).with_name(name)), *arguments]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout + ran.stderr
