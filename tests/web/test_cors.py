"""OPTIONS, and pages of other origins: answered by the legacy server in legacy mode, else by the mapping."""

from typing import Any, Final

import pytest
from multidict import CIMultiDictProxy

from tests.conftest import IDENTITY, Api, StartProxy, case_form
from tests.rollout.moving import ROUTES, all_in, mode, override

PAGE: Final = "https://app.example"
LISTED: Final = f'cors_origins = ["{PAGE}", "http://localhost:3000"]'
ASKS: Final = {
    "Origin": PAGE,
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "api_key, user_mail,organization, authorization",
}
OPEN: Final = {"Access-Control-Allow-Origin": PAGE, "Vary": "Origin"}
PATHS: Final = {
    "new_case": "/michiQ/newCase",
    "doc": "/michiQ/doc/x",
    "encounters": "/michiQ/encounters",
    "query": "/michiQ/query/x",
    "upload_audio": "/michiQ/uploadAudio/x",
    "speech_to_text": "/michiQ/speechToText/x",
    "encounter_page": "/app/encounter/x",
}


def listed(name: str = "new") -> dict[str, Any]:
    """Sets every route to this mode, and allows the page's origin."""
    return dict.fromkeys(ROUTES, mode(name, LISTED))


async def options(
    api: Api, route: str = "new_case", **headers: str
) -> tuple[int, CIMultiDictProxy[str], str]:
    """Sends a browser's preflight; `headers` replace its own, and "" removes one."""
    sent = {name: value for name, value in {**ASKS, **headers}.items() if value}
    async with api.http.options(api.url + PATHS[route], headers=sent) as response:
        return response.status, response.headers, await response.text()


def shared(headers: CIMultiDictProxy[str]) -> dict[str, str]:
    """Returns the headers about origins."""
    return {name: text for name, text in headers.items() if name == "Vary" or name.startswith("Access-")}


@pytest.mark.parametrize("route", ROUTES)
async def test_options_G02_of_a_listed_page_is_answered_by_the_new_side(
    start_proxy: StartProxy, route: str
) -> None:
    async with start_proxy(listed()) as api:
        status, headers, text = await options(api, route)
        assert (status, text) == (204, "")
        methods = "GET, HEAD" if route in ("doc", "encounters", "encounter_page") else "POST"
        assert shared(headers) == {
            "Access-Control-Allow-Origin": PAGE,
            "Access-Control-Allow-Methods": methods,
            "Access-Control-Allow-Headers": "api_key, user_mail, organization, authorization",
            "Access-Control-Max-Age": "600",
            "Vary": "Origin",
        }
        assert not {"Content-Type", "Server"} & set(headers)


# What is no question of a listed page, by what is other than in ASKS.
OTHERS: Final = {
    "of another page": {"Origin": "https://evil.example"},
    "of a page that begins like it": {"Origin": f"{PAGE}.evil.example"},
    "of its other scheme": {"Origin": "http://app.example"},
    "of its name in capitals": {"Origin": "https://APP.example"},
    "of no page": {"Origin": ""},
    "of a page without one": {"Origin": "null"},
    "before no call": {"Access-Control-Request-Method": ""},
}


@pytest.mark.parametrize("what", OTHERS)
async def test_options_G02_of_anybody_else_is_405_as_before(start_proxy: StartProxy, what: str) -> None:
    async with start_proxy(listed()) as api:
        status, headers, text = await options(api, **OTHERS[what])
        assert (status, headers["Allow"], text) == (405, "POST", "Método no permitido")
        assert shared(headers) == ({} if "Origin" in OTHERS[what] else OPEN)


async def test_options_G02_is_405_where_a_mapping_lists_nobody(api: Api) -> None:
    status, headers, _ = await options(api)
    assert (status, shared(headers)) == (405, {})


async def test_options_G02_allows_names_and_nothing_else(start_proxy: StartProxy) -> None:
    asked = {"Access-Control-Request-Headers": "x-one, no name, ,<b>,x-two"}
    async with start_proxy(listed()) as api:
        _, headers, _ = await options(api, **asked)
        assert headers["Access-Control-Allow-Headers"] == "x-one, x-two"


