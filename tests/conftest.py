"""The real proxy in front of the sandbox's three systems, all on real sockets."""

import os
import secrets
import shutil
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, TypeAlias
from zlib import crc32

import aiohttp
import pytest
import structlog
from aioresponses import aioresponses
from cryptography.fernet import Fernet

from proxy.flows.registry import SPECS
from proxy.isolated import spawner
from proxy.mapping.loader import load_table
from proxy.mapping.table import Table
from proxy.sandbox import Sandbox, SandboxConfig, run_sandbox
from proxy.settings import Settings, load_settings
from proxy.store.sql import sqlite
from proxy.store.sql.migrate import migrate, no_others
from proxy.store.sql.schema import Migrated
from proxy.web.service import Running, running
from tests.postgresql import Postgresql, postgresql
from tests.preloaded import Preloaded
from tests.seaweedfs import CREDENTIALS, WEED, SeaweedFS, shared_seaweedfs
from tests.stores import ENGINES, Bucket

ROOT: Final = Path(__file__).parent.parent
API_KEY: Final = "sandbox-api-key"
STORES: Final = ("here", "replicated")
_HERE_ONLY: Final = "here_only"
_ON_BOTH: Final = "on_both"
_ONE_IN: Final = 24  # of the tests with a proxy runs on both stores
# Folders with tests that take seconds. They run first: at the end only short tests are left to share out.
_LONG: Final = (
    "browser",
    "cli",
    "contracts",
    "crash",
    "docker",
    "faults",
    "hostile",
    "isolated",
    "supervisor",
)
_REAL_START: Final = ("tests/isolated",)  # what starts a fork server for its own sake
IDENTITY: Final = {"API_KEY": API_KEY, "user_mail": "ana@clinica.example", "organization": "Clínica Norte"}


class Clock:
    """Real time, moved on by hand."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@dataclass(frozen=True, slots=True)
class Api:
    """A legacy client's view of a running proxy."""

    proxy: Running
    sandbox: Sandbox
    http: aiohttp.ClientSession = field(repr=False)
    clock: Clock

    @property
    def url(self) -> str:
        return self.proxy.url

    async def new_case(self, form: aiohttp.FormData | None = None, **headers: str) -> dict[str, Any]:
        """Returns the answer to a newCase; `headers` replace those of IDENTITY."""
        async with self.http.post(
            f"{self.url}/michiQ/newCase", data=form or case_form(), headers={**IDENTITY, **headers}
        ) as response:
            assert response.status == 200, await response.text()
            answer: dict[str, Any] = await response.json()
            return answer


def case_form(**fields: str) -> aiohttp.FormData:
    """Returns a newCase form: an ehr and a conversation, or just these fields."""
    form = aiohttp.FormData(quote_fields=False, default_to_multipart=True)
    for name, value in (fields or {"ehr": '{"id": "p-1", "name": "Ana"}', "conversation": "Hola."}).items():
        form.add_field(name, value)
    return form


def pytest_configure(config: pytest.Config) -> None:
    """Makes all tests quicker: each exception in a log, and each start, cost up to a second of processor.

    A log's exceptions are plain: by default they are drawn in colour, with all variables. The system's
    certificate authorities are left out: each proxy and command would read 140 of them. A test that calls
    https names its own authority.
    """
    config.addinivalue_line("markers", f"{_HERE_ONLY}(reason): it is about SQLite, or about one machine")
    config.addinivalue_line("markers", f"{_ON_BOTH}: it always runs on both stores")
    structlog.dev.ConsoleRenderer.get_active().exception_formatter = structlog.dev.plain_traceback
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        os.environ[name] = os.devnull


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--store") == "replicated":
        out = [item for item in items if item.get_closest_marker(_HERE_ONLY) is not None]
        config.hook.pytest_deselected(items=out)
        items[:] = [item for item in items if item not in out]
    items.sort(key=lambda item: not any(item.path.is_relative_to(ROOT / "tests" / each) for each in _LONG))


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture(scope="session")
def preloaded() -> Iterator[Preloaded]:
    one = Preloaded()
    yield one
    one.close()


