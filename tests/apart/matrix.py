"""The documented answer of each route to a case's owner, to strangers, and with any token."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp
from multidict import CIMultiDict

from proxy import jsons
from proxy.values import Side
from tests import samples
from tests.conftest import API_KEY, Api, case_form

# A status, and the text where it is a sentence that the documents fix.
Cell = tuple[int, str | None]

BAD_TOKEN: Final[Cell] = (401, "Authorization token missing or invalid")
BAD_REQUEST: Final[Cell] = (400, "Error al procesar la solicitud")
NOT_FOUND: Final[Cell] = (404, "Not Found")
FORBIDDEN: Final[Cell] = (403, "Forbidden")
UNAUTHORIZED: Final[Cell] = (401, "Unauthorized")
OK: Final[Cell] = (200, None)
NO_AUDIO: Final[Cell] = (400, None)  # no sentence is documented

PATHS: Final = {
    "doc": ("GET", "/michiQ/doc/{id}"),
    "encounters": ("GET", "/michiQ/encounters"),
    "query": ("POST", "/michiQ/query/{id}"),
    "speech_to_text": ("POST", "/michiQ/speechToText/{id}"),
    "upload_audio": ("POST", "/michiQ/uploadAudio/{id}"),
    "encounter_page": ("GET", "/app/encounter/{id}"),
    "new_case": ("POST", "/michiQ/newCase"),
}
NO_TOKEN: Final = ("", "Bearer", " BEARER ")
MALFORMED: Final = ("Basic {}", "{}", "Bearer {} {}", "Bearer {},", 'Bearer "{}"', "Bearer ñ{}")
_AUDIO: Final = samples.wav(0.1)


@dataclass
class Person:
    """A user of an organization, with the token that each side gave them and the case they made there."""

    mail: str
    organization: str
    words: dict[str, str] = field(repr=False)
    tokens: dict[Side, str] = field(default_factory=dict, repr=False)
    cases: dict[Side, str] = field(default_factory=dict)

    @property
    def identity(self) -> dict[str, str]:
        return {"API_KEY": API_KEY, "user_mail": self.mail, "organization": self.organization}


def form_of(person: Person) -> aiohttp.FormData:
    ehr = f'{{"id": "p", "name": "{person.words["name"]}"}}'
    form = case_form(ehr=ehr, conversation=f"Refiere {person.words['text']}.")
    form.add_field("files", person.words["file"].encode(), filename=f"{person.words['filename']}.txt")
    return form


async def ask(
    api: Api, route: str, legacy_id: str, headers: Mapping[str, str], person: Person
) -> tuple[int, str]:
    """The status and the text of one call."""
    method, path = PATHS[route]
    body: dict[str, Any] = {}
    if route == "query":
        body["json"] = {"query": "¿Qué refiere?"}
    if route == "upload_audio":
        form = aiohttp.FormData()
        form.add_field("audioChunk", _AUDIO, filename=f"{person.words['filename']}.wav")
        body["data"] = form
    sent = CIMultiDict(headers)
    if route == "new_case":
        body["data"] = form_of(person)
        sent.extend(person.identity)
    url = f"{api.url}{path.replace('{id}', legacy_id)}"
    async with api.http.request(method, url, headers=sent, allow_redirects=False, **body) as response:
        return response.status, await response.text()


async def sign_up(api: Api, who: Person, side: Side) -> None:
    """A new case, which the mode in force has that side make."""
    status, text = await ask(api, "new_case", "", {}, who)
    assert status == 200, text
    made = jsons.load_object(text.encode())
    token, case = made["token"], made["michiq_uuid"]
    assert isinstance(token, str)
    assert isinstance(case, str)
    assert (case in api.sandbox.michiq.encounters) == (side == "legacy")
    who.tokens[side], who.cases[side] = token, case


def foreign(home: Side, stranger: Side) -> dict[str, Cell]:
    """Returns the answers about another user's case on side `home`, to a stranger on side `stranger`.

    A case of the legacy server is unknown to the new side: to a stranger from there it is an unknown id.
    """
    unknown_to_them = home == "legacy" and stranger == "new"
    return {
        "doc": NOT_FOUND,
        "encounters": OK,  # their own
        "query": BAD_REQUEST,
        "speech_to_text": BAD_TOKEN if home == "new" else NO_AUDIO,
        "upload_audio": OK if unknown_to_them else BAD_TOKEN,  # OK: in their own namespace (U03)
        "encounter_page": NOT_FOUND if unknown_to_them else FORBIDDEN,
        "new_case": OK,  # has no id
    }


UNKNOWN_ID: Final[dict[str, Cell]] = {
    "doc": NOT_FOUND,
    "encounters": OK,
    "query": BAD_REQUEST,
    "speech_to_text": NO_AUDIO,
    "upload_audio": OK,
    "encounter_page": NOT_FOUND,
    "new_case": OK,
}
REFUSED: Final[dict[str, Cell]] = {
    **dict.fromkeys(PATHS, BAD_TOKEN),
    "encounters": (401, "Error al obtener el token de autorización"),
    "new_case": UNAUTHORIZED,
}