@pytest.mark.parametrize("name", ["legacy", "shadow", "canary"])
async def test_options_G02_goes_to_the_legacy_server_wherever_that_would_answer(
    start_proxy: StartProxy, name: str
) -> None:
    async with start_proxy(listed(name), legacy=True) as api:
        for route in ROUTES:
            status, headers, _ = await options(api, route)
            assert (status, shared(headers)) == (405, {}), "the sandbox's own word"
        calls = api.sandbox.michiq.calls
        assert [(call.method, call.path) for call in calls] == [("OPTIONS", PATHS[each]) for each in ROUTES]
        assert calls[0].header("Origin") == PAGE.encode()
        assert calls[0].header("Access-Control-Request-Method") == b"POST"
        assert api.sandbox.llamalitica.calls == []


async def test_options_G02_goes_to_the_legacy_server_below_100_percent_of_a_canary(
    start_proxy: StartProxy,
) -> None:
    async with start_proxy(listed("legacy"), legacy=True) as api:
        for percent, status in ((99.9, 405), (100.0, 204)):
            await override(api, "new_case", "canary", percent=percent)
            assert (await options(api))[0] == status, percent
        assert len(api.sandbox.michiq.calls) == 1


async def test_options_G02_of_a_route_that_is_off_is_refused_as_the_route_is(
    start_proxy: StartProxy,
) -> None:
    async with start_proxy(listed("off"), legacy=True) as api:
        assert (await options(api))[0] == 410


async def test_options_G02_in_a_brownout_is_answered_so_that_the_page_sees_the_503(
    start_proxy: StartProxy,
) -> None:
    window = "\n[[brownouts]]\nbegin = 2020-01-01T00:00:00Z\nend = 2100-01-01T00:00:00Z\n"
    async with start_proxy({"new_case": lambda text: mode("new", LISTED)(text) + window}) as api:
        assert (await options(api))[0] == 204
        async with api.http.post(api.url + PATHS["new_case"], headers={"Origin": PAGE}) as response:
            assert (response.status, shared(response.headers)) == (503, OPEN)


async def test_options_G02_is_nobodys_visit_and_no_access(start_proxy: StartProxy) -> None:
    async with start_proxy(listed()) as api:
        made = await api.new_case()
        await options(api, "doc", Authorization=f"Bearer {made['token']}")
        await api.proxy.moving.recorder.flush()
        calls = await api.proxy.deps.store.ledger.calls()
        assert {each.route for each in calls} == {"new_case"}


async def test_answer_G09_is_open_to_a_listed_page_and_otherwise_as_before(start_proxy: StartProxy) -> None:
    async with start_proxy(listed()) as api:
        for origin, more in ((PAGE, OPEN), ("https://evil.example", {})):
            identity = {**IDENTITY, "Origin": origin}
            url = api.url + PATHS["new_case"]
            async with api.http.post(url, data=case_form(), headers=identity) as made:
                assert (made.status, shared(made.headers)) == (200, more)


# What can go wrong with a call of the page, and its status: who asks how for what.
ERRORS: Final = {
    "no token": ("GET", "/michiQ/encounters", 401),
    "an unknown id": ("GET", "/michiQ/doc/x", 401),
    "another method": ("DELETE", "/michiQ/encounters", 405),
    "no form": ("POST", "/michiQ/newCase", 401),
}


@pytest.mark.parametrize("what", ERRORS)
async def test_error_G09_is_open_to_a_listed_page(start_proxy: StartProxy, what: str) -> None:
    method, path, status = ERRORS[what]
    async with (
        start_proxy(listed()) as api,
        api.http.request(method, api.url + path, headers={"Origin": PAGE}) as response,
    ):
        assert (response.status, shared(response.headers)) == (status, OPEN)


async def test_answer_G09_of_the_legacy_server_is_as_it_came(start_proxy: StartProxy) -> None:
    async with (
        start_proxy(listed("legacy"), legacy=True) as api,
        api.http.get(api.url + PATHS["encounters"], headers={"Origin": PAGE}) as response,
    ):
        assert shared(response.headers) == {}


async def test_answer_G09_of_a_webhook_is_open_to_nobody(start_proxy: StartProxy) -> None:
    async with start_proxy(listed()) as api:
        url = f"{api.url}/webhooks/llamalitica"
        async with api.http.options(url, headers=ASKS) as response:
            assert (response.status, shared(response.headers)) == (405, {})


async def test_options_G02_without_a_legacy_server_is_the_new_sides(start_proxy: StartProxy) -> None:
    async with start_proxy(all_in("new")) as api:
        assert (await options(api))[0] == 405
