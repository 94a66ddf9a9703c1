"""The clients against the sandbox, which refuses whatever the documents don't allow."""

import hashlib
import secrets
from collections.abc import AsyncIterator

import pytest

from proxy.errors import UpstreamError
from proxy.sandbox.config import SandboxConfig
from proxy.sandbox.run import Sandbox, run_sandbox
from proxy.spool import Bytes
from proxy.upstream import Upstreams, open_upstreams
from proxy.values import Identity, OutgoingFile
from tests.upstream.wire import Repeated, ignore

ANA = Identity(api_key="key-1", user="ana@example.org", organization="Clínica")
CHAT_KEY = "key-2"


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    config = SandboxConfig(api_keys=frozenset({"key-1"}), chat_keys={"proxy": CHAT_KEY})
    async with run_sandbox(config) as sandbox:
        yield sandbox


@pytest.fixture
async def upstreams(sandbox: Sandbox) -> AsyncIterator[Upstreams]:
    async with open_upstreams(
        llamalitica_url=sandbox.llamalitica.url,
        llamachat_url=sandbox.llamachat.url,
        legacy_url=None,
        randomness=secrets.token_bytes,
        on_call=ignore,
    ) as upstreams:
        yield upstreams


async def test_N06_N10_a_case_with_files_is_made_as_the_document_has_it(
    sandbox: Sandbox, upstreams: Upstreams
) -> None:
    me = await upstreams.llamalitica.me(ANA)
    assert me.expires_at is not None
    files = [
        OutgoingFile('un "día".txt', "text/plain", Bytes(b"a")),
        OutgoingFile("b.bin", "a/b", Repeated(9)),
    ]
    made = await upstreams.llamalitica.create_case(ANA, Bytes('{"id": "p1", "name": "Ána"}'.encode()), files)
    kept = sandbox.llamalitica.cases[made.case_id]
    assert kept.organization_header == "Clínica".encode()
    assert kept.patient_metadata == {"id": "p1", "name": "Ána"}
    assert [(file.name, file.sha256) for file in kept.files] == [
        ('un "día".txt', hashlib.sha256(b"a").hexdigest()),
        ("b.bin", hashlib.sha256(bytes(9 * 65536)).hexdigest()),
    ]


async def test_N03_an_unknown_key_is_unauthorized(upstreams: Upstreams) -> None:
    stranger = Identity(api_key="other", user="ana@example.org", organization=None)
    with pytest.raises(UpstreamError, match=r"^upstream_unauthorized \(llamalitica-401\)$"):
        await upstreams.llamalitica.me(stranger)


async def test_X02_a_conversation_is_started_and_continued(upstreams: Upstreams) -> None:
    assert upstreams.llamachat is not None
    conversation = await upstreams.llamachat.start(CHAT_KEY)
    assert await upstreams.llamachat.send(CHAT_KEY, conversation, "La paciente toma enalapril.\n¿Qué toma?")


async def test_X02_audio_is_transcribed(upstreams: Upstreams) -> None:
    assert upstreams.llamachat is not None
    audio = Bytes(b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(24))
    assert await upstreams.llamachat.transcribe(CHAT_KEY, "a.wav", "audio/wav", audio)
