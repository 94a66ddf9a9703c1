"""A store with something in each sealed column, and all of it found again: what an upgrade must keep.

`releases/0.1.0.sql` and its blob were made by `fill` with the code of 0.1.0 (commit 0c83bbc), its key is
`examples.KEY`: `sqlite3.Connection.iterdump` of the closed database, and the file in its blobs folder.
"""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from proxy.modes import Change
from proxy.store import JournalEntry, Store
from proxy.store.audit.accesses import Access
from proxy.store.audit.usage import Calls, Client, Visit
from proxy.store.records.deliveries import Delivery, Subject
from proxy.store.records.short_chunks import ShortChunk
from proxy.values import Chunk, Identity, Report, Session

from .examples import NOW, case, cases_of, chunk, entry, event, session, transcription

RELEASES: Final = Path(__file__).parent / "releases"
USER: Final = "Ana@clinic.example"  # as releases before N06's folding hashed a user
ORGANIZATION: Final = "Clínica"
AUDIO: Final = b"RIFF, as a recorder says it \xf0\x00"
_ANSWER: Final = '{"caseId": "case-1", "patient": "Pérez"}'.encode()
_WEBHOOK: Final = b'{"event": "report.created"}'


async def fill(store: Store) -> None:
    """Writes what `found` looks for, through the store's own doors."""
    owner = store.sealer.owner(USER, ORGANIZATION)
    await store.journal.begin(entry(owner=owner))
    await store.journal.record("intent-1", case(owner=owner), _ANSWER)
    await store.sessions.put("token-1", session(owner=owner))
    legacy = legacy_session(store.sealer.spelt_owner(USER, ORGANIZATION))
    await store.homes.learn_legacy_case("legacy-token", legacy, "legacy-case", NOW)
    await store.homes.pair("case-1", "candidate-1", owner, NOW)
    await store.conversations.put("case-1", owner, "conversation of llamachat")
    await store.conversations.add_sent("case-1", owner, {"5e1f"})
    await store.reports.apply(event(), NOW)
    await store.reports.apply(event("deleted", report_id="report-2"), NOW)
    await store.transcriptions.put(owner, "case-1", transcription())
    await store.links.plan("case-1", ["audio-1"], NOW)
    await _record_audio(store, owner)
    for mode in ("off", "new"):
        change = Change(actor="ana", route="doc", mode=mode, reason="a drill", organization=ORGANIZATION)
        await store.overrides.change(change, expected=None, at=NOW)
    visit = Visit("k", owner, ORGANIZATION, "o", "okhttp", "doc", "new", 200, NOW)
    access = Access(owner, store.sealer.case("case-1"), "doc", NOW)
    await store.evidence.add(visits=[visit], accesses=[access], at=NOW)
    delivery = Delivery(_WEBHOOK, "signature", "application/json")
    await store.deliveries.receive(delivery, Subject("report-1", "case-1"), None, NOW)
    await store.keys.note()


async def _record_audio(store: Store, owner: str) -> None:
    async with store.blobs.writer() as writer:
        await writer.write(AUDIO)
        name, key = await writer.commit()
    about: Any = {"filename": "consulta de Pérez.webm", "content_type": "audio/webm", "container": "webm"}
    short = ShortChunk(b"R", "primera.webm", None)
    for each, opens in ((Chunk(name, key, len(AUDIO), "0" * 64), True), (chunk(b"R"), False)):
        end = None if opens else short
        await store.recordings.add_chunk(
            owner, "case-1", each, opens=opens, short=end, at=NOW + timedelta(seconds=not opens), **about
        )


def legacy_session(owner: str) -> Session:
    """Returns the session of a token that the legacy server gave, as it is found again."""
    who = Identity(api_key="key-2", user=USER, organization=ORGANIZATION)
    changes = {"identity": who, "organization": ORGANIZATION, "owner": owner, "side": "legacy"}
    return session(**changes, access_token="", access_expires_at=datetime(1970, 1, 1, tzinfo=UTC))


def expected(store: Store) -> dict[str, object]:
    """Returns the values that `found` gives for those that `fill` wrote."""
    owner, spelt = store.sealer.owner(USER, ORGANIZATION), store.sealer.spelt_owner(USER, ORGANIZATION)
    client = Client("k", owner, ORGANIZATION, "o", "okhttp", NOW, NOW)
    told = event()
    return {
        "session": session(owner=owner),
        "legacy session": legacy_session(spelt),
        "legacy token": "legacy-token",
        "case": case(owner=owner),
        "list": [case(owner=owner)],
        "answer": _ANSWER,
        "conversation": ("conversation of llamachat", frozenset({"5e1f"})),
        "reports": [
            Report("report-1", "case-1", NOW, "agent-1", told.content or "", told.structured_data, 0)
        ],
        "transcriptions": [transcription()],
        "audio": [("consulta de Pérez.webm", AUDIO)],
        "short": (ShortChunk(b"R", "primera.webm", None),),
        "overrides": [ORGANIZATION, ORGANIZATION],
        "in force": 2,
        "calls": [Calls(client, NOW.date(), "doc", "new", 200, 1)],
        "organizations": {ORGANIZATION},
        "delivery": Delivery(_WEBHOOK, "signature", "application/json"),
        "older hashes": (spelt,),
        "audit": (3, None),
    }


async def found(store: Store) -> dict[str, object]:
    """Returns all that `fill` had sealed, as the store's own doors give it."""
    owner, spelt = store.sealer.owner(USER, ORGANIZATION), store.sealer.spelt_owner(USER, ORGANIZATION)
    conversation = await store.conversations.get("case-1", owner)
    repeated: JournalEntry | None = await store.journal.begin(entry("again", owner=owner))
    tip = await store.recordings.tip(owner, "case-1")
    claimed = await store.deliveries.claim(NOW, NOW)
    verdict = await store.audit.verify()
    return {
        "session": await store.sessions.get("token-1"),
        "legacy session": await store.sessions.get("legacy-token"),
        "legacy token": await store.homes.legacy_token(spelt, NOW),
        "case": await store.cases.get("case-1"),
        "list": await cases_of(store, owner),
        "answer": repeated and repeated.answer,
        "conversation": conversation and (conversation.id, conversation.sent),
        "reports": await store.reports.of_cases(["case-1"]),
        "transcriptions": await store.transcriptions.of(owner, "case-1"),
        "audio": await _audio(store, owner),
        "short": tip and tip.short,
        "overrides": [each.organization for each in await store.overrides.history()],
        "in force": (await store.overrides.load()).revision,
        "calls": await store.ledger.calls(),
        "organizations": await store.ledger.organizations(),
        "delivery": claimed and claimed.delivery,
        "older hashes": await store.owners.older_hashes(owner),
        "audit": (verdict.rows, verdict.first_bad),
    }


async def _audio(store: Store, owner: str) -> list[tuple[str, bytes]]:
    recordings = await store.recordings.of(owner, "case-1")
    return [
        (each.filename, b"".join([piece async for piece in store.blobs.read(*blob)]))
        for each in recordings
        for blob in [(each.chunks[0].blob, each.chunks[0].key)]
    ]


def unpack(release: str, folder: Path) -> None:
    """Puts the release's store where `examples.opened` looks for it. Blocks."""
    with closing(sqlite3.connect(folder / "michiq.db")) as connection:
        connection.executescript((RELEASES / f"{release}.sql").read_text())
    for blob in RELEASES.glob(f"{release}.*.blob"):
        name = blob.suffixes[-2].removeprefix(".")
        place = folder / "blobs" / name[:2] / name
        place.parent.mkdir(parents=True)
        place.write_bytes(blob.read_bytes())
