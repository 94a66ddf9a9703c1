"""Clients of every route: they try again as real ones do, and note what they were promised."""

import asyncio
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

import aiohttp

from proxy.flows.registry import SPECS
from proxy.mapping.loader import load_table
from tests.conftest import API_KEY, ROOT, bearer, case_form
from tests.replicas.promises import MOVING, STAYING, Attempt, Person, Promises, Visit, Writer, digest

_PATIENCE: Final = 30.0
_PAUSES: Final = (0.2, 0.5, 1.0, 2.0)
_TRIES: Final = 60
_CASES: Final = 25  # of a person, then another one comes: no list grows without end
_ASKED: Final = 3  # the cases that a person asks about, so that a conversation has many questions
_OPENING: Final = b"\x1a\x45\xdf\xa3"
_CONTINUING: Final = b"\x00\x01"
_LARGE: Final = 6 << 20  # two parts in S3
_KINDS: Final = {
    "new_case": 4,
    "doc": 5,
    "encounters": 1,
    "query": 3,
    "page": 1,
    "others_doc": 1,
}
_BALANCER: Final = frozenset({502, 504})
# What the routes answer while a part of the installation is away: the errors that a client may see.
_EXPECTED: Final = frozenset({500, 502, 504})


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer."""

    status: int
    cause: str
    body: bytes = field(repr=False)

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Clients:
    """The load: `base` gives the address for the next request; `over` ends all of it.

    `twice` is the chance of a request that is sent again although it was answered.
    """

    promises: Promises
    http: aiohttp.ClientSession
    base: Callable[[], str]
    random: Random
    pause: tuple[float, float] = (0.1, 0.7)
    twice: float = 0.1
    calm: Callable[[], float | None] = lambda: None
    is_of_legacy: Callable[[str], bool] = lambda _: False
    over: bool = False
    errors: dict[str, set[tuple[int, bytes]]] = field(default_factory=lambda: _documented())

    async def run(self, staying: int, moving: int, recorders: int, finished: asyncio.Event) -> None:
        """Lets them all call until the event, then lets each end what it has begun."""
        waiting = asyncio.create_task(self._end_with(finished))
        async with asyncio.TaskGroup() as group:
            for number in range(staying):
                group.create_task(self._live(STAYING[number % len(STAYING)]))
            for number in range(moving):
                group.create_task(self._live(MOVING[number % len(MOVING)]))
            for number in range(recorders):
                group.create_task(self._record(STAYING[number % len(STAYING)]))
        await waiting

    async def _end_with(self, finished: asyncio.Event) -> None:
        await finished.wait()
        self.over = True

    async def _live(self, organization: str) -> None:
        person = self.promises.new_person(organization)
        while not self.over:
            if len(person.cases) >= _CASES:
                person = self.promises.new_person(organization)
            (kind,) = self.random.choices([*_KINDS], [*_KINDS.values()])
            await getattr(self, f"_{kind}" if person.cases else "_new_case")(person)
            await asyncio.sleep(self.random.uniform(*self.pause))

    async def _new_case(self, person: Person) -> None:
        keyed = not person.moves and self.random.random() < 0.7
        token = person.token if self.random.random() < 0.3 else ""
        attempt = self.promises.new_attempt(person, keyed=keyed, token=token)
        for pause in self._tries() if keyed else (0.0,):
            again = asyncio.create_task(self.ask_case(attempt)) if keyed and self._by_chance() else None
            reply = await self.ask_case(attempt)
            if again is not None:
                await again
            if attempt.answer is not None or attempt.unknown:
                return
            if self.over and reply is not None and pause >= _PAUSES[-1]:
                return
            await asyncio.sleep(pause)

    async def ask_case(self, attempt: Attempt) -> Reply | None:
        """Sends a newCase, and notes its answer."""
        person, words = attempt.person, attempt.person.words
        ehr = {"id": attempt.patient, "name": words["name"], "motivo": f"Refiere {words['text']}."}
        form = case_form(ehr=json.dumps(ehr), conversation=f"Soy {words['name']}, {words['text']}.")
        content = f"Consta {words['file']} {attempt.number}.".encode()
        form.add_field("files", content, filename=f"{words['filename']}.txt", content_type="text/plain")
        headers = {"API_KEY": API_KEY, "user_mail": person.mail, "organization": person.organization}
        if attempt.key is not None:
            headers["Idempotency-Key"] = attempt.key
        if attempt.token:
            headers |= bearer(attempt.token)
        attempt.tries += 1
        reply = await self.ask(person, "new_case", "POST", "/michiQ/newCase", headers, data=form)
        if reply is not None and reply.status == 200:
            self._answered(attempt, reply.body)
        elif reply is not None and reply.cause == "outcome-unknown":
            attempt.unknown = True
        return reply

    def _answered(self, attempt: Attempt, body: bytes) -> None:
        if attempt.answer not in (None, body):
            self.promises.lost.append(f"newCase {attempt.number} was answered otherwise the second time")
        if attempt.answer is None:
            attempt.answer = body
            person = attempt.person
            if self.calm() is None and self.is_of_legacy(attempt.case):
                # The legacy server has made it, whether or not the store can be written to.
                person.later[attempt.case] = json.loads(body)["token"]
                return
            person.cases.append(attempt.case)
            person.token = json.loads(body)["token"]

    async def _doc(self, person: Person) -> None:
        await self.ask_doc(person, self.random.choice(person.cases))

    async def ask_doc(
        self, person: Person, legacy_id: str, token: str | None = None, also: tuple[int, ...] = ()
    ) -> dict[str, Any] | None:
        headers = bearer(token or person.token)
        reply = await self.ask(person, "doc", "GET", f"/michiQ/doc/{legacy_id}", headers, also=also)
        if reply is None or reply.status != 200:
            return None
        document: dict[str, Any] = reply.json()["document"]
        if document["username"] != person.mail:
            self.promises.foreign.append(f"doc of {person.mail} is of {document['username']}")
        return document

    async def _encounters(self, person: Person) -> None:
        await self.ask_encounters(person)

    async def ask_encounters(self, person: Person) -> bool:
        """Asks for the list, in which every case must be that was answered before; says if it came."""
        before = [*person.cases]
        reply = await self.ask(person, "encounters", "GET", "/michiQ/encounters", bearer(person.token))
        if reply is None or reply.status != 200:
            return False
        missing = {*before} - {each["MichiqUUID"] for each in reply.json()}
        if missing:
            self.promises.lost.append(f"encounters of {person.mail} lacks {len(missing)} of {len(before)}")
        return True

    async def _query(self, person: Person) -> None:
        """Asks one question, or two at once about one case."""
        legacy_id = self.random.choice(person.cases[:_ASKED])
        count = 1 + (self.random.random() < 0.4)
        await asyncio.gather(*(self._question(person, legacy_id) for _ in range(count)))

    async def _question(self, person: Person, legacy_id: str) -> None:
        body = {"query": f"¿Qué consta de {person.words['question']} y qué refiere?"}
        path = f"/michiQ/query/{legacy_id}"
        await self.ask(person, "query", "POST", path, bearer(person.token), json=body)

    async def _page(self, person: Person) -> None:
        path = f"/app/encounter/{self.random.choice(person.cases)}"
        accept = {"Accept": "text/html"} if self.random.random() < 0.5 else {}
        headers = {**bearer(person.token), **accept}
        await self.ask(person, "encounter_page", "GET", path, headers, also=(302,), allow_redirects=False)

    async def _others_doc(self, person: Person) -> None:
        others = [each for each in self.promises.people if each is not person and each.cases]
        if others:
            path = f"/michiQ/doc/{self.random.choice(self.random.choice(others).cases)}"
            await self.ask(person, "doc", "GET", path, bearer(person.token), own=False)

    async def _record(self, organization: str) -> None:
        """Uploads visits, one after another, some of them by two writers at once."""
        person = self.promises.new_person(organization)
        while not self.over:
            while not person.cases:
                await self._new_case(person)
            if len(person.cases) >= _CASES:
                person = self.promises.new_person(organization)
                continue
            await self._new_case(person)
            is_case = self.random.random() < 0.6
            legacy_id = person.cases[-1] if is_case else f"visita-{len(self.promises.visits)}"
            if any(each.legacy_id == legacy_id for each in self.promises.visits):
                continue
            writers = [Writer() for _ in range(1 + (self.random.random() < 0.3))]
            visit = Visit(person, legacy_id, writers, is_case)
            self.promises.visits.append(visit)
            await self._visit(visit)

    async def _visit(self, visit: Visit) -> None:
        for _ in range(self.random.randint(1, 2)):
            if self.over or not await self.upload(visit, visit.writers[0], self._chunk(_OPENING)):
                return
            counts = [self.random.randint(1, 5) for _ in visit.writers]
            done = await asyncio.gather(
                *(self._write(visit, *each) for each in zip(visit.writers, counts, strict=True))
            )
            if not all(done) or not await self.transcribe(visit):
                return

    async def _write(self, visit: Visit, writer: Writer, count: int) -> bool:
        for _ in range(count):
            if not await self.upload(visit, writer, self._chunk(_CONTINUING)):
                return False
            await asyncio.sleep(self.random.uniform(0, 0.3))
        return True

    def _chunk(self, beginning: bytes) -> bytes:
        large = self.random.random() < 0.01
        return beginning + self.random.randbytes(_LARGE if large else self.random.randint(100, 30_000))

    async def upload(self, visit: Visit, writer: Writer, data: bytes) -> bool:
        """Sends one chunk until it is taken, or once more, as after a lost answer; returns whether it was."""
        path, writer.sent = f"/michiQ/uploadAudio/{visit.legacy_id}", digest(data)
        visit.bodies[writer.sent] = data
        for number, pause in enumerate(self._tries()):
            if number:
                writer.repeated.add(writer.sent)
            form = aiohttp.FormData()
            form.add_field("audioChunk", data, filename="visita.webm")
            reply = await self.ask(
                visit.person, "upload_audio", "POST", path, bearer(visit.person.token), data=form
            )
            if reply is not None and reply.status == 200 and not (number == 0 and self._by_chance()):
                writer.taken.append(writer.sent)
                writer.sent = None
                return True
            await asyncio.sleep(pause)
        return False

    async def transcribe(self, visit: Visit) -> bool:
        """Asks for the text until it comes; what an earlier answer had must be in it."""
        path = f"/michiQ/speechToText/{visit.legacy_id}"
        for pause in self._tries():
            reply = await self.ask(visit.person, "speech_to_text", "POST", path, bearer(visit.person.token))
            if reply is not None and reply.status == 200:
                texts = [each["transcription"] for each in reply.json()["segments"]]
                if texts[: len(visit.texts)] != visit.texts:
                    self.promises.lost.append(f"a transcription of {visit.legacy_id} has changed")
                visit.texts = texts
                return True
            await asyncio.sleep(pause)
        return False

    def _by_chance(self) -> bool:
        return self.random.random() < self.twice

    def _tries(self) -> Iterable[float]:
        for number in range(_TRIES):
            yield self.random.uniform(0.5, 1) * _PAUSES[min(number, len(_PAUSES) - 1)]

    async def ask(
        self,
        person: Person,
        route: str,
        method: str,
        path: str,
        headers: dict[str, str],
        *,
        own: bool = True,
        also: tuple[int, ...] = (),
        **body: Any,
    ) -> Reply | None:
        """Returns an answer, or None where the connection broke or nothing came in time."""
        try:
            async with (
                asyncio.timeout(_PATIENCE),
                self.http.request(method, self.base() + path, headers=headers, **body) as response,
            ):
                content = await response.read()
        except (aiohttp.ClientError, TimeoutError, ConnectionError) as error:
            self.promises.answered[f"{route} {type(error).__name__}"] += 1
            return None
        reply = Reply(response.status, response.headers.get("X-Michiq-Cause", ""), content)
        self.promises.answered[f"{route} {reply.status} {reply.cause}".rstrip()] += 1
        head = b"\n".join(b"%b: %b" % pair for pair in response.raw_headers)
        for word in self.promises.belongings.foreign(person.mail, head + b"\n\n" + content):
            self.promises.foreign.append(f"{route} told {person.mail} {word}")
        if not self._is_documented(route, reply, own=own, also=also):
            said = f"{route} of {person.mail}: {reply.status} {reply.cause} {content[:80]!r}"
            self.promises.undocumented.append(said)
        return reply

    def _is_documented(self, route: str, reply: Reply, *, own: bool, also: tuple[int, ...]) -> bool:
        if reply.status in ((200, *also) if own else (404,)):
            return True
        if reply.status in _BALANCER and b"<center>nginx</center>" in reply.body:
            return True
        return reply.status in _EXPECTED and (reply.status, reply.body) in self.errors[route]


def _documented() -> dict[str, set[tuple[int, bytes]]]:
    """Returns the errors of each route as its mapping has them (CONTRACT G08)."""
    table = load_table(ROOT / "mappings", SPECS)
    return {
        name: {(each.status, each.text.encode()) for each in route.mapping.errors.values()}
        for name, route in table.routes.items()
    }
