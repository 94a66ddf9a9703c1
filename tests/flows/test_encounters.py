"""GET /michiQ/encounters: the user's cases, newest first (CONTRACT L)."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from proxy.sandbox.faults import Fault
from tests.conftest import Api, StartProxy
from tests.damage import damage
from tests.flows.reading import Reply, call, files_form, get_doc, report, unreported

NO_TOKEN: Final = "Error al obtener el token de autorización"

ALWAYS: Final = {
    "MichiqUUID": str,
    "Timestamp": str,
    "Username": str,
    "OrganizationID": str,
    "TokensGenerated": int,
    "TokensInput": int,
    "Cost": int,
    "RuntimeMs": int,
    "Temperature": int,
    "Input": dict,
    "StructuredData": type(None),
}


async def listed(api: Api, case: Mapping[str, Any]) -> Any:
    reply = await call(api, "GET", "/michiQ/encounters", case["token"])
    assert reply.status == 200, reply
    return reply.json


async def test_encounters_L01_every_field_is_there_with_its_type(api: Api) -> None:
    [encounter] = await listed(api, await unreported(api))
    assert {name: type(value) for name, value in encounter.items()} == ALWAYS
    assert datetime.fromisoformat(encounter["Timestamp"]).utcoffset() == timedelta(0)


async def test_encounters_L01_the_newest_case_comes_first(api: Api) -> None:
    cases = [await unreported(api) for _ in range(5)]
    encounters = await listed(api, cases[0])
    assert [each["MichiqUUID"] for each in encounters] == [case["michiq_uuid"] for case in reversed(cases)]
    times = [datetime.fromisoformat(each["Timestamp"]) for each in encounters]
    assert times == sorted(times, reverse=True)


async def test_encounters_L01_only_the_users_own_cases_in_this_organization_are_listed(api: Api) -> None:
    mine = await unreported(api)
    await unreported(api, user_mail="eva@clinica.example")
    elsewhere = await unreported(api, organization="Clínica Sur")
    encounters = await listed(api, mine)
    assert [each["MichiqUUID"] for each in encounters] == [mine["michiq_uuid"]]
    assert encounters[0]["Username"] == "ana@clinica.example"
    assert encounters[0]["OrganizationID"] == "Clínica Norte"
    assert [each["MichiqUUID"] for each in await listed(api, elsewhere)] == [elsewhere["michiq_uuid"]]


async def test_encounters_L01_without_a_case_the_list_is_empty(api: Api) -> None:
    """A session whose cases have all passed their retention."""
    case = await unreported(api)
    ahead = api.clock() + timedelta(minutes=1)
    await api.proxy.deps.store.retention.sweep(ahead, content_days=0, audio_days=0)
    reply = await call(api, "GET", "/michiQ/encounters", case["token"])
    assert (reply.status, reply.headers["Content-Type"], reply.body) == (200, "application/json", b"[]")


async def test_encounters_L01_what_is_known_only_later_comes_with_the_report(api: Api) -> None:
    case = await unreported(api)
    await report(api, "report.created", case, "Informe de la visita.", {"código": [1, {"a": None}]})
    [encounter] = await listed(api, case)
    assert encounter["GeneratedText"] == "Informe de la visita."
    assert encounter["StructuredData"] == {"código": [1, {"a": None}]}
    assert encounter.keys() - ALWAYS.keys() == {"GeneratedText"}


async def test_encounters_L02_counts_are_estimates_of_the_input_and_of_the_report(api: Api) -> None:
    form = files_form(
        ("nota.txt", b"Uno dos tres", "text/plain"), ehr='{"id":"p"}', conversation="Buenos dias."
    )
    case = await unreported(api, form)
    await report(api, "report.created", case, "Todo bien.")
    [encounter] = await listed(api, case)
    # newCase gave the three counts of the input; Todo · bien · . make three tokens.
    assert encounter["TokensInput"] == case["voice"] + case["ehr"] + case["documents"] > 0
    assert encounter["TokensGenerated"] == 3


async def test_encounters_L02_the_runtime_is_measured_and_cost_and_temperature_are_zero(api: Api) -> None:
    [encounter] = await listed(api, await unreported(api))
    assert 0 <= encounter["RuntimeMs"] < 60_000
    assert (encounter["Cost"], encounter["Temperature"]) == (0, 0)


@pytest.mark.parametrize("times", [1, 30_000], ids=["short", "long"])
async def test_encounters_L02_the_input_is_what_the_case_was_made_of(api: Api, times: int) -> None:
    text = "Año\n" * times
    form = files_form(
        ("ñ.txt", text.encode(), "text/plain"),
        ehr=f'\ufeff {{"id": 7, "x": 1.0, "y": "{"z" * times}"}}\n',
        conversation="Hola." * times,
    )
    [encounter] = await listed(api, await unreported(api, form))
    assert encounter["Input"] == {
        "conversation": "Hola." * times,
        "ehr": {"id": 7, "x": 1.0, "y": "z" * times},
        "documents": [{"name": "ñ.txt", "text": text}],
    }


async def test_encounters_L02_says_of_a_case_what_doc_says_of_it(api: Api) -> None:
    case = await unreported(api)
    await report(api, "report.created", case, "Informe.", {"a": 1})
    [encounter] = await listed(api, case)
    document = (await get_doc(api, case))["document"]
    assert list(encounter.values()) == list(document.values())


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer unknown"},
        {"Authorization": "Bearer a b"},
        {"Authorization": "Basic YTpi"},
    ],
)
async def test_encounters_L03_without_a_valid_token_it_is_401_in_its_own_words(
    api: Api, headers: dict[str, str]
) -> None:
    assert (await call(api, "GET", "/michiQ/encounters", headers=headers)).says(401, NO_TOKEN)


async def test_encounters_L03_a_token_whose_time_is_over_is_401(api: Api) -> None:
    case = await unreported(api)
    api.clock.ahead = timedelta(hours=12)
    assert (await call(api, "GET", "/michiQ/encounters", case["token"])).says(401, NO_TOKEN)


async def test_encounters_L03_records_that_cannot_be_read_are_a_500_and_never_a_shorter_list(
    api: Api, tmp_path: Path
) -> None:
    cases = [await unreported(api) for _ in range(2)]
    unreadable = cases[0]["michiq_uuid"]
    await damage(tmp_path, f"UPDATE cases SET content = substr(content, 2) WHERE id = '{unreadable}'")
    reply = await call(api, "GET", "/michiQ/encounters", cases[1]["token"])
    assert reply.says(500, "Error al obtener los encuentros")


async def test_encounters_L01_is_read_while_the_platform_is_away(api: Api) -> None:
    """Records are the proxy's own: an access token that can't be renewed stops only who needs it."""
    case = await unreported(api)
    api.clock.ahead = timedelta(hours=2)
    api.sandbox.llamalitica.faults.add(Fault(kind="status", status=503, times=10))
    assert [each["MichiqUUID"] for each in await listed(api, case)] == [case["michiq_uuid"]]


async def test_encounters_L01_the_fields_are_the_mappings(start_proxy: StartProxy) -> None:
    def shortened(text: str) -> str:
        head, _, rest = text.partition("[answer]")
        return head + '[answer]\nId = "case.id"\n\n[errors]' + rest.partition("[errors]")[2]

    async with start_proxy(edit={"encounters": shortened}) as api:
        case = await unreported(api)
        reply: Reply = await call(api, "GET", "/michiQ/encounters", case["token"])
    assert reply.json == [{"Id": case["michiq_uuid"]}]
