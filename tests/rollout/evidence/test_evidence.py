"""Traces of real traffic in the store: the ledger's visits, the learner's structure, a request's story."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import API_KEY, IDENTITY, Api, StartProxy, bearer, case_form
from tests.rollout.moving import eventually, mode, new_case, override
from tests.stores import ENGINES

# Made up, and nowhere else: whatever holds one of them has kept a patient's value.
NAME = "Zacarías Quirogamuñoz"
SAID = "tuvo una xenofrosis aguda"


@pytest.fixture
async def api(start_proxy: StartProxy) -> AsyncIterator[Api]:
    async with start_proxy({"new_case": mode("legacy"), "doc": mode("legacy")}, legacy=True) as started:
        yield started


async def flushed(api: Api, calls: int) -> list[tuple[str, str, int, int]]:
    """Returns the ledger's (route, mode, status, count), once there are so many calls."""

    async def rows() -> list[tuple[str, str, int, int]]:
        await api.proxy.moving.recorder.flush()
        found = await api.proxy.deps.store.ledger.calls()
        return sorted((each.route, each.mode, each.status, each.count) for each in found)

    return await eventually(rows, lambda found: sum(count for *_, count in found) >= calls)


async def test_every_call_of_a_client_is_in_the_ledger_by_route_mode_and_status(api: Api) -> None:
    made = await api.new_case()
    await override(api, "new_case", "new")
    await api.new_case()
    await new_case(api, API_KEY="wrong")
    for _ in range(2):
        url = f"{api.url}/michiQ/doc/{made['michiq_uuid']}"
        async with api.http.get(url, headers=bearer(made["token"])) as response:
            assert response.status == 200
    assert await flushed(api, 5) == [
        ("doc", "legacy", 200, 2),
        ("new_case", "legacy", 200, 1),
        ("new_case", "new", 200, 1),
        ("new_case", "new", 401, 1),
    ]


async def test_clients_are_told_apart_by_key_organization_user_and_agent(api: Api) -> None:
    await api.new_case(None, **{"User-Agent": "HIS/1.0"})
    await api.new_case(None, **{"User-Agent": "HIS/2.0"})
    await api.new_case(None, organization="Clínica Sur", **{"User-Agent": "HIS/2.0"})
    await flushed(api, 3)
    clients = {each.client for each in await api.proxy.deps.store.ledger.calls()}
    assert sorted((each.organization, each.agent) for each in clients) == [
        ("Clínica Norte", "HIS/1.0"),
        ("Clínica Norte", "HIS/2.0"),
        ("Clínica Sur", "HIS/2.0"),
    ]
    assert len({each.key for each in clients}) == 1
    assert API_KEY not in repr(clients)


async def test_the_projects_own_probes_are_left_out(api: Api) -> None:
    await api.new_case(None, **{"User-Agent": "michiq-proxy-contract"})
    await api.new_case()
    assert await flushed(api, 1) == [("new_case", "legacy", 200, 1)]


async def learned(api: Api, route: str) -> set[tuple[int, str, str]]:
    await api.proxy.moving.recorder.flush()
    rows = await api.proxy.deps.store.evidence.learned(route)
    return {(row.status, row.path, row.type) for row in rows if row.side == "legacy"}


async def test_the_structure_of_a_legacy_answer_is_learned_without_its_values(
    api: Api, tmp_path: Path
) -> None:
    form = case_form(ehr=json.dumps({"nhc": "q-1", "name": NAME}), conversation=SAID)
    made = await api.new_case(form)
    url = f"{api.url}/michiQ/doc/{made['michiq_uuid']}"
    async with api.http.get(url, headers=bearer(made["token"])) as response:
        assert response.status == 200
    found = await eventually(lambda: learned(api, "doc"), bool)
    assert {(200, "document.username", "string"), (200, "document.input", "object")} <= found
    assert not any(path.startswith("document.input.") for _, path, _ in found), "it is the hospital's"
    stored = await ENGINES.bytes_of(tmp_path)
    leaked = [word for word in (NAME, "xenofrosis", API_KEY, made["token"]) if word.encode() in stored]
    assert leaked == []


