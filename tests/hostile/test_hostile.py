"""A few hundred hostile inputs on a running proxy, by a fixed seed; in full they are a part of the soak."""

import asyncio
import base64
import json
from collections import Counter
from collections.abc import Iterator
from io import StringIO
from random import Random
from typing import Final

import pytest
from yarl import URL

from tests.captured import captured_log
from tests.conftest import API_KEY, IDENTITY, Api, StartProxy
from tests.hostile.catalogue import CANARIES, TRICKS, everything, sample
from tests.hostile.sound import ALL, NONE, SAME, STEM, WEBHOOK, Hostile, Sound, Trick, done, sound_requests
from tests.hostile.talking import Answer, Heard, answers_in, heard
from tests.hostile.verdict import complaints, documented, leaks
from tests.hostile.writings import writings

SEED: Final = 5
INPUTS: Final = 420
MUTANTS: Final = 80
WRITINGS: Final = 400
AT_ONCE: Final = 8
# What the proxy or its libraries would only log for a fault of their own.
FAULTS: Final = {"request_failed", "library_message", "uncaught_exception", "python_warning"}


@pytest.fixture
def log() -> Iterator[StringIO]:
    with captured_log() as stream:
        yield stream


async def begun(api: Api) -> dict[str, Sound]:
    """Sound requests for a session with a case; each has been made once, and been answered."""
    made = await api.new_case()
    sounds = sound_requests(made["token"], made["michiq_uuid"])
    for route in ("upload_audio", *sorted(ALL)):
        plain = Trick("plain", lambda sound, _: sound.render(), {SAME})
        assert await wrong(api, done(plain, sounds[route])) == []
    return sounds


async def wrong(api: Api, hostile: Hostile) -> list[str]:
    url = URL(api.url)
    got = await heard(str(url.host), int(url.port or 0), hostile)
    return complaints(hostile, got, documented(api.proxy.moving.live.now.table))


async def all_wrong(api: Api, inputs: list[Hostile]) -> list[str]:
    """Returns what is wrong with the answers to all of these, a few at a time."""
    found: list[str] = []
    waiting = iter(inputs)

    async def client() -> None:
        for hostile in waiting:
            found.extend(await wrong(api, hostile))

    await asyncio.gather(*(client() for _ in range(AT_ONCE)))
    return found


async def test_hostile_input_G10_is_answered_as_documented_and_shown_nowhere(log: StringIO, api: Api) -> None:
    sounds = await begun(api)
    random = Random(SEED)
    chosen = random.sample(list(sample(sounds, MUTANTS, random)), INPUTS)
    before = len(cases(api))
    assert await all_wrong(api, chosen) == []
    printed = log.getvalue()
    answered = Counter(event.get("route") for event in events(printed) if event.get("status") == 200)
    assert len(cases(api)) - before <= answered["/michiQ/newCase"]
    assert [event for event in events(printed) if event["event"] in FAULTS] == []
    assert leaks(printed.encode(), {"canary": STEM.encode(), **secrets(sounds)}) == []


async def test_hostile_input_N08_Q02_S02_W03_JSON_is_read_as_programs_write_it(
    log: StringIO, api: Api
) -> None:
    sounds = await begun(api)
    assert await all_wrong(api, list(writings(sounds, WRITINGS, Random(SEED)))) == []
    assert [event for event in events(log.getvalue()) if event["event"] in FAULTS] == []
    assert STEM not in log.getvalue()


async def test_hostile_input_reaches_the_legacy_server_only_as_one_request(start_proxy: StartProxy) -> None:
    """Nothing that two servers could read in two ways goes on."""
    routes = ("new_case", "doc", "encounters", "query", "upload_audio", "speech_to_text", "encounter_page")
    edit = dict.fromkeys(routes, lambda text: text.replace('mode = "new"', 'mode = "legacy"'))
    async with start_proxy(edit=edit, legacy=True) as api:
        sounds = sound_requests("unknown", "unknown")
        url, random = URL(api.url), Random(SEED)
        for trick in TRICKS:
            sound = sounds[random.choice(sorted(trick.on))]
            hostile = done(trick, sound)
            if len(hostile.pieces[0]) > 100_000 or sound.route == WEBHOOK or random.random() < 0.5:
                continue
            before = len(api.sandbox.michiq.calls)
            got = await heard(str(url.host), int(url.port or 0), hostile)
            calls = len(api.sandbox.michiq.calls) - before
            assert not got.hung, hostile.name
            assert not got.rest, hostile.name
            assert calls <= max(1, len(got.answers)) <= max(1, hostile.answers), hostile.name
            assert NONE in hostile.statuses or got.answers, hostile.name


