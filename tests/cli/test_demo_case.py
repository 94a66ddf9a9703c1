"""Tables of the demo's two calls: status, body or exception of the proxy, and the outcome."""

from dataclasses import dataclass
from json import JSONDecodeError
from pathlib import Path
from typing import Final

import pytest
from aiohttp import ClientError, ClientResponseError, ContentTypeError
from aioresponses import aioresponses
from yarl import URL

from proxy.cli.demo.case import API_KEY, ORGANIZATION, USER, DemoCase, make_case
from tests.mocked import NO_ANSWER, Answer, calls, give

PROXY: Final = "http://127.0.0.1:8080"
NEW_CASE: Final = "POST /michiQ/newCase"
UPLOAD: Final = "POST /michiQ/uploadAudio/c-1"
MADE: Final = Answer(200, b'{"michiq_uuid": "c-1", "token": "t-1"}')


@dataclass(frozen=True, slots=True)
class Failed:
    """The exception that ends the demo, and its status where it has one."""

    kind: type[Exception]
    status: int | None = None


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("ehr.json", "informe.pdf", "consulta.wav"):
        (tmp_path / name).write_bytes(b"{}")
    return tmp_path


async def outcome(folder: Path) -> DemoCase | Failed:
    """Returns the case, or how it failed."""
    try:
        return await make_case(PROXY, folder)
    except (ClientError, TimeoutError, ValueError, TypeError, KeyError) as error:
        return Failed(type(error), getattr(error, "status", None))


ERRORS: Final = (400, 401, 402, 404, 413, 429, 500, 502, 503)
REFUSED: Final = {
    f"{status} {body!r}": (Answer(status, body), Failed(ClientResponseError, status))
    for status in ERRORS
    for body in (b"", MADE.body)
}
BROKEN_OFF: Final = {
    name: (Answer(exception=raised), Failed(type(raised))) for name, raised in NO_ANSWER.items()
}
# newCase's answer, and the outcome where uploadAudio would be answered well.
NEW_CASES: Final[dict[str, tuple[Answer, DemoCase | Failed]]] = {
    **REFUSED,
    **BROKEN_OFF,
    "200": (MADE, DemoCase("c-1", "t-1")),
    "201": (Answer(201, MADE.body), DemoCase("c-1", "t-1")),
    "a text": (Answer(200, MADE.body, "text/plain"), Failed(ContentTypeError, 200)),
    "no JSON": (Answer(200, b"{"), Failed(JSONDecodeError)),
    "no bytes": (Answer(200, b""), Failed(TypeError)),
    "an array": (Answer(200, b"[]"), Failed(TypeError)),
    "no token": (Answer(200, b'{"michiq_uuid": "c-1"}'), Failed(KeyError)),
    "no id": (Answer(200, b'{"token": "t-1"}'), Failed(KeyError)),
}


@pytest.mark.parametrize("what", NEW_CASES)
async def test_the_demo_goes_on_with_a_good_new_case_only(
    mocked: aioresponses, folder: Path, what: str
) -> None:
    answer, expected = NEW_CASES[what]
    give(mocked, "POST", f"{PROXY}/michiQ/newCase", [answer])
    give(mocked, "POST", f"{PROXY}/michiQ/uploadAudio/c-1", [Answer()])
    assert await outcome(folder) == expected
    assert calls(mocked) == ([NEW_CASE, UPLOAD] if isinstance(expected, DemoCase) else [NEW_CASE])


# uploadAudio's answer after a good newCase, and the outcome.
UPLOADS: Final[dict[str, tuple[Answer, DemoCase | Failed]]] = {
    **REFUSED,
    **BROKEN_OFF,
    **{
        f"{status} {body!r}": (Answer(status, body, "text/plain"), DemoCase("c-1", "t-1"))
        for status in (200, 201, 204)
        for body in (b"", b"Audio recibido", b"{")
    },
}


@pytest.mark.parametrize("what", UPLOADS)
async def test_the_demo_needs_its_recording_taken_whatever_is_said_of_it(
    mocked: aioresponses, folder: Path, what: str
) -> None:
    answer, expected = UPLOADS[what]
    give(mocked, "POST", f"{PROXY}/michiQ/newCase", [MADE])
    give(mocked, "POST", f"{PROXY}/michiQ/uploadAudio/c-1", [answer])
    assert await outcome(folder) == expected
    assert calls(mocked) == [NEW_CASE, UPLOAD]


async def test_the_demo_says_who_it_is_and_then_shows_the_token(mocked: aioresponses, folder: Path) -> None:
    give(mocked, "POST", f"{PROXY}/michiQ/newCase", [MADE])
    give(mocked, "POST", f"{PROXY}/michiQ/uploadAudio/c-1", [Answer()])
    await make_case(PROXY, folder)
    sent = [call.kwargs["headers"] for made in (mocked.requests or {}).values() for call in made]
    identity = {"API_KEY": API_KEY, "user_mail": USER, "organization": ORGANIZATION}
    assert sent == [identity, {"Authorization": "Bearer t-1"}]
    assert {url.origin() for _, url in mocked.requests or {}} == {URL(PROXY)}
