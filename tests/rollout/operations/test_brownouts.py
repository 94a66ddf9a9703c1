"""The proposal of brownouts: what it says can be put into a mapping file as it is."""

import tomllib
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import TypeAdapter

from proxy.mapping.moving import Brownout
from proxy.rollout.operations.brownouts import brownout_toml

NOW = datetime(2027, 1, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize("days", range(7))
def test_two_brownouts_are_proposed_on_working_days(days: int) -> None:
    now = NOW + timedelta(days=days)
    found = tomllib.loads(brownout_toml("query", now))
    first, second = TypeAdapter(list[Brownout]).validate_python(found["brownouts"])
    assert now + timedelta(days=6) < first.begin < second.begin
    assert [each.end - each.begin for each in (first, second)] == [timedelta(minutes=15), timedelta(hours=2)]
    assert {each.begin.strftime("%a") for each in (first, second)} <= {"Tue", "Wed", "Thu"}
    assert list(found) == ["brownouts"]
