"""Checks what became of all promises, once every fault is over: by requests, and in the store's rows."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path
from typing import Any, Final

import asyncpg

from proxy.postgresql_url import parse_postgresql_url
from tests.replicas.chat import Listener
from tests.replicas.clients import Clients
from tests.replicas.promises import Promises, Visit, digest
from tests.replicas.site import Site

_SECONDS: Final = 60.0
_SHORT: Final = 8  # hex digits of a digest in the sandbox's transcription
_CHUNKS: Final = (
    "SELECT c.sha256 FROM chunks c JOIN recordings r ON r.id = c.recording_id "
    "WHERE r.legacy_id = $1 ORDER BY r.number, c.position"
)
_CASES: Final = "SELECT id FROM cases"
_OPEN: Final = (
    "SELECT (SELECT count(*) FROM journal WHERE state = 'intent') "
    "+ (SELECT count(*) FROM links WHERE state IN ('pending', 'intent'))"
)


@dataclass
class Findings:
    """The faults that were found, as sentences; a good run has none."""

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    mixed: list[str] = field(default_factory=list)
    overlaps: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    undocumented: list[str] = field(default_factory=list)
    audit: list[str] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)
    logged: list[str] = field(default_factory=list)

    def all(self) -> list[str]:
        return [
            *(*self.lost, *self.doubled, *self.mixed, *self.overlaps, *self.foreign),
            *(*self.undocumented, *self.audit, *self.unseen, *self.logged),
        ]


async def check_all(site: Site, clients: Clients, listener: Listener) -> Findings:
    """Looks at everything, while all replicas serve and nothing else is asked of them."""
    promises, findings = clients.promises, Findings()
    findings.lost += await _webhooks(site)
    findings.unseen += await _unfinished(site)
    await _ask_again(clients, findings)
    findings.lost += await _documents(site, clients)
    findings.lost += await _changes(site, promises)
    for visit in promises.visits:
        await _recordings(site, clients, visit, findings)
    findings.doubled += _doubles(site, promises)
    findings.unseen += await _unseen(site, promises)
    findings.audit += await _audit(site)
    findings.overlaps += listener.overlaps
    findings.logged += _logged(site.folder, promises)
    findings.lost += promises.lost
    findings.foreign += promises.foreign
    findings.undocumented += promises.undocumented
    return findings


async def _webhooks(site: Site) -> list[str]:
    try:
        async with asyncio.timeout(_SECONDS):
            await site.sandbox.llamalitica.webhooks.idle()
    except TimeoutError:
        return ["a webhook is not taken"]
    return []


async def _unfinished(site: Site) -> list[str]:
    """Waits until nothing is open that a dead process had begun."""
    try:
        async with asyncio.timeout(_SECONDS):
            while (left := (await rows(site, _OPEN))[0]) > 0:  # noqa: ASYNC110
                await asyncio.sleep(0.5)
    except TimeoutError:
        return [f"{left} calls of dead processes are neither resumed nor shown"]
    return []


async def _ask_again(clients: Clients, findings: Findings) -> None:
    """Repeats each newCase with a key: it gets the first answer, or the one that nobody has seen."""
    for attempt in clients.promises.attempts:
        if attempt.key is None:
            continue
        before, unknown = attempt.answer, attempt.unknown
        await clients.ask_case(attempt)
        if before is None and not unknown and attempt.answer is None and not attempt.unknown:
            findings.lost.append(f"newCase {attempt.number} has no answer")
        if before is not None and attempt.unknown:
            findings.lost.append(f"newCase {attempt.number} was answered, and is unknown now")
        if unknown and attempt.answer is not None:
            findings.lost.append(f"newCase {attempt.number} was unknown, and is answered now")


async def _documents(site: Site, clients: Clients) -> list[str]:
    """Each answered case is in its document and in the list; the newest report is in the document."""
    wrong, platform, linked = [], site.sandbox.llamalitica, await _linked(site)
    for person in clients.promises.people:
        if not person.cases:
            continue
        if not await clients.ask_encounters(person):
            wrong.append(f"{person.mail} gets no list")
        for legacy_id, token in person.later.items():
            document = await clients.ask_doc(person, legacy_id, token, also=(401, 404))
            clients.promises.found_later += document is not None
        for legacy_id in person.cases:
            document = await clients.ask_doc(person, legacy_id)
            if document is None:
                wrong.append(f"case {legacy_id} has no document")
            elif legacy_id in platform.cases:
                own = [legacy_id, *linked[legacy_id]]
                reports = [platform.reports[each] for each in own if each in platform.reports]
                newest = max(reports, key=attrgetter("at"))
                if document.get("generated_text") != newest.content:
                    wrong.append(f"the report of case {legacy_id} is not in its document")
            elif legacy_id not in site.sandbox.michiq.encounters:
                wrong.append(f"case {legacy_id} was never made")
    return wrong


async def _linked(site: Site) -> dict[str, list[str]]:
    """Returns the linked cases of each case."""
    found: dict[str, list[str]] = defaultdict(list)
    for pair in await rows(site, "SELECT ARRAY[case_id, linked_case_id] FROM links"):
        found[pair[0]].append(pair[1])
    return found


async def _changes(site: Site, promises: Promises) -> list[str]:
    status, body = await site.admin(site.replicas[0], "GET", "/history?limit=1000")
    if status != 200:
        return [f"the history of the changes: {status}"]
    found = {each["revision"]: each for each in body["changes"]}
    return [
        f"the change of revision {revision} is not stored"
        for revision, wanted in promises.changes.items()
        if {name: found.get(revision, {}).get(name) for name in wanted} != wanted
    ]


async def _recordings(site: Site, clients: Clients, visit: Visit, findings: Findings) -> None:
    """Compares the chunks in the store, and the bytes that LlamaChat got, with what was sent."""
    stored = await rows(site, _CHUNKS, visit.legacy_id)
    findings.lost += [
        f"a chunk of {visit.legacy_id} is not stored"
        for writer in visit.writers
        for each in writer.taken
        if each not in stored
    ]
    findings.mixed += _out_of_order(visit, stored)
    if stored and await clients.transcribe(visit):
        expected = [f"Transcripción simulada del audio {each[:_SHORT]}." for each in _whole(visit, stored)]
        if visit.texts != expected:
            findings.mixed.append(f"LlamaChat got other bytes of {visit.legacy_id} than were sent")
    elif stored:
        findings.lost.append(f"{visit.legacy_id} is not transcribed")


def _out_of_order(visit: Visit, stored: list[str]) -> Iterator[str]:
    """Each writer's chunks are there once and in order; with a second writer, a repeated one may be twice."""
    for writer in visit.writers:
        own = [*writer.taken, *([writer.sent] if writer.sent in stored else [])]
        found = [each for each in stored if each in own]
        if len(visit.writers) > 1:
            found = [
                each for n, each in enumerate(found) if each not in found[:n] or each not in writer.repeated
            ]
        if found != own:
            yield f"{visit.legacy_id} has {len(found)} chunks of {len(own)}, or in another order"
    sent = {each for writer in visit.writers for each in (*writer.taken, writer.sent)}
    if not {*stored} <= sent:
        yield f"{visit.legacy_id} has a chunk that nobody sent"


