"""Sealing under several keys, and the hashes that outlive them."""

import base64
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, select

from proxy.store import Store
from proxy.store.errors import StoreError
from proxy.store.sealing.contexts import Context, SealedColumn
from proxy.store.sealing.keyring import Keyring
from proxy.store.sealing.sealer import Sealer
from proxy.store.sql.tables import journal, meta, reports
from proxy.values import Json
from tests.store.examples import fernet_key, opened
from tests.store.older import FernetSealer

BOTH = pytest.mark.usefixtures("engine")
OLD, NEW, FOREIGN = fernet_key(1), fernet_key(2), fernet_key(3)
PEPPER = b"p" * 32
HERE = SealedColumn(reports.c.body).at("report-1")


@pytest.mark.parametrize("value", [None, {"á": [1, 10**40, 0.1, True]}, "lone \ud800", []])
def test_what_is_sealed_opens_as_it_was(value: Json) -> None:
    sealer = Sealer([OLD], PEPPER)
    assert sealer.open_json(sealer.seal_json(value, HERE), HERE) == value


def test_an_old_key_opens_what_it_sealed() -> None:
    assert Sealer([NEW, OLD], PEPPER).open(Sealer([OLD], PEPPER).seal(b"x", HERE), HERE) == b"x"


def test_the_newest_key_seals() -> None:
    assert Sealer([NEW], PEPPER).open(Sealer([NEW, OLD], PEPPER).seal(b"x", HERE), HERE) == b"x"


def test_a_foreign_key_does_not_open() -> None:
    with pytest.raises(StoreError, match="MICHIQ_SECRET_KEYS"):
        Sealer([FOREIGN], PEPPER).open(Sealer([OLD], PEPPER).seal(b"x", HERE), HERE)


def test_a_value_opens_only_where_it_was_sealed_for() -> None:
    sealer = Sealer([OLD], PEPPER)
    sealed = sealer.seal(b"x", HERE)
    for there in (SealedColumn(reports.c.body).at("report-2"), SealedColumn(journal.c.answer).at("report-1")):
        with pytest.raises(StoreError, match="moved from another row or column"):
            sealer.open(sealed, there)


@pytest.mark.parametrize("place", [*range(1, 60), -1])
def test_a_value_that_was_changed_anywhere_does_not_open(place: int) -> None:
    sealer = Sealer([OLD], PEPPER, takes_fernet=True)
    sealed = bytearray(sealer.seal(b"a value of 300 bytes or so", HERE))
    sealed[place] ^= 1
    with pytest.raises(StoreError):
        sealer.open(bytes(sealed), HERE)


@pytest.mark.parametrize("length", range(60))
def test_a_value_that_was_cut_does_not_open(length: int) -> None:
    sealer = Sealer([OLD], PEPPER, takes_fernet=True)
    with pytest.raises(StoreError):
        sealer.open(sealer.seal(b"a value", HERE)[:length], HERE)


@given(first=st.lists(st.text(max_size=3), max_size=3), second=st.lists(st.text(max_size=3), max_size=3))
def test_contexts_are_equal_only_for_equal_keys(first: list[str], second: list[str]) -> None:
    column = SealedColumn(reports.c.body)
    assert (column.at(*first) == column.at(*second)) == (first == second)


def test_each_process_seals_under_a_subkey_of_its_own() -> None:
    one, other = (Sealer([OLD], PEPPER).seal(b"x", HERE) for _ in range(2))
    assert one[:9] == other[:9], "the format and the id of the key"
    assert one[9:25] != other[9:25]


def test_a_subkey_is_left_after_so_many_values_and_a_nonce_never_comes_twice() -> None:
    keyring = Keyring([OLD], takes_fernet=False, most_values=3)
    sealed = [keyring.seal(b"x", HERE) for _ in range(8)]
    salts = [each[9:25] for each in sealed]
    assert [salts.count(each) for each in salts] == [3, 3, 3, 3, 3, 3, 2, 2]
    assert len({each[25:37] for each in sealed}) == 8
    assert {keyring.open(each, HERE) for each in sealed} == {b"x"}


def test_threads_share_a_keyring_and_no_nonce_comes_twice() -> None:
    keyring = Keyring([OLD], takes_fernet=False, most_values=7)
    texts = [f"text {number}".encode() for number in range(2000)]
    with ThreadPoolExecutor(8) as threads:
        sealed = list(threads.map(lambda text: keyring.seal(text, HERE), texts))
        assert list(threads.map(lambda value: keyring.open(value, HERE), sealed)) == texts
    assert len({each[9:37] for each in sealed}) == len(texts)


def test_what_fernet_sealed_opens_until_it_is_refused() -> None:
    old = FernetSealer(OLD, PEPPER).seal(b"x", HERE)
    sealer = Sealer([NEW, OLD], PEPPER, takes_fernet=True)
    assert sealer.open(old, HERE) == b"x"
    sealer.refuse_fernet()
    with pytest.raises(StoreError, match="earlier release"):
        sealer.open(old, HERE)


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


@BOTH
async def test_hashes_survive_a_change_of_keys(tmp_path: Path) -> None:
    seen = set()
    for keys in ([OLD], [NEW, OLD], [NEW]):  # the last one: the old key has gone
        async with opened(tmp_path, keys) as store:
            seen.add(store.sealer.owner("ana@clinic.example", "Clínica"))
    assert len(seen) == 1


async def test_a_start_seals_the_pepper_again_only_under_a_newer_key(tmp_path: Path) -> None:
    def stored(conn: Connection) -> Any:
        return conn.execute(select(meta.c.value).filter_by(name="pepper")).scalar_one()

    seen = []
    for keys in ([OLD], [OLD, NEW], [NEW, OLD], [NEW, OLD]):
        async with opened(tmp_path, keys) as store:
            seen.append(await store.database.read(stored))
    assert [one == other for one, other in pairwise(seen)] == [True, False, True]


@BOTH
async def test_another_database_has_other_hashes(tmp_path: Path) -> None:
    async with opened(tmp_path / "a") as one, opened(tmp_path / "b") as two:
        assert one.sealer.digest("x") != two.sealer.digest("x")


@BOTH
async def test_keys_that_do_not_open_the_database_are_a_settings_problem(tmp_path: Path) -> None:
    async with opened(tmp_path, [OLD]):
        pass
    with pytest.raises(StoreError, match="MICHIQ_SECRET_KEYS: none of the keys opens this database"):
        async with opened(tmp_path, [FOREIGN]):
            pass


# Made by 0.2.0: a release that derives keys or lays a value out in another way can't open its stores.
_OF_0_2: Final = (
    "01fc4f4a8af56b56ed000102030405060708090a0b0c0d0e0f000102030405060708090a0b3eb828382265aad8"
    "f2bf0cbf825c76efa6f1fbb075"
)


def test_a_value_of_0_2_U06_is_laid_out_as_ever_and_opens() -> None:
    key, context = base64.urlsafe_b64encode(bytes(range(32))).decode(), Context(b"cases.ehr:1")
    keyring = Keyring([key], takes_fernet=False, random=lambda size: bytes(range(size)))
    assert keyring.seal("Añá".encode(), context).hex() == _OF_0_2
    assert keyring.open(bytes.fromhex(_OF_0_2), context) == "Añá".encode()
