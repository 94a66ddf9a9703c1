"""Checks L: GET /michiQ/encounters."""

from datetime import datetime
from itertools import pairwise
from typing import Final

from proxy.contract import expect
from proxy.contract.check import SHARED, Writes, chosen, documented
from proxy.contract.probe import Probe
from proxy.contract.routes import ENCOUNTERS
from proxy.contract.samples import BARE, EHR, FILES, SAID
from proxy.contract.verdicts import Mismatch
from proxy.values import Json

ALWAYS: Final = {
    "MichiqUUID": expect.FILLED,
    "Timestamp": expect.TIME,
    "Username": expect.STRING,
    "OrganizationID": expect.STRING,
    "TokensGenerated": expect.INTEGER,
    "TokensInput": expect.INTEGER,
    "Cost": expect.NUMBER,
    "RuntimeMs": expect.INTEGER,
    "Temperature": expect.NUMBER,
    "Input": expect.ANYTHING,
    "StructuredData": expect.ANYTHING,
}
WHEN_KNOWN: Final = {
    "GeneratedText": expect.STRING,
    "MichiqCoreVersion": expect.STRING,
    "AcrVersion": expect.STRING,
    "UserScore": expect.INTEGER,
}


@documented("L01", ENCOUNTERS, "every encounter has all fields of MichiqDocument, of their types", SHARED)
async def fields(probe: Probe) -> None:
    case = await probe.main()
    expect.kinds(await probe.encounter(case), ALWAYS, of="the new encounter")
    for each in await probe.encounters(case.token):
        known = {key: kind for key, kind in WHEN_KNOWN.items() if key in each}
        expect.kinds(each, ALWAYS | known, of="each encounter")


@documented("L01", ENCOUNTERS, "the newest encounter stands first", Writes(cases=1))
async def newest_first(probe: Probe) -> None:
    older = await probe.main()
    newer = await probe.make(BARE, Authorization=f"Bearer {older.token}")
    listed = await probe.encounters(older.token)
    positions = {each.get("MichiqUUID"): position for position, each in enumerate(listed)}
    if older.id not in positions or newer.id not in positions:
        raise Mismatch("both new cases in the list", "one of them is missing")
    expect.true(positions[newer.id] < positions[older.id], "the newer case first", "the older one first")
    expect.true(_descending(listed), "times that never rise", "an older encounter before a newer one")


def _descending(listed: list[dict[str, Json]]) -> bool:
    times = [each["Timestamp"] for each in listed if expect.TIME.fits(each.get("Timestamp"))]
    moments = [datetime.fromisoformat(str(time)) for time in times]
    return all(newer >= older for newer, older in pairwise(moments))


@documented("L01", ENCOUNTERS, "other users' encounters are absent", SHARED)
async def own_only(probe: Probe) -> None:
    own, foreign = await probe.main(), await probe.foreign()
    for whose, token, case in (("ours", own.token, foreign), ("the other user's", foreign.token, own)):
        ids = [each.get("MichiqUUID") for each in await probe.encounters(token)]
        expect.true(case.id not in ids, f"{whose} list without the other's case", "it is there")


@chosen("L02", ENCOUNTERS, "Input is conversation, ehr and documents; nothing of the ehr is lost", SHARED)
async def what_came_in(probe: Probe) -> None:
    given = expect.mapping((await probe.encounter(await probe.bare())).get("Input"), "`Input`")
    expect.exactly_keys(given, {"conversation", "ehr", "documents"})
    expect.same(given["ehr"], dict(EHR), "the ehr")
    given = expect.mapping((await probe.encounter(await probe.main())).get("Input"), "`Input`")
    expect.same(given["conversation"], SAID, "the conversation")
    documents = given["documents"]
    came = len(documents) if isinstance(documents, list) else 0
    expect.same(came, len(FILES), "the number of documents")


@chosen("L02", ENCOUNTERS, "tokens are those that newCase counted; cost and temperature are 0", SHARED)
async def figures(probe: Probe) -> None:
    case = await probe.bare()
    encounter = await probe.encounter(case)
    counts = [case.answer.get(key) for key in ("voice", "ehr", "documents")]
    expect.same(encounter.get("TokensInput"), sum(n for n in counts if isinstance(n, int)), "`TokensInput`")
    for key in ("Cost", "Temperature"):
        expect.true(encounter.get(key) == 0, f"`{key}` 0", expect.name_of(encounter.get(key)))


@documented("L03", ENCOUNTERS, "without a token the list is refused with its own sentence")
async def refused(probe: Probe) -> None:
    reply = await probe.ask(ENCOUNTERS.method, ENCOUNTERS.path())
    expect.text(reply, 401, "Error al obtener el token de autorización")


CHECKS: Final = (fields, newest_first, own_only, what_came_in, figures, refused)
