"""Tables of the contract suite's client: status, body or exception of the host, and the outcome."""

from collections.abc import AsyncIterator
from typing import Final

import pytest
from aioresponses import aioresponses

from proxy.contract import probe as module
from proxy.contract.probe import Case, Probe, probing
from proxy.contract.reply import Reply
from proxy.contract.routes import DOC, ENCOUNTERS, NEW_CASE
from proxy.contract.verdicts import Mismatch, NoAnswer
from tests.contract.conftest import target
from tests.mocked import CANARY, NO_ANSWER, Answer, calls, give

HOST: Final = "http://michiq.example/base"
FIRST: Final = f"DELETE /base{ENCOUNTERS.base}"  # the call by which the host has been reached
MADE: Final = b'{"michiq_uuid": "c-1", "token": "t-1", "more": 5}'
TEXT: Final = "text/plain; charset=utf-8"
GOOD: Final = Answer(200, MADE)
UNAUTHORIZED: Final = Answer(401, b"No autorizado", TEXT)
NEEDED: Final = "newCase to give a `michiq_uuid` and a `token`"
JSON: Final = "200 application/json"


@pytest.fixture
async def probe(mocked: aioresponses) -> AsyncIterator[Probe]:
    """Yields a probe of a host that is none of ours."""
    give(mocked, "DELETE", f"{HOST}{ENCOUNTERS.base}", [Answer(405)])
    async with probing(target(HOST)) as made:
        yield made


def answer_new_case(mocked: aioresponses, *answers: Answer) -> None:
    give(mocked, "POST", f"{HOST}{NEW_CASE.base}", answers)


@pytest.mark.parametrize("status", [200, 204, 301, 307, 400, 401, 404, 413, 429, 500, 503])
@pytest.mark.parametrize("body", [b"", b'{"a": 1}', b"{", "Ñ".encode(), b"\xd1"], ids=repr)
async def test_every_status_with_every_body_is_an_answer(
    mocked: aioresponses, probe: Probe, status: int, body: bytes
) -> None:
    give(mocked, "GET", f"{HOST}{DOC.path()}", [Answer(status, body, TEXT)])
    assert await probe.ask("GET", DOC.path()) == Reply(status, (("Content-Type", TEXT),), body)
    assert calls(mocked) == [FIRST, f"GET /base{DOC.path()}"]


@pytest.mark.parametrize("name", NO_ANSWER)
async def test_an_exception_is_no_answer_and_only_its_name_is_reported(
    mocked: aioresponses, probe: Probe, name: str
) -> None:
    give(mocked, "GET", f"{HOST}{DOC.path()}", [Answer(exception=NO_ANSWER[name])])
    with pytest.raises(NoAnswer) as raised:
        await probe.ask("GET", DOC.path())
    assert raised.value.reason == name
    assert CANARY not in str(raised.value)
    assert raised.value.__suppress_context__
    assert calls(mocked) == [FIRST, f"GET /base{DOC.path()}"]


async def test_an_exception_of_our_own_making_is_not_taken_for_the_hosts(
    mocked: aioresponses, probe: Probe
) -> None:
    give(mocked, "GET", f"{HOST}{DOC.path()}", [Answer(exception=RuntimeError(CANARY))])
    with pytest.raises(RuntimeError, match=CANARY):
        await probe.ask("GET", DOC.path())


@pytest.mark.parametrize(("size", "is_answer"), [(8, True), (9, False)])
async def test_an_answer_may_be_this_long(
    mocked: aioresponses, probe: Probe, monkeypatch: pytest.MonkeyPatch, size: int, is_answer: bool
) -> None:
    monkeypatch.setattr(module, "_LIMIT", 8)
    give(mocked, "GET", f"{HOST}{DOC.path()}", [Answer(200, bytes(size))])
    if is_answer:
        assert (await probe.ask("GET", DOC.path())).body == bytes(size)
    else:
        with pytest.raises(NoAnswer, match="the answer never ended"):
            await probe.ask("GET", DOC.path())


# newCase's answer; what was expected, and what came.
MISMATCHES: Final[dict[str, tuple[Answer, str, str]]] = {
    "no token": (Answer(200, b'{"michiq_uuid": "c-1"}'), NEEDED, "the keys michiq_uuid"),
    "an empty token": (
        Answer(200, b'{"michiq_uuid": "c-1", "token": ""}'),
        NEEDED,
        "the keys michiq_uuid, token",
    ),
    "a number": (Answer(200, b'{"michiq_uuid": 1, "token": "t"}'), NEEDED, "the keys michiq_uuid, token"),
    "nothing in it": (Answer(200, b"{}"), NEEDED, "the keys none"),
    "an array": (Answer(200, b"[]"), "the answer to be an object", "an array"),
    "null": (Answer(200, b"null"), "the answer to be an object", "null"),
    "no JSON": (Answer(200, b"{"), "JSON", "1 bytes that are none (syntax)"),
    "an empty body": (Answer(200, b""), "JSON", "0 bytes that are none (syntax)"),
    "Latin-1": (Answer(200, b'{"a": "\xd1"}'), "JSON", "10 bytes that are none (not-utf8)"),
    "ASCII": (Answer(200, rb'{"a": "\u00d1"}'), "JSON in UTF-8", "JSON with its letters escaped to ASCII"),
    "a page": (Answer(200, b"<p>Ana</p>", "text/html"), JSON, "200 text/html, 10 bytes"),
    "another charset": (
        Answer(200, MADE, "application/json; charset=latin-1"),
        JSON,
        f"200 application/json; charset=latin-1, {len(MADE)} bytes",
    ),
    "201": (Answer(201, MADE), JSON, f"201 application/json, {len(MADE)} bytes"),
    "302": (Answer(302, b"", TEXT), JSON, f"302 {TEXT}, 0 bytes"),
    "401": (UNAUTHORIZED, JSON, f"401 {TEXT} 'No autorizado'"),
    "500 with all of it": (Answer(500, MADE), JSON, f"500 application/json {MADE.decode()!r}"),
}


