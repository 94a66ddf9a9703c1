"""Calls of the sandbox's legacy server, as its clients make them."""

from dataclasses import dataclass
from io import BytesIO
from typing import Any

from aiohttp import ClientSession, FormData

from tests.sandbox.conftest import KEY

IDENTITY = {"API_KEY": KEY, "user_mail": "ana@hospital.es", "organization": "Clínica"}
EHR = '{"patient": "Ana", "conditions": ["hipertensión"]}'

Part = tuple[str, str | bytes | BytesIO, str | None]


@dataclass(frozen=True)
class Told:
    """An answer: its status, content type, text and headers."""

    status: int
    content_type: str
    text: str
    allow: set[str]


def legacy_form(*parts: Part, ehr: str | bytes | None = EHR, conversation: str | None = None) -> FormData:
    made = FormData(quote_fields=False, default_to_multipart=True)
    if conversation is not None:
        made.add_field("conversation", conversation)
    if ehr is not None:
        made.add_field("ehr", ehr, filename="ehr.json", content_type="application/json")
    for name, value, filename in parts:
        made.add_field(name, value, filename=filename)
    return made


@dataclass(frozen=True)
class Client:
    """A client of the legacy server; `token` is sent where there is one."""

    http: ClientSession
    url: str
    token: str | None = None

    async def ask(self, method: str, path: str, **sent: Any) -> Told:
        headers = dict(sent.pop("headers", {}))
        if self.token is not None:
            headers.setdefault("Authorization", f"Bearer {self.token}")
        async with self.http.request(method, f"{self.url}{path}", headers=headers, **sent) as answer:
            allow = set(answer.headers.get("Allow", "").replace(" ", "").split(","))
            return Told(answer.status, answer.headers["Content-Type"], await answer.text(), allow)

    async def json(self, method: str, path: str, **sent: Any) -> Any:
        """Returns the JSON of an answer, which must be a 200."""
        headers = dict(sent.pop("headers", {}))
        if self.token is not None:
            headers.setdefault("Authorization", f"Bearer {self.token}")
        async with self.http.request(method, f"{self.url}{path}", headers=headers, **sent) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json()

    async def new_case(self, form: FormData | None = None, **headers: str) -> Any:
        data = legacy_form() if form is None else form
        return await self.json("POST", "/michiQ/newCase", data=data, headers=IDENTITY | headers)

    async def signed_in(self, user: str = "ana@hospital.es") -> "tuple[Client, str]":
        """Returns a client with the token of a new case of `user`, and the case's id."""
        made = await self.new_case(user_mail=user)
        return Client(self.http, self.url, made["token"]), made["michiq_uuid"]
