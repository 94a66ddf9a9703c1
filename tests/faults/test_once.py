"""newCase that breaks off at every point: one case at the most, nothing lost, nothing sent again (N17)."""

from pathlib import Path

from cryptography.fernet import Fernet

from tests.conftest import IDENTITY, case_form
from tests.faults.facing import facing, hurried
from tests.faults.once import POINTS, asked_again, broken_off, faults_of, lost, states
from tests.faults.system import Exchange, Script, framed, system


async def test_case_N17_that_breaks_off_anywhere_is_made_once_kept_and_never_sent_again(
    tmp_path: Path,
) -> None:
    key = Fernet.generate_key().decode()
    async with system() as platform, system() as chat:
        async with facing(tmp_path, platform.url, chat.url, MICHIQ_SECRET_KEYS=key) as api:
            tries = []
            for name in POINTS:
                if name == "timeout":
                    with hurried():
                        tries += await broken_off(api, platform, name, 2)
                else:
                    tries += await broken_off(api, platform, name, 2)
            assert await faults_of(api, platform, tries) == []
            held = await states(api, tries)
        sent = sum(platform.arrived.values())
        async with facing(tmp_path, platform.url, chat.url, MICHIQ_SECRET_KEYS=key) as api:
            assert await states(api, tries) == held
            assert await lost(api, tries) == []
            assert sum(platform.arrived.values()) == sent
            assert await asked_again(api, platform, tries) == []


async def test_case_N17_that_can_not_be_recorded_is_shown_and_never_sent_again(tmp_path: Path) -> None:
    """Such as one under the id of another user's, which stays theirs."""
    async with system() as platform, system() as chat, facing(tmp_path, platform.url, chat.url) as api:
        ana = await api.new_case(None, user_mail="ana@a.example")
        platform.spoilt = ("create", _with_id(ana["michiq_uuid"]))
        for _ in range(2):
            headers = {**IDENTITY, "user_mail": "bea@a.example", "Idempotency-Key": "1"}
            url = f"{api.url}/michiQ/newCase"
            async with api.http.post(url, data=case_form(), headers=headers) as response:
                assert (response.status, await response.text()) == (500, "Error al guardar el documento")
            (entry,) = await api.proxy.deps.store.journal.pending()
            assert (entry.state, entry.cause) == ("ambiguous", "interrupted")
        assert platform.arrived["create", "bea@a.example"] == 1
        case = await api.proxy.deps.store.cases.get(ana["michiq_uuid"])
        assert case
        assert case.user == "ana@a.example"


def _with_id(case_id: str) -> Script:
    async def script(exchange: Exchange) -> None:
        await exchange.body()
        await exchange.say(framed(exchange.named(case_id)))

    return script
