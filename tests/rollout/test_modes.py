"""Modes in a running proxy: overrides, canary, tester, off, brownouts, step back, and clients' headers."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from proxy.sandbox import Fault
from proxy.store.rollout.overrides import Change
from tests.conftest import IDENTITY, Api, StartProxy, bearer, case_form
from tests.keepalive import Connection
from tests.rollout.moving import all_in, eventually, made_by, mode, new_case, override

NOTICE = """
[notice]
deprecation = 2026-01-01
sunset = 2027-01-01
links = { successor-version = "https://docs.example/new", deprecation = "https://docs.example/why" }
"""


@pytest.fixture
async def api(start_proxy: StartProxy) -> AsyncIterator[Api]:
    async with start_proxy(legacy=True) as started:
        yield started


async def side(api: Api, **headers: str) -> str:
    status, _, text = await new_case(api, **headers)
    assert status == 200, text
    return made_by(api, text)


async def test_an_override_moves_a_route_while_it_runs_and_its_end_gives_the_route_back(api: Api) -> None:
    assert await side(api) == "new"
    await override(api, "new_case", "legacy")
    assert await side(api) == "legacy"
    await override(api, "new_case", None)
    assert await side(api) == "new"


async def test_an_older_state_of_the_overrides_that_is_loaded_late_changes_nothing(api: Api) -> None:
    """Two loads may be under way at once, and the one that began first may end last."""
    live, store = api.proxy.moving.live, api.proxy.deps.store
    await override(api, "new_case", "new")
    late = await store.overrides.load()
    made = await override(api, "new_case", "legacy")
    live.follow(late)
    assert live.now.overrides.revision == made.revision
    assert await side(api) == "legacy"


async def test_an_organizations_override_goes_over_everyones(api: Api) -> None:
    await override(api, "new_case", "legacy")
    await override(api, "new_case", "new", organization="Clínica Sur")
    assert [await side(api), await side(api, organization="Clínica Sur")] == ["legacy", "new"]


async def test_an_override_with_an_end_falls_back_by_itself_to_what_was_before(api: Api) -> None:
    await override(api, "new_case", "legacy")
    await override(api, "new_case", "new", until=api.clock() + timedelta(hours=2))
    assert await side(api) == "new"
    api.clock.ahead = timedelta(hours=2)
    assert await side(api) == "legacy"


async def test_an_override_of_another_process_is_in_force_without_being_told(api: Api) -> None:
    store = api.proxy.deps.store
    change = Change(
        actor="ana",
        route="new_case",
        organization=None,
        mode="legacy",
        percent=None,
        until=None,
        reason="set elsewhere",
    )
    made = await store.overrides.change(change, expected=None, at=api.clock())

    async def revision() -> int:
        return api.proxy.moving.live.now.overrides.revision

    await eventually(revision, lambda seen: seen == made.revision)
    assert await side(api) == "legacy"
    [process] = await eventually(
        lambda: store.processes.live(api.clock(), timedelta(seconds=10)),
        lambda live: all(each.revision == made.revision for each in live),
    )
    assert process.rejected == ()


async def test_a_canary_moves_the_organizations_of_its_percentage_and_lists(start_proxy: StartProxy) -> None:
    lists = '\n[canary]\nallow = ["Siempre"]\ndeny = ["Nunca"]\n'
    async with start_proxy({"new_case": lambda text: text + lists}, legacy=True) as api:
        await override(api, "new_case", "canary", percent=0.0)
        assert await side(api, organization="Siempre") == "new"
        assert await side(api, organization="Cualquiera") == "legacy"
        await override(api, "new_case", "canary", percent=100.0)
        assert await side(api, organization="Nunca") == "legacy"
        assert await side(api, organization="Cualquiera") == "new"


@pytest.mark.parametrize(
    ("header", "goes_to"),
    [
        ("new 0123456789abcdef", "new"),
        ("legacy 0123456789abcdef", "legacy"),
        ("new wrong", "legacy"),
        ("elsewhere 0123456789abcdef", "legacy"),
        ("new", "legacy"),
    ],
)
async def test_a_tester_who_has_the_secret_chooses_the_side(
    start_proxy: StartProxy, header: str, goes_to: str
) -> None:
    secret = {"MICHIQ_TESTER_SECRET": "0123456789abcdef"}
    async with start_proxy(all_in("legacy"), legacy=True, **secret) as api:
        assert await side(api, **{"X-Michiq-Tester": header}) == goes_to
        sent = [call.header("X-Michiq-Tester") for call in api.sandbox.michiq.calls]
        assert set(sent) <= {None}, "the secret went on to the legacy server"


async def test_without_a_secret_nobody_chooses_a_side(start_proxy: StartProxy) -> None:
    async with start_proxy(all_in("legacy"), legacy=True) as api:
        assert await side(api, **{"X-Michiq-Tester": "new "}) == "legacy"


async def test_a_canary_that_fails_steps_back_by_itself_with_an_audit_row(api: Api) -> None:
    await override(api, "new_case", "canary", percent=100.0)
    api.sandbox.llamalitica.faults.add(Fault(kind="status", times=1000))
    for _ in range(20):
        assert (await new_case(api))[0] == 500
    found = await eventually(
        api.proxy.deps.store.overrides.history, lambda history: history[0].actor == "proxy"
    )
    assert (found[0].mode, found[0].route) == ("legacy", "new_case")
    assert "20 of 20" in found[0].reason
    audit = await api.proxy.deps.store.audit.all()
    assert (audit[-1].actor, audit[-1].action) == ("proxy", "mode_set")

    async def goes_to() -> str:
        return made_by(api, (await new_case(api))[2])

    await eventually(goes_to, lambda found: found == "legacy")
    assert api.proxy.deps.metrics.step_backs("new_case") == 1


async def test_a_canary_never_goes_forward_by_itself(api: Api) -> None:
    await override(api, "new_case", "canary", percent=0.0)
    for _ in range(30):
        await new_case(api)
    assert len(await api.proxy.deps.store.overrides.history()) == 1


async def test_a_route_that_is_off_answers_410_with_where_to_go(start_proxy: StartProxy) -> None:
    async with start_proxy({"new_case": lambda text: mode("off")(text) + NOTICE}, legacy=True) as api:
        status, headers, text = await new_case(api)
        assert (status, text) == (410, "Servicio no disponible")
        assert headers.getall("Link") == [
            '<https://docs.example/new>; rel="successor-version"',
            '<https://docs.example/why>; rel="deprecation"',
        ]


@pytest.mark.parametrize("name", ["legacy", "new"])
async def test_G09_deprecation_sunset_and_link_come_with_every_answer_of_the_route(
    start_proxy: StartProxy, name: str
) -> None:
    async with start_proxy({"new_case": lambda text: mode(name)(text) + NOTICE}, legacy=True) as api:
        status, headers, _ = await new_case(api)
        assert (status, headers["Deprecation"]) == (200, "@1767225600")
        assert headers["Sunset"] == "Fri, 01 Jan 2027 00:00:00 GMT"
        assert len(headers.getall("Link")) == 2
        assert headers["X-Request-ID"]


async def test_a_brownout_answers_503_until_its_end_except_for_who_is_exempt(
    start_proxy: StartProxy,
) -> None:
    window = '\n[[brownouts]]\nbegin = 2020-01-01T00:00:00Z\nend = {end}\nexempt = ["Clínica Sur"]\n'
    async with start_proxy(legacy=True) as probe:
        end = (probe.clock() + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    async with start_proxy(
        {"new_case": lambda text: text + window.replace("{end}", end)}, legacy=True
    ) as api:
        status, headers, _ = await new_case(api)
        assert status == 503
        assert 3500 <= int(headers["Retry-After"]) <= 3600
        assert headers["X-Michiq-Cause"] == "brownout"
        assert await side(api, organization="Clínica Sur") == "new"
        api.clock.ahead = timedelta(hours=2)
        assert await side(api) == "new"


@pytest.mark.parametrize("path", ["/michiQ/otra", "/favicon.ico", "/michiQ/doc/a/b?x=1"])
async def test_a_path_that_no_mapping_names_goes_to_the_legacy_server_where_there_is_one(
    start_proxy: StartProxy, path: str
) -> None:
    async with start_proxy(legacy=True) as api:
        async with api.http.get(api.url + path) as response:
            assert response.status == 404
        assert [call.path for call in api.sandbox.michiq.calls] == [path.partition("?")[0]]
    async with start_proxy() as api, api.http.get(api.url + path) as response:
        assert response.status == 404


async def test_an_unmapped_path_is_502_where_the_legacy_server_is_away(start_proxy: StartProxy) -> None:
    async with (
        start_proxy(legacy=True, MICHIQ_LEGACY_URL="http://127.0.0.1:9") as api,
        api.http.get(f"{api.url}/michiQ/otra") as response,
    ):
        assert (response.status, await response.text()) == (502, "Bad Gateway")
        assert response.headers["X-Michiq-Cause"] == "legacy-refused-connection"


async def test_G08_a_body_cut_on_a_path_that_no_mapping_names_is_400_with_its_cause(api: Api) -> None:
    api.sandbox.michiq.faults.add(Fault(kind="delay", delay=30))
    connection = await Connection.open(api.url)
    head = b"POST /michiQ/otra HTTP/1.1\r\nHost: proxy.example\r\nTransfer-Encoding: chunked\r\n"
    assert (await connection.ask(head + b"Expect: 100-continue\r\n\r\n")).status == 100
    reply = await connection.ask(b"1\r\na\r\nzz\r\n")
    assert (reply.status, reply.headers["x-michiq-cause"]) == (400, "body-cut")
    connection.close()


async def test_G02_a_wrong_method_is_refused_by_the_proxy_in_every_mode(start_proxy: StartProxy) -> None:
    async with (
        start_proxy(all_in("legacy"), legacy=True) as api,
        api.http.delete(f"{api.url}/michiQ/encounters") as response,
    ):
        assert (response.status, response.headers["Allow"]) == (405, "GET, HEAD")
        assert api.sandbox.michiq.calls == []


async def test_G07_a_token_that_this_proxy_never_saw_goes_to_the_legacy_server(api: Api) -> None:
    async with api.http.post(
        f"{api.sandbox.michiq.url}/michiQ/newCase", data=case_form(), headers=IDENTITY
    ) as response:
        made: dict[str, Any] = await response.json()
    url = f"{api.url}/michiQ/doc/{made['michiq_uuid']}"
    async with api.http.get(url, headers=bearer(made["token"])) as response:
        assert response.status == 200
        assert (await response.json())["document"]["michiq_uuid"] == made["michiq_uuid"]


@pytest.mark.parametrize(
    ("kind", "status", "cause"),
    [("refused", 502, "legacy-refused-connection"), ("slow", 504, "legacy-timeout")],
)
async def test_a_legacy_server_that_is_away_or_slow_is_502_or_504(
    start_proxy: StartProxy, kind: str, status: int, cause: str
) -> None:
    short = {"doc": lambda text: mode("legacy")(text).replace('timeout = "15 s"', 'timeout = "100 ms"')}
    away = {"MICHIQ_LEGACY_URL": "http://127.0.0.1:9"} if kind == "refused" else {}
    async with start_proxy(short, legacy=True, **away) as api:
        api.sandbox.michiq.faults.add(Fault(kind="delay", delay=30, times=9))
        async with (
            asyncio.timeout(10),
            api.http.get(f"{api.url}/michiQ/doc/x", headers=bearer("t")) as answer,
        ):
            assert (answer.status, answer.headers["X-Michiq-Cause"]) == (status, cause)


async def test_readyz_tells_which_upstream_is_left_alone_and_stays_ready(api: Api) -> None:
    api.sandbox.llamalitica.faults.add(Fault(kind="status", status=503, times=99))
    for _ in range(5):
        await new_case(api)
    async with api.http.get(f"{api.proxy.admin_url}/readyz") as response:
        told = await response.json()
    assert (response.status, told["upstreams"]) == (
        200,
        {"llamalitica": "open", "llamachat": "closed", "legacy": "closed"},
    )
    _, headers, _ = await new_case(api)
    assert headers["X-Michiq-Cause"] == "llamalitica-breaker-open"


async def test_readyz_tells_of_a_brownout_in_force_and_stays_ready(start_proxy: StartProxy) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    begin, end = now - timedelta(hours=1), now + timedelta(hours=1)
    lines = f"\n[[brownouts]]\nbegin = {begin.isoformat()}\nend = {end.isoformat()}\n"
    async with (
        start_proxy({"doc": lambda text: text + lines}) as api,
        api.http.get(f"{api.proxy.admin_url}/readyz") as response,
    ):
        told = (await response.json())["brownouts"]
    assert response.status == 200
    assert {route: datetime.fromisoformat(until) for route, until in told.items()} == {"doc": end}
