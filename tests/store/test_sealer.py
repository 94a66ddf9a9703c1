"""Sealing under several keys, and the hashes that outlive them."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.store import Store
from proxy.store.errors import StoreError
from proxy.store.sealer import Sealer
from proxy.values import Json

from .examples import fernet_key, opened

OLD, NEW, FOREIGN = fernet_key(1), fernet_key(2), fernet_key(3)
PEPPER = b"p" * 32


@pytest.mark.parametrize("value", [None, {"á": [1, 10**40, 0.1, True]}, "lone \ud800", []])
def test_what_is_sealed_opens_as_it_was(value: Json) -> None:
    sealer = Sealer([OLD], PEPPER)
    assert sealer.open_json(sealer.seal_json(value)) == value


def test_an_old_key_opens_what_it_sealed() -> None:
    assert Sealer([NEW, OLD], PEPPER).open(Sealer([OLD], PEPPER).seal(b"x")) == b"x"


def test_the_newest_key_seals() -> None:
    assert Sealer([NEW], PEPPER).open(Sealer([NEW, OLD], PEPPER).seal(b"x")) == b"x"


def test_a_foreign_key_does_not_open() -> None:
    with pytest.raises(StoreError, match="MICHIQ_SECRET_KEYS"):
        Sealer([FOREIGN], PEPPER).open(Sealer([OLD], PEPPER).seal(b"x"))


@pytest.mark.parametrize("keys", [[], ["short"], [OLD, "canary-ñ"]])
def test_a_malformed_key_is_named_by_its_setting_and_not_shown(keys: list[str]) -> None:
    with pytest.raises(StoreError, match="MICHIQ_SECRET_KEYS") as caught:
        Sealer(keys, PEPPER)
    assert "canary" not in str(caught.value)


@given(first=st.lists(st.text(max_size=3), max_size=3), second=st.lists(st.text(max_size=3), max_size=3))
def test_digests_are_equal_only_for_equal_parts(first: list[str], second: list[str]) -> None:
    sealer = Sealer([OLD], PEPPER)
    assert (sealer.digest(*first) == sealer.digest(*second)) == (first == second)


def test_digests_depend_on_the_pepper() -> None:
    assert Sealer([OLD], PEPPER).digest("x") != Sealer([OLD], b"q" * 32).digest("x")


def test_user_and_organization_make_an_owner_together(store: Store) -> None:
    owners = {store.sealer.owner(*pair) for pair in [("a", "b"), ("a", "c"), ("b", "a"), ("ab", "")]}
    assert len(owners) == 4


async def test_hashes_survive_a_change_of_keys(tmp_path: Path) -> None:
    seen = set()
    for keys in ([OLD], [NEW, OLD], [NEW]):  # the last one: the old key has gone
        async with opened(tmp_path, keys) as store:
            seen.add(store.sealer.owner("ana@clinic.example", "Clínica"))
    assert len(seen) == 1


async def test_another_database_has_other_hashes(tmp_path: Path) -> None:
    async with opened(tmp_path / "a") as one, opened(tmp_path / "b") as two:
        assert one.sealer.digest("x") != two.sealer.digest("x")


async def test_keys_that_do_not_open_the_database_are_a_settings_problem(tmp_path: Path) -> None:
    async with opened(tmp_path, [OLD]):
        pass
    with pytest.raises(StoreError, match="MICHIQ_SECRET_KEYS: none of the keys opens this database"):
        async with opened(tmp_path, [FOREIGN]):
            pass
