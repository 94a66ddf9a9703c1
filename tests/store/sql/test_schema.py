"""The decision about the schema that a database has, for a release whose newest revision is 0011."""

import pytest

from proxy.store.errors import StoreError
from proxy.store.sql.migrate import OLDEST, newest
from proxy.store.sql.schema import Schema, Step, next_step

EMPTY = Schema(empty=True)


def noted(revision: str | None, oldest: str | None = None) -> Schema:
    return Schema(empty=False, revision=revision, oldest=oldest)


@pytest.mark.parametrize(
    ("found", "may_change", "step"),
    [
        (EMPTY, True, "make"),
        (noted(None), True, "upgrade"),
        (noted("0001"), True, "upgrade"),
        (noted("0010", "0009"), True, "upgrade"),
        (noted("0011"), True, "none"),
        (noted("0011"), False, "none"),
        (noted("0011", "0012"), True, "none"),
        (noted("0012", "0011"), True, "none"),
        (noted("0012", "0011"), False, "none"),
        (noted("0020", "0009"), True, "none"),
    ],
)
def test_a_schema_that_can_be_served_has_one_next_step(found: Schema, may_change: bool, step: Step) -> None:
    assert next_step(found, "0011", may_change=may_change) == step


@pytest.mark.parametrize(
    ("found", "may_change", "said"),
    [
        (EMPTY, False, "no tables yet; run `michiq-proxy migrate` first"),
        (noted("0010"), False, r"revision 0010; this release needs 0011\); run `michiq-proxy migrate` first"),
        (noted(None), False, "run `michiq-proxy migrate` first"),
        (noted("0012"), True, "newer release"),
        (noted("0012", "0012"), True, "newer release"),
        (noted("0012", "0012"), False, "newer release"),
        (noted("a1b2c3"), True, "newer release"),
    ],
)
def test_a_schema_that_can_not_be_served_is_refused_with_the_way_out(
    found: Schema, may_change: bool, said: str
) -> None:
    with pytest.raises(StoreError, match=said):
        next_step(found, "0011", may_change=may_change)


def test_this_release_can_serve_the_schema_that_it_makes() -> None:
    assert newest() >= OLDEST
