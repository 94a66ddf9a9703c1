"""Checks N: the callers that may make a case, and newCase's answers (CONTRACT N01–N07, N14, N17–N19)."""

from typing import Final

from proxy.contract import expect
from proxy.contract.check import SHARED, Writes, chosen, documented, proxys_own, unseen
from proxy.contract.probe import Probe
from proxy.contract.routes import DOC, NEW_CASE
from proxy.contract.samples import BARE, CONVERSATION, FULL, MULTIPART, UNREADABLE, form
from proxy.contract.verdicts import Mismatch

_UNAUTHORIZED: Final = "Unauthorized"
_KEYS: Final = {"michiq_uuid", "token", "message", "voice", "ehr", "documents"}


@documented("N01", NEW_CASE, "a case is answered with exactly the six documented keys", SHARED)
async def six_keys(probe: Probe) -> None:
    answer = (await probe.main()).answer
    expect.exactly_keys(answer, _KEYS)
    expect.same(answer["message"], "You are inside llamalitica services", "`message`")


@documented("N01", NEW_CASE, "the three counts are integers ≥ 0", SHARED)
async def counts(probe: Probe) -> None:
    expect.kinds((await probe.main()).answer, dict.fromkeys(("voice", "ehr", "documents"), expect.COUNT))


@chosen("N02", NEW_CASE, "the case belongs to the user and organization of the headers", SHARED)
async def whose(probe: Probe) -> None:
    encounter = await probe.encounter(await probe.main())
    expect.same(encounter.get("Username"), probe.target.user, "`Username`")
    expect.same(encounter.get("OrganizationID"), probe.target.organization, "`OrganizationID`")


@documented("N03", NEW_CASE, "no API_KEY, or an empty one, is answered 401")
async def no_key(probe: Probe) -> None:
    await _without(probe, "API_KEY")
    reply = await probe.new_case(UNREADABLE, API_KEY="")
    expect.text(reply, 401, _UNAUTHORIZED, when="API_KEY is empty")


@documented("N03", NEW_CASE, "a wrong API_KEY is answered 401", SHARED)
async def wrong_key(probe: Probe) -> None:
    # The form is readable, because no document says which of two faults is answered first (N03, N08).
    expect.text(await probe.new_case(FULL, API_KEY="prueba-michiq-proxy"), 401, _UNAUTHORIZED)


@documented("N04", NEW_CASE, "no user_mail or no organization is answered 401")
async def nobody(probe: Probe) -> None:
    await _without(probe, "user_mail")
    await _without(probe, "organization")
    await _without(probe, "user_mail", "organization")


async def _without(probe: Probe, *names: str) -> None:
    headers = {name: value for name, value in probe.identity().items() if name not in names}
    reply = await probe.ask(NEW_CASE.method, NEW_CASE.path(), headers=headers, body=UNREADABLE)
    expect.text(reply, 401, _UNAUTHORIZED, when=f"{' and '.join(names)} is missing")


@chosen("N06", NEW_CASE, "an identity header given twice, or differently in two spellings, is answered 400")
async def repeated_header(probe: Probe) -> None:
    for name in probe.identity():
        for again in sorted({name, name.replace("_", "-")}):
            lines = [*_lines(probe), (again, "prueba-michiq-proxy")]
            reply = await probe.raw(NEW_CASE.method, NEW_CASE.path(), lines, UNREADABLE)
            expect.text(reply, 400, when=f"{name} is followed by another {again}")


@chosen("N06", NEW_CASE, "headers spelt with - count, and Latin-1 is understood", Writes(cases=1))
async def other_spellings(probe: Probe) -> None:
    lines = [(name.replace("_", "-"), _latin1(value)) for name, value in probe.identity().items()]
    reply = await probe.raw(NEW_CASE.method, NEW_CASE.path(), [*lines, ("Content-Type", MULTIPART)], BARE)
    made = expect.json_object(reply).get("michiq_uuid")
    listed = await probe.encounters((await probe.main()).token)
    expect.true(
        made in [each.get("MichiqUUID") for each in listed],
        "the case in the list of the user and organization that were meant",
        "it isn't there",
    )


def _lines(probe: Probe) -> list[tuple[str, bytes | str]]:
    return [*probe.identity().items(), ("Content-Type", MULTIPART)]


def _latin1(value: str) -> bytes:
    try:
        return value.encode("latin-1")
    except UnicodeEncodeError:
        return value.encode()


@documented("N07", NEW_CASE, "a valid token is given back unchanged, with a new case", Writes(cases=1))
async def same_token(probe: Probe) -> None:
    first = await probe.main()
    second = await probe.make(BARE, Authorization=f"Bearer {first.token}")
    expect.true(second.token == first.token, "the token that was sent", "another token")
    expect.true(second.id != first.id, "another case", "the earlier case's michiq_uuid")


@documented("N07", NEW_CASE, "a token that is malformed or unknown is answered 401")
async def bad_token(probe: Probe) -> None:
    for credentials in ("Bearer prueba-michiq-proxy", "Basic cHJ1ZWJh"):
        reply = await probe.new_case(UNREADABLE, Authorization=credentials)
        expect.text(reply, 401, _UNAUTHORIZED, when=f"Authorization is {credentials}")


@documented("N07", NEW_CASE, "another user's token is answered 401", SHARED)
async def foreign_token(probe: Probe) -> None:
    token = (await probe.foreign()).token
    reply = await probe.new_case(UNREADABLE, Authorization=f"Bearer {token}")
    expect.text(reply, 401, _UNAUTHORIZED, when="the token is another user's")


@proxys_own("N17", NEW_CASE, "the same Idempotency-Key gets the first answer again", Writes(cases=1))
async def idempotent(probe: Probe) -> None:
    # Each run has its own key: that of an earlier run would give the earlier case.
    key = f"prueba-michiq-proxy-{(await probe.main()).id}"
    first = await probe.make(BARE, **{"Idempotency-Key": key})
    again = await probe.make(BARE, **{"Idempotency-Key": key})
    expect.true(again.answer == first.answer, "the first answer", "another one")
    other = await probe.new_case(form(CONVERSATION), **{"Idempotency-Key": key})
    expect.text(other, 409, when="the same key comes with another form")


@chosen("N18", NEW_CASE, "a case is on record before it is answered", SHARED)
async def at_once(probe: Probe) -> None:
    case = await probe.bare()
    reply = await probe.ask(DOC.method, DOC.path(case.id), token=case.token)
    if reply.status != 200:
        raise Mismatch("the document of the new case", reply.described())


CHECKS: Final = (
    six_keys,
    counts,
    whose,
    no_key,
    wrong_key,
    nobody,
    unseen(
        "N05",
        NEW_CASE,
        "`provision` decides whom the new platform may create",
        "asking would create an organization or a user on the new platform",
    ),
    repeated_header,
    other_spellings,
    same_token,
    bad_token,
    foreign_token,
    unseen(
        "N14",
        NEW_CASE,
        "`template` chooses an agent",
        "each host has its own templates, and its own answer to an unknown one",
    ),
    idempotent,
    at_once,
    unseen(
        "N19",
        NEW_CASE,
        "users/me is asked beside POST /api/cases",
        "a client can't see the host's calls to the new platform",
    ),
)
