"""The upgrade of a store of release 0.1.0 by an operator: stop, copy, start and `rotate-keys`."""

import json
from pathlib import Path

import pytest

from proxy.store import Store
from tests.cli.filled import Site, said, site
from tests.store.examples import KEY
from tests.store.filled import expected, found, unpack
from tests.store.test_upgrade import process_of


@pytest.fixture
def old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """Returns a folder with a store that 0.1.0 filled."""
    made = site(tmp_path, KEY, monkeypatch)
    (tmp_path / "var").mkdir()
    unpack("0.1.0", tmp_path / "var")
    return made


def test_rotate_keys_brings_all_of_0_1_0_to_this_releases_form(old: Site) -> None:
    check = old.call("rotate-keys", "--check")
    assert (check.exit_code, check.stdout) == (1, "0 values renewed, 25 left under an older key\n")
    rotated = old.call("rotate-keys")
    assert (rotated.exit_code, rotated.stdout) == (0, "25 values renewed, 0 left under an older key\n")
    again = old.call("rotate-keys", "--check", "--json")
    assert (again.exit_code, json.loads(again.stdout)) == (0, {"renewed": 0, "left": 0, "lost": 0})
    assert old.fill(found) == old.fill(_expected)


async def _expected(store: Store) -> dict[str, object]:
    return expected(store)


@pytest.mark.parametrize("command", [("rotate-keys",), ("rotate-keys", "--check"), ("audit", "verify")])
def test_no_command_touches_the_store_while_0_1_0_works_on_it(old: Site, command: tuple[str, ...]) -> None:
    database = old.folder / "var" / "michiq.db"
    before = database.read_bytes()
    with process_of(old.folder / "var", b""):
        result = old.call(*command)
    assert result.exit_code == 2
    assert "a process of another release works on this store" in said(result)
    assert database.read_bytes() == before