async def test_an_error_text_is_learned_once_it_came_for_several_callers(api: Api) -> None:
    async def refused(token: str) -> None:
        async with api.http.get(f"{api.url}/michiQ/doc/nothing", headers=bearer(token)) as response:
            assert (response.status, await response.text()) == (404, "Not Found")

    tokens = [(await api.new_case(user_mail=f"user{n}@clinica.example"))["token"] for n in range(2)]
    for token in (tokens[0], tokens[0], tokens[0]):
        await refused(token)
    assert not [path for status, path, _ in await learned(api, "doc") if (status, path) == (404, "Not Found")]
    await refused(tokens[1])
    await eventually(lambda: learned(api, "doc"), lambda found: (404, "Not Found", "error-text") in found)


async def story(api: Api, request_id: str) -> dict[str, Any]:
    async def told() -> list[Any]:
        await api.proxy.moving.recorder.flush()
        return [each.story for each in await api.proxy.deps.store.stories.of(request_id)]

    [found] = await eventually(told, bool)
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("side", ["legacy", "new"])
async def test_a_requests_story_says_what_came_in_who_decided_what_went_out_and_what_was_answered(
    api: Api, side: Any
) -> None:
    await override(api, "new_case", side)
    _, headers, text = await new_case(api)
    told = await story(api, headers["X-Request-ID"])
    assert told["decided"]["side"] == side
    assert (told["decided"]["why"], told["decided"]["mode"], told["decided"]["revision"]) == ("mode", side, 1)
    upstreams = {"legacy": ["legacy"], "new": ["llamalitica", "llamalitica"]}[side]
    assert [call["upstream"] for call in told["calls"]] == upstreams
    assert (told["answered"]["status"], told["answered"]["bytes"]) == (200, len(text.encode()))
    assert told["asked"]["bytes"] > 100
    assert {"api_key", "organization", "user_mail"} <= set(told["asked"]["headers"])
    values = [API_KEY, *IDENTITY.values(), json.loads(text)["token"], json.loads(text)["michiq_uuid"]]
    assert [value for value in values if value in json.dumps(told, ensure_ascii=False)] == []


async def test_a_header_that_a_client_made_up_is_counted_and_not_named(api: Api) -> None:
    _, headers, _ = await new_case(api, **{"X-Zacarias-Quirogamunoz": "1"})
    told = await story(api, headers["X-Request-ID"])
    assert "zacarias" not in json.dumps(told).lower()
    assert told["asked"]["other_headers"] >= 1


async def accesses(api: Api) -> list[tuple[str, str]]:
    """Returns the audit's record of accesses: the actor, and the route in its detail."""
    await api.proxy.moving.recorder.flush()
    rows = await api.proxy.deps.store.audit.all()
    return [(row.actor, row.detail) for row in rows if row.action == "case_accessed"]


@pytest.mark.parametrize("side", ["legacy", "new"])
async def test_who_opened_a_case_is_in_the_audit_once_a_day_and_route_without_its_payload(
    api: Api, side: Any
) -> None:
    await override(api, "new_case", side)
    made = await api.new_case()
    owner = api.proxy.deps.store.sealer.owner(IDENTITY["user_mail"], IDENTITY["organization"])
    for path in ("/michiQ/doc/{id}", "/michiQ/doc/{id}", "/app/encounter/{id}", "/michiQ/encounters"):
        url = api.url + path.replace("{id}", made["michiq_uuid"])
        async with api.http.get(url, headers=bearer(made["token"])) as response:
            assert response.status == 200
    found = await eventually(lambda: accesses(api), lambda found: len(found) >= 3)
    assert {actor for actor, _ in found} == {owner}
    assert len(found) == 3
    told = json.dumps(found)
    assert [word for word in (made["michiq_uuid"], made["token"], *IDENTITY.values()) if word in told] == []
    assert (await api.proxy.deps.store.audit.verify()).first_bad is None


async def test_a_call_that_was_refused_opened_nothing(api: Api) -> None:
    made = await api.new_case()
    for path, token in (("/michiQ/doc/nothing", made["token"]), (f"/michiQ/doc/{made['michiq_uuid']}", "x")):
        async with api.http.get(api.url + path, headers=bearer(token)) as response:
            assert response.status in (401, 404)
    await flushed(api, 3)
    assert await accesses(api) == []
