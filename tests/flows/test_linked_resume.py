"""Linked cases that a process had before it when it was killed: the next one makes them (CONTRACT S05)."""

from dataclasses import replace
from pathlib import Path

from sqlalchemy import Connection, delete

from proxy.store.presence import FilePresence
from proxy.store.sql.tables import sessions
from proxy.values import Session
from tests.conftest import Api, StartProxy
from tests.flows._client import Patient, created, patient, settled
from tests.samples import wav

GONE = "0" * 32


def off(mapping: str) -> str:
    return mapping.replace('forward = "linked-case"', 'forward = "none"')


async def transcribed(api: Api) -> tuple[Patient, Session, str]:
    """Makes a case with a transcribed recording; returns it, its session, and the digest of the audio."""
    case = await patient(api)
    await case.uploaded(wav(0.1))
    await case.transcribed()
    store = api.proxy.deps.store
    session = await store.sessions.get(case.token)
    assert session
    (recording,) = await store.recordings.of(session.owner, case.id)
    return case, session, recording.digest


async def left_behind(start_proxy: StartProxy, *, sessions_too: bool = True) -> Patient:
    """A transcribed case whose linked case was planned by a process that was killed right then."""
    async with start_proxy(edit={"speech_to_text": off}) as api:
        case, session, digest = await transcribed(api)
        store = api.proxy.deps.store
        links = replace(store.links, presence=FilePresence(Path(), GONE))
        await links.plan(case.id, [digest], session.expires_at)
        if not sessions_too:
            await store.database.write(_forget_sessions)
        return case


def _forget_sessions(conn: Connection) -> None:
    conn.execute(delete(sessions))


async def states(api: Api, case: Patient) -> list[str]:
    await settled(api)
    return [link.state for link in await api.proxy.deps.store.links.of(case.id)]


async def test_speech_S05_a_linked_case_that_was_before_a_killed_process_is_made_by_the_next(
    start_proxy: StartProxy,
) -> None:
    case = await left_behind(start_proxy)
    async with start_proxy() as api:
        assert await states(api, case) == ["done"]
        (made,) = api.sandbox.llamalitica.cases.values()
        assert {file.name for file in made.files} == {
            "consulta.wav",
            "conversation.txt",
            "transcription.txt",
        }
    async with start_proxy() as api:
        assert await states(api, case) == ["done"]
        assert created(api) == [], "it was made twice"


async def test_speech_S05_what_was_switched_off_meanwhile_is_not_made(start_proxy: StartProxy) -> None:
    case = await left_behind(start_proxy)
    async with start_proxy(edit={"speech_to_text": off}) as api:
        assert await states(api, case) == ["pending"]
        assert created(api) == []


async def test_speech_S05_without_a_session_it_waits_for_the_next_transcription(
    start_proxy: StartProxy,
) -> None:
    case = await left_behind(start_proxy, sessions_too=False)
    async with start_proxy() as api:
        assert await states(api, case) == ["pending"]
        made = await api.new_case()
        again = replace(case, api=api, token=made["token"])
        await again.transcribed()
        assert await states(api, case) == ["done"]
