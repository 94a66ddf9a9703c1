"""Finds what is wrong after a restart: broken promises, halves of records, doubles, things unseen."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from tests.conftest import bearer
from tests.crash.client import BROKEN, FILES, Attempt, Client
from tests.crash.site import ADMIN_TOKEN, Site
from tests.stores import ENGINES

_SECONDS: Final = 15

# What nothing may be found by.
_HALVES: Final = {
    "a case without all of its files": "SELECT count(*) FROM cases WHERE "
    f"(SELECT count(*) FROM case_files WHERE case_id = cases.id) <> {FILES}",
    "a file without its case": "SELECT count(*) FROM case_files WHERE case_id NOT IN (SELECT id FROM cases)",
    "an answer without its case": "SELECT count(*) FROM journal WHERE state = 'recorded' "
    "AND (answer IS NULL OR case_id NOT IN (SELECT id FROM cases))",
    "a case without its answer": "SELECT count(*) FROM cases WHERE id NOT IN (SELECT case_id FROM journal "
    "WHERE case_id IS NOT NULL)",
    "an intent of nobody": "SELECT count(*) FROM journal WHERE state = 'intent'",
    "a linked case of nobody": "SELECT count(*) FROM links WHERE state = 'intent'",
    "a recording without chunks": "SELECT count(*) FROM recordings "
    "WHERE id NOT IN (SELECT recording_id FROM chunks)",
    "a chunk without its recording": "SELECT count(*) FROM chunks "
    "WHERE recording_id NOT IN (SELECT id FROM recordings)",
    "a chunk twice": "SELECT count(*) - count(DISTINCT sha256) FROM chunks",
    "a mode without its row in the audit, or the other way": "SELECT (SELECT count(*) FROM overrides) <> "
    "(SELECT count(*) FROM audit WHERE action LIKE 'mode_%')",
    "a session without its key": "SELECT count(*) FROM sessions WHERE key_ref NOT IN "
    "(SELECT ref FROM api_keys)",
}


@dataclass
class Faults:
    """The faults that were found, as sentences; a good run has none."""

    lost: list[str] = field(default_factory=list)
    halves: list[str] = field(default_factory=list)
    doubles: list[str] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)

    def all(self) -> list[str]:
        return [*self.lost, *self.halves, *self.doubles, *self.unseen]


def asked(database: Path, query: str) -> list[Any]:
    """The first column of a query's rows, by a connection of our own."""
    return [row[0] for row in ENGINES.rows(database.parent, query)]


async def judge(site: Site, client: Client, faults: Faults, since: int) -> None:
    """Looks at a proxy that has just been started; asks again for what newCase did not answer from attempt
    number `since` on."""
    faults.unseen += await _unresumed(site)
    faults.halves += halves(site)
    await _ask_again(client, faults, client.attempts[since:])
    for legacy_id in list(client.sending):
        await client.send_again(legacy_id)
    faults.lost += [*_lost_cases(site, client), *_lost_chunks(site, client), *_lost_modes(site, client)]
    faults.lost += await _lost_reports(site, client, client.attempts[since:])
    faults.doubles += _doubles(site, client)
    faults.unseen += await _unseen(site, client)
    faults.halves += halves(site)


def halves(site: Site) -> Iterator[str]:
    for what, query in _HALVES.items():
        (count,) = asked(site.database, query)
        if count:
            yield f"{what}: {count}"
    if ENGINES.server is None and asked(site.database, "PRAGMA quick_check") != ["ok"]:
        yield "the database is damaged"
    missing = set(asked(site.database, "SELECT blob FROM chunks")) - set(blobs(site))
    if missing:
        yield f"a chunk without its blob: {len(missing)}"
    if any(Path(name).parent.name == "tmp" for name in ENGINES.blobs(site.folder)):
        yield "a blob that was never finished"


def blobs(site: Site) -> list[str]:
    return [Path(name).name for name in ENGINES.blobs(site.folder) if len(Path(name).parent.name) == 2]


async def at_last(site: Site, faults: Faults) -> None:
    """Checks what takes its time: the audit's chain, and blobs without a row, which go after a day."""
    async with site.store() as store:
        await store.retention.sweep(datetime.now(UTC) + timedelta(days=2), content_days=90, audio_days=30)
        verdict = await store.audit.verify()
    if verdict.first_bad is not None:
        faults.halves.append(f"the audit: {verdict.reason}")
    if sorted(asked(site.database, "SELECT blob FROM chunks")) != sorted(blobs(site)):
        faults.halves.append("a blob without its row outlived the sweep")


