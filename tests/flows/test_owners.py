"""A mail address is one owner in any case; who was kept under an older hash notices nothing of it (N06)."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from proxy.store.sealing.sealer import Sealer
from tests.conftest import Api, StartProxy, bearer
from tests.flows._client import Patient, calls, patient, settled
from tests.flows._wire import IDENTITY_LINES, MULTIPART, NEW_CASE, form, part, request, talk
from tests.rollout.moving import all_in, override
from tests.samples import wav

MAIL, SHOUTED, OTHER = "ana@clinica.example", "Ana@Clinica.EXAMPLE", "ANA@CLINICA.EXAMPLE"


@pytest.fixture
def earlier(monkeypatch: pytest.MonkeyPatch) -> "Earlier":
    return Earlier(monkeypatch)


class Earlier:
    """An earlier release, which took a user as they were spelt, in the place of this one."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch

    @contextmanager
    def release(self) -> Iterator[None]:
        with self._monkeypatch.context() as patch:
            patch.setattr(Sealer, "owner", Sealer.spelt_owner)
            yield


async def listed(api: Api, token: str) -> set[str]:
    async with api.http.get(f"{api.url}/michiQ/encounters", headers=bearer(token)) as response:
        assert response.status == 200
        return {each["MichiqUUID"] for each in await response.json()}


async def works(case: Patient) -> None:
    """Does all that a user does with a case of theirs."""
    assert (await case.call("GET", "/michiQ/doc/{id}")).status == 200
    assert (await case.upload(wav(0.1))).status == 200
    assert (await case.transcribe()).status == 200
    assert (await case.call("POST", "/michiQ/query/{id}", json={"query": "¿Edad?"})).status == 200


async def test_user_N06_in_another_case_is_the_same_one_and_is_sent_on_as_it_came(api: Api) -> None:
    cases = [await patient(api, user_mail=each) for each in (MAIL, SHOUTED, OTHER)]
    for case in cases:
        assert await listed(api, case.token) == {each.id for each in cases}
        await works(replace(case, id=cases[0].id))
    sent = [dict(call.headers)[b"X-USER-EMAIL"].decode() for call in calls(api, "/api/cases")[:3]]
    assert sent == [MAIL, SHOUTED, OTHER]


async def test_user_N06_of_another_organization_or_address_stays_another(api: Api) -> None:
    own = await patient(api)
    for headers in ({"organization": "Otra"}, {"user_mail": "ana@otra.example"}):
        other = await patient(api, **{"user_mail": SHOUTED, **headers})
        assert await listed(api, other.token) == {other.id}
        assert (await replace(other, id=own.id).call("GET", "/michiQ/doc/{id}")).status == 404


async def test_user_N06_tokens_of_an_older_hash_go_on_before_and_after_its_rows_move(
    api: Api, earlier: Earlier
) -> None:
    with earlier.release():
        old = await patient(api, user_mail=SHOUTED)
        new = await patient(api, user_mail=MAIL)
        await old.uploaded(wav(0.2))
        assert await listed(api, old.token) == {old.id}
    await works(old)
    assert await listed(api, old.token) == {old.id}, "before the next newCase of that spelling"
    assert await listed(api, new.token) == {new.id}
    third = await patient(api, user_mail=SHOUTED)
    for each in (old, new, third):
        assert await listed(api, each.token) == {old.id, new.id, third.id}
        await works(replace(old, token=each.token))


async def test_user_N06_a_token_of_an_older_hash_is_given_back_to_another_spelling(
    api: Api, earlier: Earlier
) -> None:
    """N07: it is valid for this user. The session's sealed user tells which older hash has to move."""
    with earlier.release():
        old = await patient(api, user_mail=SHOUTED)
    made = await api.new_case(None, **bearer(old.token), user_mail=OTHER)
    assert made["token"] == old.token
    assert await listed(api, old.token) == {old.id, made["michiq_uuid"]}


async def test_user_N06_an_idempotency_key_of_an_older_hash_still_gets_its_answer(
    api: Api, earlier: Earlier
) -> None:
    lines = [line for line in IDENTITY_LINES if not line.startswith("user_mail")]
    body = form(part("conversation", "Hola."))
    asked = request(NEW_CASE, [*lines, f"user_mail: {SHOUTED}", MULTIPART, "Idempotency-Key: visita-1"], body)
    with earlier.release():
        first = await talk(api.url, asked)
    second = await talk(api.url, asked)
    assert (second.status, second.body) == (200, first.body)
    assert len(calls(api, "/api/cases")) == 1


async def test_user_N06_was_seen_for_the_first_time_once(api: Api, earlier: Earlier) -> None:
    with earlier.release():
        await patient(api, user_mail=SHOUTED)
    await patient(api, user_mail=SHOUTED)
    assert [row.action for row in await api.proxy.deps.store.audit.all()].count("first_user") == 1


async def test_user_N06_audio_of_an_older_hash_is_transcribed_into_its_case_while_the_rows_move(
    api: Api, earlier: Earlier
) -> None:
    with earlier.release():
        old = await patient(api, user_mail=SHOUTED)
        await old.uploaded(wav(0.2))
    text = (await old.transcribed())["transcription"]
    await patient(api, user_mail=SHOUTED)
    await settled(api)
    assert text in str(await old.document())


async def test_user_N06_an_older_hash_keeps_its_session_on_the_legacy_server(
    start_proxy: StartProxy, earlier: Earlier
) -> None:
    """A client with a token of the new side still reaches its cases there, and makes new ones."""
    async with start_proxy(all_in("legacy"), legacy=True) as api:
        with earlier.release():
            there = await patient(api, user_mail=SHOUTED)
            await override(api, "new_case", "new")
            here = await patient(api, user_mail=SHOUTED)
            await override(api, "new_case", "legacy")
        assert (await replace(there, token=here.token).call("GET", "/michiQ/doc/{id}")).status == 200
        made = await api.new_case(None, **bearer(here.token), user_mail=SHOUTED)
        assert made["token"] == here.token
        assert made["michiq_uuid"] in api.sandbox.michiq.encounters
        for each in (there.id, here.id, made["michiq_uuid"]):
            for token in (there.token, here.token):
                case = Patient(api, each, token)
                assert (await case.call("GET", "/michiQ/doc/{id}")).status == 200
        everything = {there.id, here.id, made["michiq_uuid"]}
        assert await listed(api, here.token) == await listed(api, there.token) == everything