@pytest.fixture(autouse=True)
def _quick_fork_servers(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, preloaded: Preloaded
) -> None:
    """Spares each proxy under test the second that its fork server takes to import all modules."""
    if not any(request.node.path.is_relative_to(ROOT / each) for each in _REAL_START):
        monkeypatch.setattr(spawner, "launched", preloaded.launched)


@pytest.fixture(scope="session")
def _new_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a database file as the first start of a proxy makes it."""
    path = tmp_path_factory.mktemp("database") / "michiq.db"
    migrate(path)
    return path


@pytest.fixture(autouse=True)
def _quick_new_databases(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, _new_database: Path
) -> None:
    """Spares each store under test the making of its tables, one statement after another."""

    def migrated(
        path: Path, refuse_others: Callable[[], None] = no_others, *, may_change: bool = True
    ) -> Migrated:
        if may_change and not path.exists():
            shutil.copy(_new_database, path)
        return migrate(path, refuse_others, may_change=may_change)

    if not request.node.path.is_relative_to(ROOT / "tests/store/sql"):
        monkeypatch.setattr(sqlite, "migrate", migrated)


@pytest.fixture
def mocked() -> Iterator[aioresponses]:
    """Yields the stand-in for every server that aiohttp's client calls."""
    with aioresponses() as answering:
        yield answering