def _whole(visit: Visit, stored: list[str]) -> list[str]:
    """Returns the digests of the recordings: each begins with the chunk that opens one."""
    recordings: list[bytes] = []
    for each in stored:
        data = visit.bodies[each]
        if data.startswith(b"\x1a\x45\xdf\xa3") or not recordings:
            recordings.append(b"")
        recordings[-1] += data
    return [digest(each) for each in recordings]


def _doubles(site: Site, promises: Promises) -> Iterator[str]:
    """Yields what an upstream has twice. A linked case is recognized by its audio."""
    made, audio = Counter[str](), Counter[str]()
    for case in site.sandbox.llamalitica.cases.values():
        sound = [file.sha256 for file in case.files if file.content_type.startswith(("audio/", "video/"))]
        audio.update(sound)
        made.update([] if sound else [str(case.patient_metadata["id"])])
    for encounter in site.sandbox.michiq.encounters.values():
        made.update([_patient(encounter)])
    for attempt in promises.attempts:
        if made[attempt.patient] > 1:
            yield f"newCase {attempt.number} made {made[attempt.patient]} cases in {attempt.tries} tries"
    yield from (f"{count} linked cases of one recording" for count in audio.values() if count > 1)


def _patient(encounter: Any) -> str:
    return str((getattr(encounter, "ehr", None) or {}).get("id", ""))


async def _unseen(site: Site, promises: Promises) -> list[str]:
    """Cases of the platform that no client can find are shown to operators, each."""
    stored = {*await rows(site, _CASES)}
    linked = {*await rows(site, "SELECT linked_case_id FROM links WHERE linked_case_id IS NOT NULL")}
    hidden = {*site.sandbox.llamalitica.cases} - stored - linked
    status, body = await site.admin(site.replicas[0], "GET", "/pending")
    shown = len(body["pending"]) if status == 200 else 0
    unknown = sum(attempt.unknown for attempt in promises.attempts)
    if len(hidden) > shown or unknown > shown:
        return [f"{len(hidden)} cases nobody can find, {unknown} unknown to clients, {shown} are shown"]
    return []


async def _audit(site: Site) -> list[str]:
    code, said = await site.command("audit", "verify")
    return [] if code == 0 else [f"audit verify: {said[-300:]}"]


def _logged(folder: Path, promises: Promises) -> list[str]:
    """Words of users in any log: of the replicas, of nginx, of PostgreSQL."""
    logs = [path for path in folder.glob("*.log") if not path.name.startswith("s3")]
    text = "\n".join(path.read_text(errors="replace") for path in logs)
    words = [word for person in promises.people for word in person.words.values()]
    return [f"a word of a user is in a log ({word[:6]})" for word in words if word in text]


async def rows(site: Site, query: str, *values: object) -> list[Any]:
    """The first column of a query's rows, by a connection of our own to the server that takes writes."""
    url = parse_postgresql_url(site.database_url)
    driver = await asyncpg.connect(
        host=[each.host for each in url.servers],
        port=[each.port for each in url.servers],
        user=url.user,
        database=url.database,
        target_session_attrs=url.target_session_attrs if len(url.servers) > 1 else None,
        ssl=False,
    )
    try:
        return [row[0] for row in await driver.fetch(query, *values)]
    finally:
        await driver.close()
