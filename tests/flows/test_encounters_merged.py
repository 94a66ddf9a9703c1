"""GET /michiQ/encounters with a legacy server: both lists as one (CONTRACT L03)."""

from collections.abc import Callable
from typing import Any

import pytest

from proxy.sandbox import Fault
from tests.conftest import Api, StartProxy, bearer
from tests.rollout.moving import ROUTES, mode, override


def merging(how: str) -> dict[str, Callable[[str], str]]:
    return {"encounters": lambda text: text.replace('merge = "required"', f'merge = "{how}"')}


async def both_sides(api: Api) -> tuple[dict[str, Any], dict[str, Any]]:
    """The same user's newCase answered by the legacy server, then by the new side."""
    await override(api, "new_case", "legacy")
    old = await api.new_case()
    await override(api, "new_case", "new")
    return old, await api.new_case()


async def listed(api: Api, token: str) -> tuple[int, Any]:
    async with api.http.get(f"{api.url}/michiQ/encounters", headers=bearer(token)) as response:
        text = response.content_type == "text/plain"
        return response.status, await (response.text() if text else response.json())


@pytest.mark.parametrize("token_of", ["legacy", "new"])
@pytest.mark.parametrize("how", ["new", "legacy"])
async def test_encounters_L03_cases_of_both_sides_are_listed_newest_first_whatever_the_token_and_the_mode(
    start_proxy: StartProxy, token_of: str, how: str
) -> None:
    async with start_proxy({"encounters": mode(how)}, legacy=True) as api:
        old, new = await both_sides(api)
        status, found = await listed(api, (old if token_of == "legacy" else new)["token"])
        assert status == 200
        assert [each["MichiqUUID"] for each in found] == [new["michiq_uuid"], old["michiq_uuid"]]


async def test_encounters_L03_another_user_sees_nothing_of_it(start_proxy: StartProxy) -> None:
    async with start_proxy(legacy=True) as api:
        await both_sides(api)
        other = await api.new_case(user_mail="luis@clinica.example")
        _, found = await listed(api, other["token"])
        assert [each["MichiqUUID"] for each in found] == [other["michiq_uuid"]]


@pytest.mark.parametrize(
    ("how", "status", "cases"),
    [("required", 500, None), ("best-effort", 200, ["new"]), ("off", 200, ["new"])],
)
async def test_encounters_L03_a_legacy_server_that_fails_is_500_unless_the_mapping_says_otherwise(
    start_proxy: StartProxy, how: str, status: int, cases: list[str] | None
) -> None:
    async with start_proxy(merging(how), legacy=True) as api:
        _, new = await both_sides(api)
        api.sandbox.michiq.faults.add(Fault(kind="status", times=9))
        got, found = await listed(api, new["token"])
        assert got == status
        if cases is None:
            assert found == "Error al obtener los encuentros"
        else:
            assert [each["MichiqUUID"] for each in found] == [new["michiq_uuid"]]


@pytest.mark.parametrize("kind", ["broken_json", "html", "truncated", "wrong_content_type", "redirect"])
async def test_encounters_L03_a_list_that_is_none_is_a_failure(start_proxy: StartProxy, kind: Any) -> None:
    async with start_proxy(legacy=True) as api:
        _, new = await both_sides(api)
        api.sandbox.michiq.faults.add(Fault(kind=kind, times=9))
        assert await listed(api, new["token"]) == (500, "Error al obtener los encuentros")


async def test_encounters_L03_a_legacy_session_that_ended_is_forgotten_and_ends_the_merging(
    start_proxy: StartProxy,
) -> None:
    async with start_proxy(legacy=True) as api:
        _, new = await both_sides(api)
        api.sandbox.michiq.faults.add(Fault(kind="status", status=401))
        for _ in range(2):
            status, found = await listed(api, new["token"])
            assert (status, [each["MichiqUUID"] for each in found]) == (200, [new["michiq_uuid"]])


async def test_encounters_L03_a_case_that_a_shadow_made_is_not_listed_twice(start_proxy: StartProxy) -> None:
    live = mode("shadow", 'shadow_writes = "live"')
    async with start_proxy({**dict.fromkeys(ROUTES, mode("new")), "new_case": live}, legacy=True) as api:
        made = await api.new_case()
        await api.proxy.moving.shadow.idle()
        status, found = await listed(api, made["token"])
        assert (status, [each["MichiqUUID"] for each in found]) == (200, [made["michiq_uuid"]])
