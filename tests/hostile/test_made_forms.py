"""Forms made by the hundred, and what has to arrive of each."""

from hashlib import sha256
from typing import Final

import pytest

from proxy.text.tokens import estimate
from tests.conftest import Api
from tests.flows._wire import (
    IDENTITY_LINES,
    MULTIPART,
    NEW_CASE,
    form,
    new_case,
    new_case_chunked,
    part,
    request,
    talk,
)
from tests.hostile.made_forms import FAMILIES, made
from tests.hostile.spellings import NAMES

FORMS: Final = 40
WORD: Final = "palabra"


@pytest.mark.parametrize("family", FAMILIES)
async def test_form_N16_arrives_as_it_was_meant_or_is_refused(family: str, api: Api) -> None:
    verdicts = set()
    for number in range(FORMS):
        asked = made(family, number, WORD)
        pieces = (asked.body[at : at + 997] for at in range(0, len(asked.body), 997))
        data = new_case_chunked(*pieces) if number % 2 else new_case(asked.body)
        before = len(api.sandbox.llamalitica.cases)
        reply = await talk(api.url, data)
        assert reply.status == asked.status, (family, number, reply.header("X-Michiq-Cause"))
        verdicts.add(asked.status)
        cases = list(api.sandbox.llamalitica.cases.values())
        if asked.meant is None:
            assert len(cases) == before, (family, number)
            continue
        files = [(file.name, file.sha256) for file in cases[-1].files]
        expected = [(name, sha256(content).hexdigest()) for name, content in asked.meant.files]
        if asked.meant.conversation:
            expected.append(("conversation.txt", sha256(asked.meant.conversation.encode()).hexdigest()))
        assert files == expected, (family, number)
        counted = (reply.json["voice"], reply.json["documents"])
        assert counted == (estimate(asked.meant.conversation), estimate(asked.meant.read)), (family, number)
        assert cases[-1].patient_metadata["name"] == asked.meant.patient.strip(), (family, number)
    assert 200 in verdicts
    assert family == "empty parts" or len(verdicts) > 1


async def test_organization_N06_arrives_in_every_charset_that_it_may_be_in(api: Api) -> None:
    for name in NAMES:
        for charset in ("utf-8", "cp1252"):
            written = name.encode(charset, "ignore")
            lines: list[bytes | str] = [*IDENTITY_LINES[:2], b"organization: " + written, MULTIPART]
            body = form(part("conversation", "Hola."))
            assert (await talk(api.url, request(NEW_CASE, lines, body))).status == 200, name
            sent = api.sandbox.llamalitica.calls[-1].header("X-ORGANIZATION")
            assert sent == written.decode(charset).strip().encode(), (name, charset)
