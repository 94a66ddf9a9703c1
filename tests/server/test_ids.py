"""Random ids are UUIDs of version 4, and no two are alike."""

import os
from uuid import RFC_4122, UUID

from proxy.server.ids import RandomIds


def test_ids_are_uuids_of_version_4_and_none_comes_twice() -> None:
    new_id = RandomIds(os.urandom)
    made = [new_id() for _ in range(1_000)]
    assert len(set(made)) == len(made)
    assert {(UUID(each).version, UUID(each).variant, str(UUID(each)) == each) for each in made} == {
        (4, RFC_4122, True)
    }


def test_an_id_holds_all_of_its_randomness_but_version_and_variant() -> None:
    assert RandomIds(bytes)() == "00000000-0000-4000-8000-000000000000"
    assert RandomIds(lambda size: b"\xff" * size)() == "ffffffff-ffff-4fff-bfff-ffffffffffff"
