"""The log line of a request has the id of the trace that the client has begun."""

import json
from collections.abc import Mapping

import pytest

from tests.captured import captured_log
from tests.conftest import Api
from tests.upstream.test_trace_context import GIVEN, TRACE


async def logged(api: Api, headers: Mapping[str, str]) -> list[object]:
    """Returns the trace id of each line of a request without a token, None for a line without one."""
    with captured_log() as log:
        async with api.http.get(f"{api.url}/michiQ/encounters", headers=headers) as response:
            assert response.status == 401
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    return [line.get("trace_id") for line in lines if line["event"] == "request"]


@pytest.mark.parametrize(
    ("headers", "expected"),
    [({}, None), ({"traceparent": GIVEN}, TRACE), ({"traceparent": GIVEN.upper()}, None)],
    ids=["none came", "one came", "a malformed one came"],
)
async def test_the_line_of_a_request_has_the_trace_id_that_came(
    api: Api, headers: Mapping[str, str], expected: str | None
) -> None:
    assert await logged(api, headers) == [expected]