@pytest.fixture(scope="session")
def seaweedfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedFS]:
    """Yields the S3 store of all test processes; each test takes a prefix of its own (`s3_url`)."""
    if not WEED.exists() and os.environ.get("CI") != "true":
        pytest.skip("needs SeaweedFS: `weed` of the development group")
    base = tmp_path_factory.getbasetemp()
    with shared_seaweedfs((base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "s3") as server:
        yield server


@pytest.fixture
def s3_prefix() -> str:
    return secrets.token_hex(8)


@pytest.fixture
def s3_url(seaweedfs: SeaweedFS, s3_prefix: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Returns a MICHIQ_BLOBS_URL in the S3 store; the credentials are in the environment."""
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    return seaweedfs.url(s3_prefix)


StartProxy: TypeAlias = Callable[..., AbstractAsyncContextManager[Api]]


@pytest.fixture(scope="session")
def secret_key() -> str:
    return Fernet.generate_key().decode()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--store", choices=STORES, help="the store of every test with a proxy")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Runs some tests with a proxy on PostgreSQL and S3 too, always the same ones; `--store` runs all."""
    chosen_by_the_test = [mark.args[0] for mark in metafunc.definition.iter_markers("parametrize")]
    if "stored_in" not in metafunc.fixturenames or "stored_in" in chosen_by_the_test:
        return
    chosen = metafunc.config.getoption("--store")
    if metafunc.definition.get_closest_marker(_HERE_ONLY) is not None:
        return
    both = metafunc.definition.get_closest_marker(_ON_BOTH) is not None
    if chosen is None and (both or crc32(metafunc.function.__qualname__.encode()) % _ONE_IN == 0):
        metafunc.parametrize("stored_in", STORES, indirect=True)
    elif chosen is not None:
        metafunc.parametrize("stored_in", [chosen], indirect=True)


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[Postgresql]:
    with postgresql() as server:
        yield server


@pytest.fixture
def stored_in(request: pytest.FixtureRequest) -> Iterator[str]:
    """Puts the stores of the test's proxies on this machine, or into PostgreSQL and S3."""
    name: str = getattr(request, "param", "here")
    server = request.getfixturevalue("postgresql_server") if name == "replicated" else None
    bucket = None
    if name == "replicated":
        request.getfixturevalue("s3_url")  # with its credentials
        bucket = Bucket(request.getfixturevalue("seaweedfs"), request.getfixturevalue("s3_prefix"))
    with ENGINES.on(server, bucket):
        yield name


@pytest.fixture
def start_proxy(tmp_path: Path, secret_key: str, stored_in: str) -> StartProxy:
    """Starts a proxy in front of a sandbox; `edit` changes mapping texts, `environ` settings.

    With `legacy` it has the sandbox's old server, too, and with `watch` it follows the mapping files.
    """

    @asynccontextmanager
    async def start(
        edit: dict[str, Callable[[str], str]] | None = None,
        config: SandboxConfig | None = None,
        *,
        legacy: bool = False,
        watch: bool = False,
        **environ: str,
    ) -> AsyncIterator[Api]:
        clock = Clock()
        folder = tmp_path / "mappings" if watch else None
        table = edited_table(tmp_path / "mappings", edit or {})
        stored = await ENGINES.options(tmp_path)
        async with (
            run_sandbox(config or SandboxConfig()) as sandbox,
            running(
                settings_for(
                    tmp_path,
                    sandbox.llamalitica.url,
                    sandbox.llamachat.url,
                    **{
                        "MICHIQ_DATABASE_URL": stored.database_url,
                        "MICHIQ_BLOBS_URL": stored.blobs_url,
                        "MICHIQ_SECRET_KEYS": secret_key,
                        **({"MICHIQ_LEGACY_URL": sandbox.michiq.url} if legacy else {}),
                        **environ,
                    },
                ),
                table,
                clock,
                folder,
            ) as proxy,
            aiohttp.ClientSession() as http,
        ):
            sandbox.llamalitica.webhook_url = f"{proxy.url}/webhooks/llamalitica"
            yield Api(proxy, sandbox, http, clock)

    return start


@pytest.fixture
async def api(start_proxy: StartProxy) -> AsyncIterator[Api]:
    """Runs a proxy with the default mappings."""
    async with start_proxy() as started:
        yield started


def edited_table(folder: Path, edit: dict[str, Callable[[str], str]]) -> Table:
    """Returns the default mappings, with the text of some files changed."""
    folder.mkdir(exist_ok=True)
    texts = {path.name: path.read_text("utf-8") for path in (ROOT / "mappings").glob("*.toml")}
    for stem, change in edit.items():
        texts[f"{stem}.toml"] = change(texts[f"{stem}.toml"])
    _write(folder, texts)
    # An organization may name a file beside its own, so the texts alone do not say what is loaded.
    return load_table(folder, SPECS) if "organizations" in edit else _loaded(frozenset(texts.items()))


@lru_cache(maxsize=32)
def _loaded(texts: frozenset[tuple[str, str]]) -> Table:
    """Returns the table of these texts; most tests share one, which nothing can change."""
    with TemporaryDirectory() as folder:
        _write(Path(folder), dict(texts))
        return load_table(Path(folder), SPECS)


def _write(folder: Path, texts: Mapping[str, str]) -> None:
    for name, text in texts.items():
        (folder / name).write_text(text, "utf-8")


def settings_for(folder: Path, llamalitica: str, llamachat: str, **environ: str) -> Settings:
    """Settings of a proxy with its state in `folder`, in front of a sandbox at these addresses."""
    return load_settings(
        {
            "MICHIQ_LISTEN": "127.0.0.1:0",
            "MICHIQ_ADMIN_LISTEN": "127.0.0.1:0",
            "MICHIQ_DATABASE_URL": f"sqlite:///{folder}/michiq.db",
            "MICHIQ_BLOBS_URL": f"file:{folder}/blobs",
            "MICHIQ_SECRET_KEYS": Fernet.generate_key().decode(),
            "MICHIQ_LLAMALITICA_API_URL": llamalitica,
            "MICHIQ_LLAMALITICA_WEB_URL": llamalitica,
            "MICHIQ_LLAMACHAT_URL": llamachat,
            "MICHIQ_LLAMACHAT_API_KEY": "sandbox-chat-key",
            "MICHIQ_WEBHOOK_SECRETS": "sandbox-webhook-secret",
            "MICHIQ_DRAIN_SECONDS": "2",
            **environ,
        },
        None,
    )