@pytest.mark.parametrize("what", MISMATCHES)
async def test_a_new_case_that_nobody_could_work_with_is_a_mismatch(
    mocked: aioresponses, probe: Probe, what: str
) -> None:
    answer, expected, came = MISMATCHES[what]
    answer_new_case(mocked, answer)
    with pytest.raises(Mismatch) as raised:
        await probe.make(b"")
    assert (raised.value.expected, raised.value.came) == (expected, came)
    assert probe.is_refused == (what == "401")


async def test_a_good_new_case_is_a_case_and_no_report_may_show_its_token(
    mocked: aioresponses, probe: Probe
) -> None:
    answer_new_case(mocked, GOOD)
    assert await probe.make(b"") == Case("c-1", "t-1", {"michiq_uuid": "c-1", "token": "t-1", "more": 5})
    assert probe.secrets == {probe.target.api_key, "t-1"}


async def test_who_asks_as_somebody_else_is_not_refused_himself(mocked: aioresponses, probe: Probe) -> None:
    answer_new_case(mocked, UNAUTHORIZED)
    with pytest.raises(Mismatch):
        await probe.make(b"", API_KEY="wrong")
    assert not probe.is_refused


# newCase's answers; whether the caller counts as admitted, and how often three checks ask for the case.
KNOCKS: Final[dict[str, tuple[Answer, bool, int]]] = {
    "a case": (GOOD, True, 1),
    "401": (UNAUTHORIZED, False, 1),
    "403": (Answer(403, b"Prohibido", TEXT), True, 1),
    "500": (Answer(500), True, 1),
    "no answer": (Answer(exception=NO_ANSWER["TimeoutError"]), True, 3),
}


@pytest.mark.parametrize("what", KNOCKS)
async def test_a_knock_tells_who_is_admitted_and_a_refusal_is_not_asked_for_again(
    mocked: aioresponses, probe: Probe, what: str
) -> None:
    answer, is_admitted, asked = KNOCKS[what]
    answer_new_case(mocked, *[answer] * 3)
    assert [await probe.knock() for _ in range(3)] == [is_admitted] * 3
    assert calls(mocked) == [FIRST, *[f"POST /base{NEW_CASE.base}"] * asked]


# The list of encounters; what came where the case isn't in it once.
LISTS: Final[dict[str, tuple[Answer, str | None]]] = {
    "once": (Answer(200, b'[{"MichiqUUID": "c-2"}, {"MichiqUUID": "c-1"}]'), None),
    "not there": (Answer(200, b'[{"MichiqUUID": "c-2"}, {}]'), "it is there 0 times"),
    "twice": (Answer(200, b'[{"MichiqUUID": "c-1"}, {"MichiqUUID": "c-1"}]'), "it is there 2 times"),
    "nothing": (Answer(200, b"[]"), "it is there 0 times"),
    "an object": (Answer(200, b"{}"), "an object"),
    "of strings": (Answer(200, b'["c-1"]'), "a string"),
    "500": (Answer(500, b"Error", TEXT), f"500 {TEXT} 'Error'"),
}


@pytest.mark.parametrize("what", LISTS)
async def test_a_case_stands_once_in_its_users_list(mocked: aioresponses, probe: Probe, what: str) -> None:
    answer, came = LISTS[what]
    give(mocked, "GET", f"{HOST}{ENCOUNTERS.base}", [answer])
    if came is None:
        assert await probe.encounter(Case("c-1", "t-1", {})) == {"MichiqUUID": "c-1"}
    else:
        with pytest.raises(Mismatch) as raised:
            await probe.encounter(Case("c-1", "t-1", {}))
        assert raised.value.came == came


@pytest.mark.parametrize("status", [401, 404, 405, 500])
@pytest.mark.parametrize(
    ("headers", "is_proxy"),
    [({}, False), ({"X-Request-ID": "r-1"}, False), ({"x-michiq-cause": "method"}, True)],
)
async def test_the_proxy_is_recognized_by_its_own_header_whatever_the_status(
    mocked: aioresponses, status: int, headers: dict[str, str], is_proxy: bool
) -> None:
    mocked.delete(f"{HOST}{ENCOUNTERS.base}", status=status, headers=headers)
    async with probing(target(HOST)) as made:
        assert made.is_proxy == is_proxy


@pytest.mark.parametrize("name", NO_ANSWER)
async def test_a_host_that_is_not_reached_is_not_probed(mocked: aioresponses, name: str) -> None:
    give(mocked, "DELETE", f"{HOST}{ENCOUNTERS.base}", [Answer(exception=NO_ANSWER[name])])
    with pytest.raises(NoAnswer, match=f"^{name}$"):
        async with probing(target(HOST)):
            pytest.fail("it was reached")