async def _ask_again(client: Client, faults: Faults, attempts: Sequence[Attempt]) -> None:
    for attempt in attempts:
        before = attempt.answer
        try:
            await client.ask(attempt)
        except BROKEN:
            faults.lost.append(f"newCase {attempt.number} was not answered after the restart")
            continue
        if before not in (None, attempt.answer):
            faults.lost.append(f"newCase {attempt.number} was answered otherwise after the restart")
        if attempt.answer is None and not attempt.unknown:
            faults.lost.append(f"newCase {attempt.number} was refused after the restart")


async def _unresumed(site: Site) -> list[str]:
    """Linked cases that were promised, and nobody makes; calls of the dead that nobody looks into."""
    unsettled = (
        "SELECT state FROM links WHERE state IN ('pending', 'intent') "
        "UNION ALL SELECT state FROM journal WHERE state = 'intent'"
    )
    try:
        async with asyncio.timeout(_SECONDS):
            while asked(site.database, unsettled):  # noqa: ASYNC110  another process sets no event
                await asyncio.sleep(0.05)
    except TimeoutError:
        return ["a linked case that was promised is not made, or a call is left as it was"]
    return []


def _lost_cases(site: Site, client: Client) -> Iterator[str]:
    kept = set(asked(site.database, "SELECT id FROM cases"))
    promised = [each.case["michiq_uuid"] for each in client.attempts if each.answer]
    upstream = site.sandbox.llamalitica.cases
    yield from (f"case {each} is not kept" for each in promised if each not in kept)
    yield from (f"case {each} was never made" for each in promised if each not in upstream)


def _lost_chunks(site: Site, client: Client) -> Iterator[str]:
    for legacy_id, promised in client.chunks.items():
        query = (
            "SELECT sha256 FROM chunks JOIN recordings ON recordings.id = recording_id "
            f"WHERE legacy_id = '{legacy_id}' ORDER BY number, position"
        )
        kept = asked(site.database, query)
        if [each for each in kept if each in promised] != promised:
            yield f"audio of {legacy_id}: {len(promised)} chunks promised, kept otherwise"


def _lost_modes(site: Site, client: Client) -> Iterator[str]:
    kept = asked(site.database, "SELECT mode FROM overrides ORDER BY revision")
    for revision, mode in client.modes:
        if kept[revision - 1 : revision] != [mode]:
            yield f"mode {mode} of revision {revision} is not kept"
    # One that was killed within it may be in force, or not.
    if len(kept) > len(client.wanted):
        yield "a mode that nobody asked for"


async def _lost_reports(site: Site, client: Client, attempts: Sequence[Attempt]) -> list[str]:
    """The platform has told of every report by now, and was answered; the newest shows in the document."""
    platform = site.sandbox.llamalitica
    try:
        async with asyncio.timeout(_SECONDS):
            await platform.webhooks.idle()
    except TimeoutError:
        return ["a webhook is not taken after the restart"]
    lost = []
    for attempt in attempts:
        if attempt.answer is not None:
            legacy_id = attempt.case["michiq_uuid"]
            if await client.report(legacy_id) != platform.reports[legacy_id].content:
                lost.append(f"the report of newCase {attempt.number} is not in its document")
    return lost


def _doubles(site: Site, client: Client) -> Iterator[str]:
    """Yields the cases that the platform has twice. A linked case is recognized by its audio."""
    made, audio = Counter[str](), Counter[str]()
    for case in site.sandbox.llamalitica.cases.values():
        heard = [file.sha256 for file in case.files if file.name.endswith(".wav")]
        audio.update(heard)
        made.update([] if heard else [str(case.patient_metadata["id"])])
    for attempt in client.attempts:
        if made[attempt.patient] > 1:
            yield f"newCase {attempt.number} made {made[attempt.patient]} cases"
    yield from (f"{count} linked cases of one recording" for count in audio.values() if count > 1)


async def _unseen(site: Site, client: Client) -> list[str]:
    """Returns sentences on calls that may have made a case and are not shown to operators, in API and log.

    A linked case may be on its way at any kill; the log names it by its time.
    """
    unknown = sum(attempt.unknown for attempt in client.attempts)
    pending = (await site.get("/admin/v1/pending", **bearer(ADMIN_TOKEN)))["pending"]
    cases = [each["id"] for each in pending if each["kind"] == "new_case"]
    linked = [each["at"].removesuffix("Z") for each in pending if each["kind"] == "speech_to_text"]
    log = site.log.read_text()
    unsaid = [each for each in (*cases, *linked) if each not in log]
    missed = [f"{unknown} calls may have made a case, {len(cases)} are shown"] * (unknown != len(cases))
    return missed + [f"{len(unsaid)} ambiguous calls are not in the log"] * bool(unsaid)
