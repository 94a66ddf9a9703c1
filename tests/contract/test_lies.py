"""A test of the suite itself: the command finds every lie of the legacy server, and names its row."""

from collections.abc import AsyncIterator
from typing import Final

import pytest

from proxy.sandbox import Sandbox, SandboxConfig, run_sandbox
from proxy.sandbox.lies import NAMES
from tests.conftest import API_KEY, StartProxy
from tests.contract.conftest import contract

# By lie: the row that it breaks, then those that can't hold either once it is told.
LIES: Final = {
    "wrong_method_in_english": ("G02",),
    "no_allow": ("G02",),
    "head_refused": ("G02",),
    "bad_token_forbidden": ("G04", "G02"),
    "bad_token_let_in": ("G04", "G02", "L03"),
    "bad_token_in_other_words": ("G04", "L03"),
    "key_cased_otherwise": ("N01", "N13"),
    "key_missing": ("N01",),
    "key_too_many": ("N01",),
    "message_changed": ("N01",),
    "count_negative": ("N01", "N12", "N13"),
    "count_as_text": ("N01", "N13"),
    "wrong_key_let_in": ("N03",),
    "nobody_is_a_bad_request": ("N04",),
    "token_changed": ("N07",),
    "foreign_token_let_in": ("N07",),
    "bad_ehr_is_a_bad_request": ("N08", "N12"),
    "server_errors_in_english": ("N08", "N12"),
    "file_lost": ("N10",),
    "files_swapped": ("N10",),
    "file_name_mangled": ("N10",),
    "documents_uncounted": ("N13",),
    "too_large_is_an_error": ("N15",),
    "document_key_cased_otherwise": ("D01",),
    "document_said_to_be_text": ("D01",),
    "document_of_another_id": ("D01",),
    "time_not_rfc3339": ("D01",),
    "unknown_document_null": ("D02",),
    "unknown_document_as_json": ("D02",),
    "foreign_document": ("D02",),
    "encounters_swapped": ("L01",),
    "field_missing": ("L01",),
    "integer_with_a_fraction": ("L01",),
    "time_as_number": ("L01",),
    "encounters_in_ascii": ("L01", "N10"),
    "encounters_in_an_object": ("L01", "N10"),
    "others_encounters": ("L01",),
    "response_key_cased_otherwise": ("Q01",),
    "bad_question_is_our_error": ("Q02",),
    "bad_question_as_json": ("Q02",),
    "upload_of_another_id": ("U01",),
    "upload_in_latin1": ("U01",),
    "bad_upload_taken": ("U02",),
    "time_of_speech_short": ("S01",),
    "transcription_missing": ("S01",),
    "no_audio_is_an_error": ("S03",),
    "page_of_another_unknown": ("E01",),
    "unknown_page_shown": ("E01",),
}


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with run_sandbox(SandboxConfig()) as started:
        yield started


async def test_without_lies_nothing_fails(sandbox: Sandbox) -> None:
    ran = await contract(sandbox.michiq.url, "--json")
    assert (ran.exit_code, ran.failed) == (0, set())


def test_every_lie_that_can_be_told_is_here() -> None:
    assert set(LIES) == NAMES
    assert len(NAMES) >= 25


@pytest.mark.parametrize(("lie", "rows"), LIES.items(), ids=LIES)
async def test_a_lie_is_found_and_its_row_is_named(sandbox: Sandbox, lie: str, rows: tuple[str, ...]) -> None:
    """Finds it by a full run of all routes."""
    sandbox.michiq.lies.add(lie)
    ran = await contract(sandbox.michiq.url, "--json")
    assert ran.exit_code == 1
    assert ran.failed == set(rows)
    assert API_KEY not in ran.output


@pytest.mark.parametrize(
    ("row", "file", "old", "new"),
    [
        ("N01", "new_case", 'voice = "tokens.conversation"', 'Voice = "tokens.conversation"'),
        ("N13", "new_case", 'documents = "tokens.documents"', 'documents = "`1`"'),
        ("D01", "doc", 'creationDate = "case.created_at"', 'created = "case.created_at"'),
        ("L02", "encounters", 'Cost = "`0`"', 'Cost = "`1`"'),
        ("Q02", "query", 'text = "Query no proporcionada"', 'text = "Falta la pregunta"'),
        ("U01", "upload_audio", "Archivo subido exitosamente", "Archivo subido"),
        ("S01", "speech_to_text", 'michiq_uuid = "legacy_id"', 'uuid = "legacy_id"'),
        ("E02", "encounter_page", 'urls = "urls"', 'addresses = "urls"'),
        ("E01", "encounter_page", "foreign_id = { status = 403", "foreign_id = { status = 404"),
    ],
)
async def test_a_proxy_whose_mapping_breaks_a_row_fails_it(
    start_proxy: StartProxy, row: str, file: str, old: str, new: str
) -> None:
    """Fails the proxy for rows of our own choice as for documented ones."""

    def edit(text: str) -> str:
        assert old in text
        return text.replace(old, new)

    async with start_proxy({file: edit}) as api:
        ran = await contract(api.url, "--json")
    assert ran.exit_code == 1
    assert row in ran.failed
