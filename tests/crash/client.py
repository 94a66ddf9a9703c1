"""A legacy client and an operator who remember what they were promised."""

import json
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final

import aiohttp

from tests.conftest import IDENTITY, bearer, case_form
from tests.crash.site import ADMIN_TOKEN, Site
from tests.samples import wav


class Refused(Exception):
    """Raised for an answer that promises nothing."""


# What ends a call whose server is killed, or about to end.
BROKEN: Final[tuple[type[Exception], ...]] = (aiohttp.ClientError, TimeoutError, Refused)
FILES: Final = 2  # of each case

_WAV: Final = wav(0.05)


@dataclass
class Attempt:
    """A newCase under an Idempotency-Key of its own. `answer` is the 200 that was promised; `unknown` that
    nobody can know whether there is a case."""

    number: int
    answer: bytes | None = None
    unknown: bool = False

    @property
    def patient(self) -> str:
        return f"p-{self.number}"

    @property
    def user(self) -> str:
        """Returns the caller; every other one is new to the platform: their calls are made in order (N19)."""
        return f"u{self.number}@clinica.example" if self.number % 2 else IDENTITY["user_mail"]

    @property
    def case(self) -> dict[str, Any]:
        made: dict[str, Any] = json.loads(self.answer or b"{}")
        return made

    def form(self) -> aiohttp.FormData:
        form = case_form(ehr=json.dumps({"id": self.patient, "name": "Ana"}), conversation="Hola.")
        for number in range(FILES):
            form.add_field("files", f"nota {self.number} {number}".encode() * 200, filename=f"{number}.txt")
        return form


@dataclass
class Client:
    """A client that notes what it asked for and what it was promised."""

    site: Site
    attempts: list[Attempt] = field(default_factory=list)
    chunks: dict[str, list[str]] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    modes: list[tuple[int, str]] = field(default_factory=list)
    wanted: list[str] = field(default_factory=list)
    uploads: int = 0
    sending: dict[str, bytes] = field(default_factory=dict)

    async def new_case(self) -> Attempt:
        attempt = Attempt(len(self.attempts))
        self.attempts.append(attempt)
        await self.ask(attempt)
        return attempt

    async def ask(self, attempt: Attempt) -> None:
        """The same once more, for the answer that was lost."""
        headers = {**IDENTITY, "user_mail": attempt.user, "Idempotency-Key": f"key-{attempt.number}"}
        url = f"{self.site.url}/michiQ/newCase"
        async with self.site.http.post(url, data=attempt.form(), headers=headers) as response:
            body = await response.read()
        if response.status == 200:
            attempt.answer = body
            self.tokens[attempt.case["michiq_uuid"]] = attempt.case["token"]
        elif response.headers.get("X-Michiq-Cause") == "outcome-unknown":
            attempt.unknown = True

    async def upload(self, legacy_id: str) -> None:
        """A chunk that nobody else has; noted as promised after a 200."""
        self.uploads += 1
        self.sending[legacy_id] = _WAV + self.uploads.to_bytes(8, "big")
        await self.send_again(legacy_id)

    async def send_again(self, legacy_id: str) -> None:
        """The chunk whose answer was lost, if one was."""
        audio = self.sending.get(legacy_id)
        if audio is not None:
            form = aiohttp.FormData()
            form.add_field("audioChunk", audio, filename="a.wav")
            await self._post(f"/michiQ/uploadAudio/{legacy_id}", legacy_id, form)
            self.chunks.setdefault(legacy_id, []).append(sha256(audio).hexdigest())
            del self.sending[legacy_id]

    async def transcribe(self, legacy_id: str) -> None:
        await self._post(f"/michiQ/speechToText/{legacy_id}", legacy_id, None)

    async def report(self, legacy_id: str) -> str | None:
        """The text that stands in the case's document; None where there is none."""
        url = f"{self.site.url}/michiQ/doc/{legacy_id}"
        async with self.site.http.get(url, headers=bearer(self.tokens[legacy_id])) as response:
            body = await response.read()
        document = json.loads(body)["document"] if response.status == 200 else {}
        text: str | None = document.get("generated_text")
        return text

    async def set_mode(self, mode: str) -> None:
        self.wanted.append(mode)
        url = f"{self.site.admin_url}/admin/v1/overrides/encounter_page"
        wanted = {"mode": mode, "reason": "a drill"}
        headers = {**bearer(ADMIN_TOKEN), "If-Match": "*"}
        async with self.site.http.put(url, json=wanted, headers=headers) as response:
            body = json.loads(await response.read())
            assert response.status == 200, body
            self.modes.append((body["override"]["revision"], mode))

    async def _post(self, path: str, legacy_id: str, data: aiohttp.FormData | None) -> None:
        headers = bearer(self.tokens[legacy_id])
        async with self.site.http.post(f"{self.site.url}{path}", data=data, headers=headers) as response:
            if response.status != 200:
                raise Refused(f"{path}: {response.status}")
