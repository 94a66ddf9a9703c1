"""Each round trip to a database on another machine costs a client its time: requests make few of them."""

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from itertools import count
from typing import Any, Final

import asyncpg
import pytest
from structlog.contextvars import get_contextvars

from tests.conftest import Api, StartProxy, bearer, case_form
from tests.flows._client import settled

pytestmark = pytest.mark.parametrize("stored_in", ["replicated"], indirect=True)

# Without `prepare`: a connection asks for each statement once.
_CALLS: Final = (
    "query",
    "bind",
    "execute",
    "bind_execute",
    "bind_execute_many",
    "close_statement",
)
_WARM: Final = 3  # requests until the statements are prepared on a connection, and the caches filled


class _Counted:
    """A driver's protocol that notes the calls to the server, each by the request that waits for it."""

    def __init__(self, protocol: Any, calls: list[tuple[str, str]]) -> None:
        self._protocol = protocol
        self._calls = calls

    def __getattr__(self, name: str) -> Any:
        if name in _CALLS:
            self._calls.append((get_contextvars().get("request_id", ""), name))
        return getattr(self._protocol, name)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Returns the calls to PostgreSQL so far; the list grows."""
    noted: list[tuple[str, str]] = []

    class Connection(asyncpg.Connection):  # type: ignore[misc]  # the driver has no types
        def __init__(self, protocol: Any, *rest: Any) -> None:
            super().__init__(_Counted(protocol, noted), *rest)

    monkeypatch.setattr(asyncpg, "connect", partial(asyncpg.connect, connection_class=Connection))
    return noted


@pytest.fixture
async def api(calls: list[tuple[str, str]], start_proxy: StartProxy) -> AsyncIterator[Api]:
    async with start_proxy() as started:
        yield started


async def counted(
    api: Api, calls: list[tuple[str, str]], ask: Callable[[str], Awaitable[None]], times: int = _WARM
) -> list[str]:
    """Returns what a request waits for until its answer has come, once it was asked before."""
    for number in range(times):
        await ask(f"warm-{number}")
        await settled(api)
    await ask("counted")
    return [name for request, name in calls if request == "counted"]


async def test_a_new_case_waits_for_the_database_8_times_at_most(
    api: Api, calls: list[tuple[str, str]]
) -> None:
    async def ask(request_id: str) -> None:
        await api.new_case(None, **{"X-Request-ID": request_id})

    assert 0 < len(await counted(api, calls, ask)) <= 8


@pytest.mark.parametrize(
    ("method", "path", "body", "most"),
    [
        ("GET", "/michiQ/doc/{id}", None, 2),
        ("POST", "/michiQ/query/{id}", "¿Quién eres?", 4),
    ],
    ids=["doc", "query"],
)
async def test_a_request_on_a_case_waits_for_the_database_a_few_times_at_most(
    api: Api, calls: list[tuple[str, str]], method: str, path: str, body: str | None, most: int
) -> None:
    made = await api.new_case()
    url = api.url + path.replace("{id}", made["michiq_uuid"])

    async def ask(request_id: str) -> None:
        headers = {**bearer(made["token"]), "X-Request-ID": request_id}
        given = None if body is None else {"query": body}
        async with api.http.request(method, url, headers=headers, json=given) as response:
            assert response.status == 200, await response.text()

    assert 0 < len(await counted(api, calls, ask)) <= most


async def test_a_question_whose_passages_are_new_to_the_conversation_waits_4_times_at_most(
    api: Api, calls: list[tuple[str, str]]
) -> None:
    """Each question finds another page of the case, which is then noted as sent."""
    pages = [f"La prueba {n} la informó el doctor {n}." + " relleno" * 300 for n in range(1, _WARM + 2)]
    made = await api.new_case(case_form(conversation="\f".join(pages)))
    url = f"{api.url}/michiQ/query/{made['michiq_uuid']}"
    numbers = count(1)

    async def ask(request_id: str) -> None:
        headers = {**bearer(made["token"]), "X-Request-ID": request_id}
        question = {"query": f"¿Quién informó de la prueba {next(numbers)}?"}
        async with api.http.post(url, headers=headers, json=question) as response:
            assert response.status == 200, await response.text()

    assert 0 < len(await counted(api, calls, ask)) <= 4