def test_the_catalogue_is_as_large_as_it_is_said_to_be() -> None:
    sounds = sound_requests("token", "case")
    names = [hostile.name for hostile in everything(sounds, 0, Random(SEED))]
    assert len(names) >= 3000
    assert len(set(names)) == len(names)
    assert {name.rpartition(" on ")[2] for name in names} == ALL
    assert len(CANARIES) >= 60


SOUND: Final = sound_requests("token", "case")["doc"]
GOOD: Final = Answer(400, (("X-Request-ID", "1"),), b"Solicitud incorrecta")


def answered(*answers: Answer, rest: bytes = b"", hung: bool = False, reset: bool = False) -> Heard:
    return Heard(answers, rest, 0.0, hung, reset)


def changed(status: int = 400, body: bytes = GOOD.body, **headers: str) -> Answer:
    lines = {"X-Request-ID": "1", **{name.replace("_", "-"): value for name, value in headers.items()}}
    return Answer(status, tuple(lines.items()), body)


# Whatever an answer may be blamed for.
BLAMED: Final = {
    "no answer": answered(),
    "no end": answered(GOOD, hung=True),
    "a reset": answered(reset=True),
    "half an answer": answered(GOOD, rest=b"HTTP/1.1 200 OK\r\n"),
    "two answers": answered(GOOD, GOOD),
    "another status": answered(changed(200)),
    "another text": answered(changed(body=b"Bad Request")),
    "a quotation": answered(changed(body=b"400: " + STEM.encode())),
    "a quotation in a header": answered(changed(X_Odd=STEM)),
    "a fault of its own": answered(changed(X_Michiq_Cause="internal")),
    "a banner": answered(changed(Server="aiohttp")),
    "no id": answered(Answer(400, (), GOOD.body)),
}


@pytest.mark.parametrize("what", BLAMED)
def test_the_verdict_blames(what: str) -> None:
    hostile = Hostile("x", SOUND, (b"x",), frozenset({400}), 1, ends=True)
    known = frozenset({(400, "Solicitud incorrecta"), (500, "Error")})
    assert complaints(hostile, answered(GOOD), known) == []
    assert complaints(hostile, BLAMED[what], known) != []


SHOWN: Final = {
    "as it is": "xx Peña 17 xx",
    "in capitals": "PEÑA 17",
    "for a URL": "a=Pe%C3%B1a%2017",
    "for JSON": '"Pe\\u00f1a 17"',
    "as bytes": repr("Peña 17".encode()),
    "in hexadecimal": "Peña 17".encode().hex().upper(),
    **{
        f"in base64 after {before!r}": base64.b64encode(f"{before}Peña 17 y más".encode()).decode()
        for before in ("", "a", "ab", "abc")
    },
    "in base64 for a URL": base64.urlsafe_b64encode("Peña 17 y más".encode()).decode(),
}


@pytest.mark.parametrize("form", SHOWN)
def test_a_leak_is_found_in_every_form(form: str) -> None:
    assert leaks(SHOWN[form].encode(), {"name": "Peña 17".encode(), "other": b"Quiroga"}) == ["name"]


def test_answers_are_told_apart() -> None:
    first = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
    told = b"HTTP/1.1 100 Continue\r\n\r\n" + first + first + b"HTTP/1.1 400 Bad Request\r\n"
    answers, rest = answers_in(told, head=False)
    assert ([each.body for each in answers], rest) == ([b"hi", b"hi"], b"HTTP/1.1 400 Bad Request\r\n")


def cases(api: Api) -> list[str]:
    calls = api.sandbox.llamalitica.calls
    return [call.path for call in calls if (call.method, call.path) == ("POST", "/api/cases")]


def events(printed: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in printed.splitlines()]


def secrets(sounds: dict[str, Sound]) -> dict[str, bytes]:
    token = next(line for line in sounds["doc"].lines if line.startswith(b"Authorization"))
    return {
        "token": token.rpartition(b" ")[2],
        "case": sounds["doc"].target.rpartition(b"/")[2],
        "key": API_KEY.encode(),
        "user": IDENTITY["user_mail"].encode(),
        "organization": IDENTITY["organization"].encode(),
    }
