"""Checks D: GET /michiQ/doc/{id}."""

from typing import Final

from proxy.contract import expect
from proxy.contract.check import SHARED, chosen, documented
from proxy.contract.probe import Case, Probe
from proxy.contract.routes import DOC
from proxy.contract.verdicts import Mismatch
from proxy.values import Json

# MichiqDocument in snake_case: the fields that are always there.
FIELDS: Final = {
    "michiq_uuid": expect.FILLED,
    "timestamp": expect.TIME,
    "username": expect.STRING,
    "organization_id": expect.STRING,
    "tokens_generated": expect.INTEGER,
    "tokens_input": expect.INTEGER,
    "cost": expect.NUMBER,
    "runtime_ms": expect.INTEGER,
    "temperature": expect.NUMBER,
    "input": expect.ANYTHING,
    "structured_data": expect.ANYTHING,
}


async def _doc(probe: Probe, case: Case) -> tuple[dict[str, Json], dict[str, Json]]:
    """Returns the document and its metadata."""
    answer = expect.json_object(await probe.ask(DOC.method, DOC.path(case.id), token=case.token))
    document, metadata = (expect.mapping(answer.get(key), f"`{key}`") for key in ("document", "metadata"))
    return document, metadata


@documented("D01", DOC, "the document names its case, its user and its time", SHARED)
async def document(probe: Probe) -> None:
    case = await probe.main()
    came, _ = await _doc(probe, case)
    expect.kinds(came, {"username": expect.FILLED, "timestamp": expect.TIME}, of="`document`")
    expect.same(came.get("michiq_uuid"), case.id, "`michiq_uuid`")


@documented("D01", DOC, "the metadata has user, creation date and file extension", SHARED)
async def metadata(probe: Probe) -> None:
    _, came = await _doc(probe, await probe.main())
    wanted = {"username": expect.FILLED, "creationDate": expect.TIME, "fileExtension": expect.FILLED}
    expect.kinds(came, wanted, of="`metadata`")


@chosen(
    "D01", DOC, "all fields are in snake_case, users are mails, the extension is the first file's", SHARED
)
async def fields(probe: Probe) -> None:
    full, bare = await probe.main(), await probe.bare()
    came, about = await _doc(probe, full)
    expect.kinds(came, FIELDS, of="`document`")
    expect.same(came["username"], probe.target.user, "`username`")
    expect.same(about.get("fileExtension"), ".pdf", "`fileExtension`")
    expect.same((await _doc(probe, bare))[1].get("fileExtension"), ".txt", "`fileExtension`")


@documented("D02", DOC, "an unknown id is answered 404", SHARED)
async def unknown(probe: Probe) -> None:
    token = (await probe.main()).token
    reply = await probe.ask(DOC.method, DOC.path("prueba-michiq-proxy-desconocido"), token=token)
    expect.text(reply, 404, "Not Found")


@documented("D02", DOC, "another user's document is not shown", SHARED)
async def not_shown(probe: Probe) -> None:
    foreign = await probe.foreign()
    reply = await probe.ask(DOC.method, DOC.path(foreign.id), token=(await probe.main()).token)
    expect.true(400 <= reply.status < 500, "a refusal", reply.described())


@chosen("D02", DOC, "another user's id is answered as an unknown one", SHARED)
async def foreign_as_unknown(probe: Probe) -> None:
    foreign = await probe.foreign()
    reply = await probe.ask(DOC.method, DOC.path(foreign.id), token=(await probe.main()).token)
    expect.text(reply, 404, "Not Found")


@chosen("D03", DOC, "a case without a report is shown with what is known", SHARED)
async def without_report(probe: Probe) -> None:
    case = await probe.bare()
    came, _ = await _doc(probe, case)
    if came.get("michiq_uuid") != case.id:
        raise Mismatch("the case", "another one")


CHECKS: Final = (document, metadata, fields, unknown, not_shown, foreign_as_unknown, without_report)
