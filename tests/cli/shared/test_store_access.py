"""The store that a command names and opens."""

import json
from pathlib import Path
from typing import Final

import pytest

from proxy.cli.common import Failure
from proxy.cli.demo.run import own_store
from proxy.cli.shared.store_access import has_store, store_name, with_store
from proxy.settings import Settings, load_settings
from proxy.store import Store

KEY: Final = "k" * 43 + "="
POSTGRESQL: Final = "postgresql://ana:CANARY-7f3a@db.example.com/michiq"


def settings(**values: str) -> Settings:
    given = {"SECRET_KEYS": KEY, **values}
    return load_settings({f"MICHIQ_{name}": value for name, value in given.items()}, None)


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MICHIQ_SECRET_KEYS", KEY)


async def nothing(store: Store) -> None: ...


def test_a_store_is_named_by_its_file_or_by_its_address_without_the_password(tmp_path: Path) -> None:
    assert store_name(settings()) == f"{tmp_path}/var/michiq.db"
    assert store_name(settings(DATABASE_URL=POSTGRESQL)) == "postgresql://ana@db.example.com/michiq"


def test_a_missing_file_shows_before_anything_is_opened(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="there is no store at"):
        with_store(settings(), nothing)
    assert [*tmp_path.iterdir()] == []
    assert [has_store(settings()), has_store(settings(DATABASE_URL=POSTGRESQL))] == [False, True]


@pytest.mark.parametrize("far", [{"DATABASE_URL": POSTGRESQL}, {"BLOBS_URL": "s3://bucket"}], ids=json.dumps)
def test_the_demo_never_writes_its_invented_patients_to_a_server(far: dict[str, str]) -> None:
    own = own_store(settings(**far), {"MICHIQ_SECRET_KEYS": KEY})
    found = own.database_url.get_secret_value(), own.blobs_url
    assert found == ("sqlite:///var/michiq.db", "file:var/blobs")


def test_the_demo_uses_the_files_that_are_set() -> None:
    given = settings(DATABASE_URL="sqlite:////data/michiq.db")
    assert own_store(given, {}) is given
