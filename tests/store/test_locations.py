"""Addresses of the settings, read into paths."""

import stat
from pathlib import Path

import pytest

from proxy.store.errors import StoreError
from proxy.store.locations import blobs_folder, database_path, make_private


@pytest.mark.parametrize(
    ("url", "path"),
    [("sqlite:///var/michiq.db", "var/michiq.db"), ("sqlite:////data/michiq.db", "/data/michiq.db")],
)
def test_a_database_address_names_a_file(url: str, path: str) -> None:
    assert database_path(url) == Path(path)


@pytest.mark.parametrize(
    ("url", "path"),
    [("file:var/blobs", "var/blobs"), ("file:/data/blobs", "/data/blobs"), ("file:///data", "/data")],
)
def test_a_blobs_address_names_a_folder(url: str, path: str) -> None:
    assert blobs_folder(url) == Path(path)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:canary@db/x",
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        "sqlite:///a?mode=ro",
        "",
    ],
)
def test_any_other_database_is_refused_by_a_sentence_that_names_the_setting(url: str) -> None:
    with pytest.raises(StoreError, match=r"MICHIQ_DATABASE_URL.*sqlite:///var/michiq.db") as caught:
        database_path(url)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("url", ["s3://bucket/canary", "file:", "file://", "var/blobs"])
def test_any_other_blob_store_is_refused_by_a_sentence_that_names_the_setting(url: str) -> None:
    with pytest.raises(StoreError, match=r"MICHIQ_BLOBS_URL.*file:var/blobs") as caught:
        blobs_folder(url)
    assert "canary" not in str(caught.value)


def test_missing_folders_are_made_for_their_owner_only(tmp_path: Path) -> None:
    make_private(tmp_path / "a" / "b")
    assert [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("a", "a/b")] == [0o700, 0o700]


def test_a_folder_that_exists_keeps_its_mode(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a").chmod(0o750)
    make_private(tmp_path / "a")
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o750
