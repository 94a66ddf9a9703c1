"""A front that drops API_KEY and user_mail: the log has one hint."""

import json
from io import StringIO
from typing import Final

import pytest

from tests.captured import captured_log
from tests.conftest import IDENTITY, Api, StartProxy
from tests.rollout.moving import new_case

DROPPED: Final = {"organization": IDENTITY["organization"]}


async def sent(api: Api, headers: dict[str, str]) -> None:
    async with api.http.post(f"{api.url}/michiQ/newCase", data=b"", headers=headers) as response:
        await response.read()


def hints(log: StringIO) -> list[str]:
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    return [line["hint"] for line in lines if line["event"] == "identity_headers_dropped"]


@pytest.mark.parametrize("legacy", [False, True], ids=["new", "with a legacy server"])
async def test_hint_33_is_given_once_where_only_the_organization_arrives(
    start_proxy: StartProxy, legacy: bool
) -> None:
    with captured_log() as log:
        async with start_proxy(legacy=legacy) as api:
            for _ in range(3):
                await sent(api, DROPPED)
    [hint] = hints(log)
    assert "underscores_in_headers on" in hint


@pytest.mark.parametrize("came", ["API_KEY", "user_mail", "api-key", "User-Mail"])
async def test_hint_33_is_not_given_once_such_a_header_came(api: Api, came: str) -> None:
    with captured_log() as log:
        await sent(api, {came: "x", **DROPPED})
        await sent(api, DROPPED)
    assert hints(log) == []


async def test_hint_33_is_not_given_for_requests_that_need_no_such_header(api: Api) -> None:
    with captured_log() as log:
        async with api.http.get(f"{api.url}/michiQ/encounters") as response:
            assert response.status == 401
        status, _, _ = await new_case(api)
        await sent(api, DROPPED)
    assert (status, hints(log)) == (200, [])
