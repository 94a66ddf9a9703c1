"""An ehr that is read in two ways: a key twice, half of an emoji. It goes on as it came (CONTRACT N08)."""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final

import pytest

from proxy.values import Json
from tests.conftest import Api, StartProxy, bearer, case_form
from tests.flows._wire import form, new_case, part, talk
from tests.flows.reading import ask, call, get_doc, sent

# What a client sent, and what everybody reads in it who has to.
ODD: Final[dict[str, tuple[bytes, dict[str, Json]]]] = {
    "a key twice": (b'{"id":"p-0","id":"p-1","name":"Eva","name":"Ana"}', {"id": "p-1", "name": "Ana"}),
    "a key twice below": (
        b'{"id": "p-1", "name": "Ana", "alta": {"dx": "A", "dx": "B"}}',
        {"id": "p-1", "name": "Ana", "alta": {"dx": "B"}},
    ),
    "a key twice, once escaped": (
        rb'{"\u0069d": "p-0", "id": "p-1", "name": "Ana"}',
        {"id": "p-1", "name": "Ana"},
    ),
    "half an emoji": (
        rb'{"id": "p-1", "name": "Ana \ud83d", "nota": "Bien \ud83d"}',
        {"id": "p-1", "name": "Ana \ufffd", "nota": "Bien \ufffd"},
    ),
    "the other half, in an id": (rb'{"id": "p\ude00", "name": "Ana"}', {"id": "p\ufffd", "name": "Ana"}),
    "half an emoji in a key": (
        rb'{"id": "p-1", "name": "Ana", "\ud83d": 1.10}',
        {"id": "p-1", "name": "Ana", "\ufffd": 1.1},
    ),
    "both, and large": (
        rb'{"id": "p-0", "id": "p-1", "name": "Ana \ud83d", "nota": "' + b"Bien. " * 20_000 + b'"}',
        {"id": "p-1", "name": "Ana \ufffd", "nota": "Bien. " * 20_000},
    ),
}


async def odd_case(api: Api, raw: bytes) -> Any:
    reply = await talk(api.url, new_case(form(part("ehr", raw))))
    assert reply.status == 200, reply.text
    return reply.json


def metadata(api: Api) -> Mapping[str, Json]:
    return list(api.sandbox.llamalitica.cases.values())[-1].patient_metadata


def sent_digest(api: Api) -> str:
    """Returns the digest of the patientMetadata, as its bytes came to the platform."""
    parts = api.sandbox.llamalitica.calls[-1].facts["parts"]
    assert isinstance(parts, list)
    assert isinstance(parts[0], dict)
    return str(parts[0]["sha256"])


@pytest.mark.parametrize(("raw", "read"), ODD.values(), ids=ODD)
async def test_ehr_N08_that_is_read_in_two_ways_goes_on_as_it_came(
    api: Api, raw: bytes, read: dict[str, Json]
) -> None:
    await odd_case(api, raw)
    who = f'{{"id":"{read["id"]}","name":"{read["name"]}","other-clinical-data":'.encode()
    assert sent_digest(api) == sha256(who + raw + b"}").hexdigest()


@pytest.mark.parametrize(("raw", "read"), ODD.values(), ids=ODD)
async def test_ehr_N08_that_is_read_in_two_ways_is_shown_in_one(
    api: Api, raw: bytes, read: dict[str, Json]
) -> None:
    case = await odd_case(api, raw)
    document = (await get_doc(api, case))["document"]
    assert document["input"]["ehr"] == read
    listed = await call(api, "GET", "/michiQ/encounters", case["token"])
    assert [each["Input"]["ehr"] for each in listed.json] == [read]


async def test_ehr_N08_with_half_an_emoji_can_be_asked_about(api: Api) -> None:
    case = await odd_case(api, rb'{"id": "p-1", "alergia": "polen", "alergia": "penicilina \ud83d"}')
    reply = await ask(api, case, "¿A qué tiene alergia?")
    assert reply.status == 200
    assert "alergia: penicilina \ufffd" in sent(api)[-1]
    assert "polen" not in sent(api)[-1]


async def test_ehr_N08_that_is_read_in_two_ways_takes_the_conversation_in(start_proxy: StartProxy) -> None:
    edit = {"new_case": lambda text: text.replace('conversation = "file"', 'conversation = "clinical-data"')}
    async with start_proxy(edit=edit) as api:
        raw = rb'{"id":"p-1","id":"p-2","conversation":"\ud83d"}'
        await talk(api.url, new_case(form(part("ehr", raw), part("conversation", "Hola."))))
        whole = b'{"id":"p-2","name":"Paciente","other-clinical-data":' + raw[:-1]
        assert sent_digest(api) == sha256(whole + b',"_conversation":"Hola."}}').hexdigest()


async def test_patient_N09_of_half_an_emoji_is_known_again(api: Api) -> None:
    ids = []
    for raw in (
        rb'{"name": "Ana \ud83d", "birth_date": "1980-01-01"}',
        rb'{"name": "ANA \ud83e", "birth_date": "1980-01-01"}',
        '{"name": "Ana \ufffd", "dob": "1980-01-01"}'.encode(),
    ):
        await odd_case(api, raw)
        ids.append(metadata(api)["id"])
    assert len(set(ids)) == 1


async def test_ehr_N08_that_is_read_in_two_ways_is_kept_for_a_repeat(api: Api) -> None:
    raw = r'{"id": "p-1", "id": "p-2", "nota": "\ud83d"}'
    key = {"Idempotency-Key": "una"}
    first = await api.new_case(case_form(ehr=raw), **key)
    again = await api.new_case(case_form(ehr=raw), **bearer(first["token"]), **key)
    assert again["michiq_uuid"] == first["michiq_uuid"]
