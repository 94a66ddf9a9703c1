"""Ids as SQL Server gives them back, in capitals: the same case, whatever a client does with its id (G03)."""

from dataclasses import replace

import pytest

from proxy.sandbox import SandboxConfig
from tests.conftest import Api, StartProxy, bearer
from tests.flows._client import Capitals, heard, patient, settled
from tests.flows._wire import request, talk
from tests.rollout.moving import all_in, override
from tests.samples import wav

KEPT_ID = "0F8FAD5B-D9CB-469F-A165-70867728950E"


async def listed(api: Api, token: str) -> list[str]:
    async with api.http.get(f"{api.url}/michiQ/encounters", headers=bearer(token)) as response:
        assert response.status == 200
        return [each["MichiqUUID"] for each in await response.json()]


@pytest.mark.parametrize("shouting", [False, True], ids=["lower", "capitals"])
async def test_id_G03_in_another_case_is_the_same_one_on_every_route(
    start_proxy: StartProxy, shouting: bool
) -> None:
    async with start_proxy(config=Capitals() if shouting else None) as api:
        case = await patient(api)
        other = replace(case, id=case.id.swapcase())
        assert case.id.isupper() is shouting
        page = (await other.page()).json
        assert page["michiq_uuid"] == other.id
        assert f"/dashboard/cases/{case.id}?" in page["urls"]["case"], "the platform's own spelling"
        assert (await other.document())["michiq_uuid"] == other.id
        assert (await other.upload(wav(0.1))).text.endswith(f"UUID: {other.id}")
        assert (await other.transcribed())["michiq_uuid"] == other.id
        asked = await other.call("POST", "/michiQ/query/{id}", json={"query": "¿Qué edad tiene?"})
        assert asked.status == 200
        await settled(api)
        assert await listed(api, case.token) == [case.id], "newCase's spelling"
        [linked] = api.sandbox.llamalitica.cases.keys() - {case.id}
        assert f"/dashboard/cases/{linked}?" in (await other.page()).json["urls"]["case"]
        # The sandbox's report on the linked case, which is one on the case, lists the files it read.
        assert "transcription.txt" in str(await other.document())


async def test_id_G03_chunks_in_any_spelling_are_one_recording_and_it_is_paid_for_once(api: Api) -> None:
    case = await patient(api)
    other = replace(case, id=case.id.upper())
    audio = wav(0.2)
    await case.uploaded(audio[:2000])
    await other.uploaded(audio[2000:])
    first, second = await other.transcribed(), await case.transcribed()
    assert first["transcription"] == second["transcription"]
    assert len(heard(api)) == 1
    assert first["transcription"] in str(await case.document())


async def test_id_G03_audio_that_came_in_capitals_before_there_was_its_case_joins_it(
    start_proxy: StartProxy,
) -> None:
    """The next id that the platform gives is one that a client has uploaded to already."""
    config = SandboxConfig(random_bytes=lambda size: bytes.fromhex(KEPT_ID.replace("-", ""))[:size])
    async with start_proxy() as api:
        early = await patient(api, KEPT_ID)
        await early.uploaded(wav(0.1))
        api.sandbox.llamalitica.config = replace(
            api.sandbox.llamalitica.config, random_bytes=config.random_bytes
        )
        made = await api.new_case(None, **bearer(early.token))
        assert made["michiq_uuid"] == KEPT_ID.lower()
        case = replace(early, id=made["michiq_uuid"])
        text = (await case.transcribed())["transcription"]
        assert text in str(await case.document())


async def test_id_G03_the_legacy_server_gets_its_own_spelling_of_its_cases(start_proxy: StartProxy) -> None:
    async with start_proxy(all_in("legacy"), legacy=True) as api:
        made = await api.new_case()
        own, token = made["michiq_uuid"], made["token"]
        escaped = "%" + f"{ord(own[0].upper()):02x}" + own[1:].upper()
        targets = {
            own: own,
            own.upper(): own,
            f"{escaped}?vista=%C3%B1&id={own.upper()}": f"{own}?vista=%C3%B1&id={own.upper()}",
        }
        for asked, sent in targets.items():
            line = f"GET /michiQ/doc/{asked} HTTP/1.1"
            reply = await talk(api.url, request(line, [f"Authorization: Bearer {token}"]))
            assert reply.status == 200, asked
            assert reply.json["document"]["michiq_uuid"] == own
            assert api.sandbox.michiq.calls[-1].path == f"/michiQ/doc/{sent.partition('?')[0]}"


async def test_id_G03_an_id_that_is_no_case_of_the_legacy_server_goes_there_as_it_came(
    start_proxy: StartProxy,
) -> None:
    async with start_proxy(all_in("legacy"), legacy=True) as api:
        token = (await api.new_case())["token"]
        for legacy_id in (KEPT_ID, KEPT_ID.lower(), "Historia-7", "historia-7"):
            await talk(
                api.url,
                request(f"GET /michiQ/doc/{legacy_id} HTTP/1.1", [f"Authorization: Bearer {token}"]),
            )
        paths = [call.path for call in api.sandbox.michiq.calls][-4:]
        assert paths == [
            f"/michiQ/doc/{each}" for each in (KEPT_ID, KEPT_ID.lower(), "Historia-7", "historia-7")
        ]


async def test_id_G03_a_case_of_the_legacy_server_stays_there_in_capitals_when_the_routes_have_moved(
    start_proxy: StartProxy,
) -> None:
    async with start_proxy({"new_case": all_in("legacy")["new_case"]}, legacy=True) as api:
        old = await patient(api)
        await override(api, "new_case", "new")
        new = await patient(api)
        for case, side in ((old, "legacy"), (new, "new")):
            shouted = replace(case, id=case.id.upper())
            assert (await shouted.call("GET", "/michiQ/doc/{id}")).status == 200, side
            assert (await shouted.upload(wav(0.1))).status == 200, side
            assert (await shouted.transcribe()).status == 200, side
        assert sorted(await listed(api, new.token)) == sorted([old.id, new.id])
