"""Shadow mode: the old server answers as if alone; then the new side runs and both are compared."""

import asyncio
from collections.abc import AsyncIterator, Callable

import aiohttp
import pytest

from proxy.sandbox import Fault, SandboxConfig
from proxy.store.rollout.difference_groups import DifferenceGroup, Wanted, grouped_differences
from tests.conftest import IDENTITY, Api, StartProxy, bearer, case_form
from tests.flows._client import Capitals
from tests.rollout.moving import override


def mode(name: str) -> Callable[[str], str]:
    return lambda text: text.replace('mode = "new"', f'mode = "{name}"')


def live(text: str) -> str:
    return mode("shadow")(text).replace("timeout =", 'shadow_writes = "live"\ntimeout =', 1)


SHADOW = dict.fromkeys(
    ("new_case", "doc", "encounters", "query", "upload_audio", "speech_to_text", "encounter_page"),
    mode("shadow"),
)


@pytest.fixture
async def api(start_proxy: StartProxy) -> AsyncIterator[Api]:
    async with start_proxy(SHADOW, legacy=True) as started:
        yield started


async def compared(api: Api, route: str, count: int = 1) -> dict[str, int]:
    """Returns the outcomes of the route's comparisons, once there are this many."""
    moving, evidence = api.proxy.moving, api.proxy.deps.store.evidence
    async with asyncio.timeout(20):
        while True:
            await moving.shadow.idle()
            await moving.recorder.flush()
            rows = await evidence.comparisons(route, api.clock().date())
            if sum(row.count for row in rows) >= count:
                return {row.outcome: row.count for row in rows}
            await asyncio.sleep(0.005)  # the offer comes right after the client's last byte


async def differences(api: Api, route: str) -> list[DifferenceGroup]:
    return await grouped_differences(api.proxy.deps.store.database, Wanted([route], limit=100))


async def test_the_legacy_server_answers_and_the_new_side_is_compared_without_a_call(api: Api) -> None:
    made = await api.new_case()
    assert made["michiq_uuid"] in api.sandbox.michiq.encounters
    assert await compared(api, "new_case") == {"match": 1}
    assert api.sandbox.llamalitica.calls == []


async def test_a_dry_run_writes_nothing_of_the_case(api: Api) -> None:
    made = await api.new_case()
    await compared(api, "new_case")
    store = api.proxy.deps.store
    assert await store.cases.get(made["michiq_uuid"]) is None
    assert await store.journal.pending() == []


