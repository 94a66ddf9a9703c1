"""Checks N: the case that newCase makes from its form (CONTRACT N08–N13)."""

from typing import Final

from proxy.contract import expect
from proxy.contract.check import SHARED, Writes, chosen, documented, unseen
from proxy.contract.probe import Case, Probe
from proxy.contract.routes import NEW_CASE
from proxy.contract.samples import (
    CONVERSATION,
    EHR_FILE,
    FILES,
    NOTE,
    PDF_FILE,
    REPORT,
    SAID,
    Part,
    form,
    pdf,
)
from proxy.contract.verdicts import NotApplicable
from proxy.values import Json

_BAD_EHR: Final = {
    "the ehr is no JSON": b'{"name": "Prueba',
    "the ehr is an array": b'[{"name": "Prueba michiq-proxy"}]',
    "the ehr is a string": b'"Prueba michiq-proxy"',
    "the ehr is a number": b"1",
    "the ehr isn't UTF-8": '{"name": "Núñez"}'.encode("latin-1"),
}
_BROKEN_PDF: Final = b"%PDF-1.7\n" + bytes(range(128, 256)) * 8


@documented("N08", NEW_CASE, "an ehr that is not a JSON object in UTF-8 is answered 500", SHARED)
async def bad_ehr(probe: Probe) -> None:
    for when, ehr in _BAD_EHR.items():
        for part in (Part("ehr", ehr, "ehr.json", "application/json"), Part("ehr", ehr)):
            reply = await probe.new_case(form(CONVERSATION, part))
            expect.text(reply, 500, "Error al leer la historia clínica", when=when)


@chosen("N08", NEW_CASE, "a form without ehr makes a case that counts 0 for it", Writes(cases=1))
async def no_ehr(probe: Probe) -> None:
    answer = (await probe.make(form(CONVERSATION))).answer
    expect.same(answer.get("ehr"), 0, "`ehr`")


@documented("N10", NEW_CASE, "every file is there, in order, with its name and text", SHARED)
async def files(probe: Probe) -> None:
    await _hold_files(probe, await probe.main(), FILES)


@documented("N10", NEW_CASE, "the parts of the form may come in any order", Writes(cases=1))
async def any_order(probe: Probe) -> None:
    case = await probe.make(form(FILES[1], CONVERSATION, FILES[0], EHR_FILE))
    await _hold_files(probe, case, FILES[::-1])


async def _hold_files(probe: Probe, case: Case, sent: tuple[Part, ...]) -> None:
    documents = await _input(probe, case, "documents")
    if not isinstance(documents, list):
        raise NotApplicable("this host doesn't list an encounter's documents")
    listed = [expect.mapping(each, "each document") for each in documents]
    expect.same([each.get("name") for each in listed], [part.filename for part in sent], "the files")
    for part, document in zip(sent, listed, strict=True):
        wanted = REPORT if part is PDF_FILE else NOTE
        text = document.get("text")
        expect.true(
            isinstance(text, str) and wanted in text, f"the text of {part.filename}", expect.name_of(text)
        )


@chosen("N11", NEW_CASE, "the conversation is stored word for word", SHARED)
async def conversation(probe: Probe) -> None:
    expect.same(await _input(probe, await probe.main(), "conversation"), SAID, "the conversation")


async def _input(probe: Probe, case: Case, key: str) -> Json:
    given = (await probe.encounter(case)).get("Input")
    return given.get(key) if isinstance(given, dict) else None


@documented("N12", NEW_CASE, "a damaged PDF is answered 500", SHARED)
async def damaged_pdf(probe: Probe) -> None:
    for when, content in (("a PDF is noise", _BROKEN_PDF), ("a PDF is cut", PDF_FILE.content[:300])):
        broken = Part("files", content, "roto.pdf", "application/pdf")
        reply = await probe.new_case(form(EHR_FILE, broken))
        expect.text(reply, 500, "Error al leer el archivo PDF", when=when)


@documented("N12", NEW_CASE, "a PDF without text is taken, and counts 0", Writes(cases=1))
async def blank_pdf(probe: Probe) -> None:
    blank = Part("files", pdf(""), "escaneado.pdf", "application/pdf")
    answer = (await probe.make(form(EHR_FILE, blank))).answer
    expect.same(answer.get("documents"), 0, "`documents`")


@documented("N13", NEW_CASE, "conversation, ehr and every file with text are counted", SHARED)
async def counted(probe: Probe) -> None:
    full, bare = (await probe.main()).answer, (await probe.bare()).answer
    expect.same(bare.get("voice"), 0, "without a conversation, `voice`")
    for key in ("voice", "ehr", "documents"):
        expect.true(_number(full.get(key)) > 0, f"`{key}` > 0", expect.name_of(full.get(key)))
    expect.true(
        _number(full.get("documents")) > _number(bare.get("documents")) > 0,
        "`documents` to be more for two files than for one of them",
        "it isn't",
    )


def _number(value: Json) -> float:
    return value if isinstance(value, int | float) else -1


CHECKS: Final = (
    bad_ehr,
    no_ehr,
    unseen(
        "N09",
        NEW_CASE,
        "patientMetadata has an id and a name, and the whole ehr",
        "what is sent to the new platform can't be seen from here",
    ),
    files,
    any_order,
    conversation,
    damaged_pdf,
    blank_pdf,
    counted,
)