@pytest.mark.parametrize("size", [2_000_000, 8_000_000])
async def test_a_body_of_more_than_a_megabyte_is_shadowed_like_others(api: Api, size: int) -> None:
    form = case_form()
    form.add_field("files", b"texto " * (size // 6), filename="historia.txt", content_type="text/plain")
    await api.new_case(form)
    assert set(await compared(api, "new_case")) <= {"match", "difference"}


async def test_a_failure_of_the_new_side_is_a_difference_of_status_in_clear(start_proxy: StartProxy) -> None:
    async with start_proxy({"new_case": live}, legacy=True) as api:
        api.sandbox.llamalitica.faults.add(Fault(kind="status", status=500, times=9))
        await api.new_case()
        assert await compared(api, "new_case") == {"difference": 1}
        found = await differences(api, "new_case")
        table, sealer = api.proxy.moving.live.now.table, api.proxy.deps.store.sealer
    assert [each.kind for each in found] == ["content-type", "status", "type"]
    assert (found[1].control_type, found[1].candidate_type) == ("200", "500")
    assert {(each.mapping, each.organizations) for each in found} == {
        (table.routes["new_case"].digest, (sealer.organization(IDENTITY["organization"]),))
    }


async def test_a_caller_that_the_legacy_server_refuses_is_not_compared_and_leaves_no_organization(
    api: Api,
) -> None:
    for name in ("Clínica Uno", "Clínica Dos"):
        headers = {**IDENTITY, "API_KEY": "wrong", "organization": name}
        async with api.http.post(f"{api.url}/michiQ/newCase", data=case_form(), headers=headers) as response:
            assert response.status == 401
    assert await compared(api, "new_case", 2) == {"dropped:refused-caller": 2}
    rows = await api.proxy.deps.store.evidence.comparisons("new_case", api.clock().date())
    assert {row.organization for row in rows} == {""}


@pytest.mark.parametrize(
    "fault",
    [Fault(kind="status", status=status) for status in (408, 429, 500, 503)],
    ids=lambda fault: str(fault.status),
)
async def test_the_legacy_servers_own_failure_is_not_compared(api: Api, fault: Fault) -> None:
    api.sandbox.michiq.faults.add(fault)
    async with api.http.post(f"{api.url}/michiQ/newCase", data=case_form(), headers=IDENTITY) as response:
        assert response.status == fault.status
    assert await compared(api, "new_case") == {"dropped:control-failed": 1}
    assert api.sandbox.llamalitica.calls == []


@pytest.mark.parametrize(
    "fault",
    [
        Fault(kind="status", times=9),
        Fault(kind="broken_json", times=9),
        Fault(kind="cut_before_body", times=9),
        Fault(kind="redirect", times=9),
    ],
    ids=lambda fault: fault.kind,
)
async def test_a_candidate_whose_platform_fails_changes_nothing_for_the_client(
    start_proxy: StartProxy, fault: Fault
) -> None:
    async with start_proxy({"new_case": live}, legacy=True) as api:
        api.sandbox.llamalitica.faults.add(fault)
        made = await api.new_case()
        assert made["message"] == "You are inside llamalitica services"
        assert await compared(api, "new_case") == {"difference": 1}


async def test_a_candidate_that_hangs_never_stalls_the_client_and_is_dropped_for_it(
    start_proxy: StartProxy,
) -> None:
    def short(text: str) -> str:
        return live(text) + '\n[shadow]\ntimeout = "50 ms"\n'

    async with start_proxy({"new_case": short}, legacy=True) as api:
        api.sandbox.llamalitica.faults.add(Fault(kind="delay", delay=30, times=9))
        await api.new_case()
        assert await compared(api, "new_case") == {"dropped:timeout": 1}


async def test_live_writes_make_the_case_on_both_sides_and_later_reads_are_compared(
    start_proxy: StartProxy,
) -> None:
    async with start_proxy({**SHADOW, "new_case": live}, legacy=True) as api:
        made = await api.new_case()
        assert await compared(api, "new_case") == {"match": 1}
        headers = bearer(made["token"])
        async with api.http.get(f"{api.url}/michiQ/doc/{made['michiq_uuid']}", headers=headers) as response:
            assert response.status == 200
        assert set(await compared(api, "doc")) <= {"match", "difference"}
        async with api.http.get(f"{api.url}/michiQ/encounters", headers=headers) as response:
            assert [each["MichiqUUID"] for each in await response.json()] == [made["michiq_uuid"]]
        assert set(await compared(api, "encounters")) <= {"match", "difference"}


@pytest.mark.parametrize("config", [SandboxConfig(), Capitals()], ids=["lower", "capitals"])
async def test_id_G03_a_request_that_spells_it_otherwise_is_compared_as_any(
    start_proxy: StartProxy, config: SandboxConfig
) -> None:
    async with start_proxy({**SHADOW, "new_case": live}, config, legacy=True) as api:
        made = await api.new_case()
        assert await compared(api, "new_case") == {"match": 1}
        headers = bearer(made["token"])
        for number, legacy_id in enumerate((made["michiq_uuid"], made["michiq_uuid"].swapcase()), 1):
            async with api.http.get(f"{api.url}/michiQ/doc/{legacy_id}", headers=headers) as response:
                assert response.status == 200
            assert set(await compared(api, "doc", number)) <= {"match", "difference"}
        async with api.http.get(f"{api.url}/michiQ/encounters", headers=headers) as response:
            assert response.status == 200
        assert set(await compared(api, "encounters")) <= {"match", "difference"}
        paths = [each.path for each in await differences(api, "doc")]
        assert [path for path in paths if "uuid" in path.lower()] == []


async def test_live_writes_stop_at_the_days_cap(start_proxy: StartProxy) -> None:
    def capped(text: str) -> str:
        return live(text) + "\n[shadow]\ndaily_cap = 2\n"

    async with start_proxy({"new_case": capped}, legacy=True) as api:
        for _ in range(3):
            await api.new_case()
        assert await compared(api, "new_case", 3) == {"match": 2, "dropped:daily-cap": 1}


async def test_a_case_that_is_on_one_side_only_is_not_compared_and_counted(api: Api) -> None:
    made = await api.new_case()
    url = f"{api.url}/michiQ/doc/{made['michiq_uuid']}"
    async with api.http.get(url, headers=bearer(made["token"])) as response:
        assert response.status == 200
    assert await compared(api, "doc") == {"dropped:unpaired": 1}


async def test_an_upload_is_compared_by_a_dry_run_that_stores_no_audio(api: Api) -> None:
    made = await api.new_case()
    form = aiohttp.FormData()
    form.add_field("audioChunk", b"RIFF\x24\x00\x00\x00WAVEfmt " + b"\0" * 64, filename="a.wav")
    url = f"{api.url}/michiQ/uploadAudio/{made['michiq_uuid']}"
    async with api.http.post(url, data=form, headers=bearer(made["token"])) as response:
        assert response.status == 200
    assert await compared(api, "upload_audio") == {"match": 1}
    assert await api.proxy.deps.store.recordings.of("", made["michiq_uuid"]) == []


@pytest.mark.parametrize("percent", [0])
async def test_what_the_sample_leaves_out_is_counted(start_proxy: StartProxy, percent: int) -> None:
    def sampled(text: str) -> str:
        return mode("shadow")(text) + f"\n[shadow]\nsample_percent = {percent}\n"

    async with start_proxy({"new_case": sampled}, legacy=True) as api:
        await api.new_case()
        assert await compared(api, "new_case") == {"dropped:not-sampled": 1}


ASKED: tuple[tuple[str, str, dict[str, str], bytes | None], ...] = (
    ("GET", "/michiQ/encounters", {}, None),
    ("GET", "/michiQ/encounters", {"Authorization": "Bearer wrong"}, None),
    ("HEAD", "/michiQ/encounters", {"Authorization": "Bearer {token}"}, None),
    ("GET", "/michiQ/encounters", {"Authorization": "Bearer {token}"}, None),
    ("GET", "/michiQ/doc/{id}", {"Authorization": "Bearer {token}"}, None),
    ("GET", "/michiQ/doc/nothing", {"Authorization": "Bearer {token}"}, None),
    ("POST", "/michiQ/query/{id}", {"Authorization": "Bearer {token}"}, b'{"query": "fiebre"}'),
    ("POST", "/michiQ/query/{id}", {"Authorization": "Bearer {token}"}, b'{"query": '),
    ("POST", "/michiQ/query", {"Authorization": "Bearer {token}"}, b"{}"),
    ("POST", "/michiQ/newCase", IDENTITY, b"no form"),
    ("POST", "/michiQ/newCase", {"API_KEY": "wrong"}, b""),
    ("POST", "/michiQ/uploadAudio/{id}", {"Authorization": "Bearer {token}"}, b"no form"),
    ("POST", "/michiQ/speechToText/{id}", {"Authorization": "Bearer {token}"}, None),
    ("GET", "/app/encounter/{id}", {"Authorization": "Bearer {token}"}, None),
)


@pytest.mark.parametrize("asked", ASKED, ids=lambda asked: f"{asked[0]} {asked[1]}")
async def test_adding_shadow_changes_neither_status_nor_headers_nor_body(
    api: Api, asked: tuple[str, str, dict[str, str], bytes | None]
) -> None:
    made = await api.new_case()
    answers = []
    for name in ("legacy", "shadow", "legacy"):
        for route in SHADOW:
            await override(api, route, name)
        answers.append(await _answer(api, made, asked))
    assert answers[0] == answers[1] == answers[2]


async def _answer(
    api: Api, made: dict[str, str], asked: tuple[str, str, dict[str, str], bytes | None]
) -> tuple[int, dict[str, str], bytes]:
    method, path, headers, body = asked
    sent = {name: value.replace("{token}", made["token"]) for name, value in headers.items()}
    url = api.url + path.replace("{id}", made["michiq_uuid"])
    async with api.http.request(method, url, headers=sent, data=body) as response:
        kept = {name: text for name, text in response.headers.items() if name not in ("X-Request-ID", "Date")}
        return response.status, kept, await response.read()
