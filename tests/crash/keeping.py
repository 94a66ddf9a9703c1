"""Erasing and changing keys while the proxy serves, and a search of the files for what should be gone."""

import asyncio
import re
import secrets
import sqlite3
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from cryptography.fernet import Fernet

from proxy.store import Store
from proxy.store.sealing.keyring import FORMAT
from proxy.values import Chunk
from tests.conftest import IDENTITY
from tests.crash.client import BROKEN, Client
from tests.crash.judge import asked, blobs
from tests.crash.site import Site
from tests.store.examples import case, entry, event, transcription

MAIL: Final = "eva@clinica.example"
_ORGANIZATION: Final = IDENTITY["organization"]
_LEFT_OUT: Final = ("audit", "meta", "clients", "ledger", "requests", "processes")
_AT_ONCE: Final = 50
_SHORT: Final = 32
_PAUSE_SECONDS: Final = 0.1
# What is searched for, by its beginning: sealed values, ids, hashes and names of blobs. In a file one may
# stand right behind another, so that every place is looked at.
_SEALED: Final = rb"\x01[\s\S]{36}"  # format, key id, salt and nonce
_UUID: Final = rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_TRACE: Final = rb"%b|%b|[0-9a-f]{32}" % (_SEALED, _UUID)
_BEGINNING: Final = re.compile(_TRACE)
_ANYWHERE: Final = re.compile(rb"(?=(%b))" % _TRACE)


@dataclass
class Done:
    """The result of an operator's command, and what can still be found. `failed` are calls of others
    that it broke."""

    code: int | None = None
    said: str = ""
    seconds: float = 0.0
    searched: int = 0
    hits: set[bytes] = field(default_factory=set)
    kills: int = 0
    failed: list[str] = field(default_factory=list)


async def erase_user(site: Site, client: Client, count: int) -> Done:
    """Erases a user with so many cases, while others call."""
    await site.sandbox.llamalitica.webhooks.idle()
    done, before = Done(), _needles(_values(site))
    async with site.store() as store:
        owner = store.sealer.owner(MAIL, _ORGANIZATION)
        await _fill(store, owner, count)
    mine = _needles(_values(site)) - before
    async with _bystanders(client, done):
        user = ("--user", MAIL, "--organization", _ORGANIZATION)
        await _run(site, done, "erase", *user, "--yes", "--json")
    files = _files(site)
    _search(done, mine - {owner[:_SHORT].encode()}, files)
    # In the audit alone, whose rows and index have it right behind what was done.
    actions = asked(site.database, f"SELECT DISTINCT action FROM audit WHERE subject = '{owner}'")
    kept = tuple(action.encode() for action in actions)
    found = [match.start() for match in re.finditer(owner.encode(), files)]
    if not found or not all(files.endswith(kept, 0, start) for start in found):
        done.hits.add(owner.encode())
    return done


async def erase_case(site: Site, client: Client) -> Done:
    """One case of a client that goes on calling, with its audio."""
    done = Done()
    legacy_id = (await client.new_case()).case["michiq_uuid"]
    await client.upload(legacy_id)
    await site.sandbox.llamalitica.webhooks.idle()
    names = asked(site.database, f"SELECT blob FROM chunks {_OF_RECORDING.format(legacy_id)}")
    async with _bystanders(client, done):
        await _run(site, done, "erase", "--case", legacy_id, "--yes", "--json")
    _search(done, _needles(each.encode() for each in (legacy_id, *names)), _files(site))
    del client.chunks[legacy_id], client.tokens[legacy_id]
    return done


async def rotate(site: Site, client: Client, count: int, kills: int) -> Done:
    """A new key comes, and the old one goes, while others call; the command is killed on the way."""
    done, old, new = Done(), site.key, Fernet.generate_key().decode()
    async with site.store() as store:
        await _fill(store, "a" * 64, count)
    mine = {each for each in _needles(_values(site)) if each.startswith(FORMAT)}
    await _restarted(site, f"{new},{old}")
    async with _bystanders(client, done):
        for _ in range(kills):
            done.kills += await _killed_on_the_way(site, kills)
        await _run(site, done, "rotate-keys", "--json")
    _search(done, mine, _files(site))
    await _restarted(site, new)
    done.failed += [f"case {each} is lost" for each in client.tokens if await client.report(each) is None]
    return done


_OF_RECORDING: Final = (
    "WHERE recording_id IN (SELECT id FROM recordings WHERE legacy_id = '{}')"  # an id has no quote in it
)


async def _killed_on_the_way(site: Site, kills: int) -> bool:
    """Kills the command once it has done its share of the work; False when it was quicker."""
    before = _contents(site)
    share = len(before) // (kills + 1)
    command = await site.command("rotate-keys")
    while command.returncode is None and len(before - _contents(site)) < share:  # noqa: ASYNC110
        await asyncio.sleep(0.005)
    killed = command.returncode is None
    if killed:
        command.kill()
    await command.communicate()
    return killed


def _contents(site: Site) -> set[bytes]:
    return set(asked(site.database, "SELECT substr(content, 1, 60) FROM cases"))


async def _run(site: Site, done: Done, *arguments: str) -> None:
    began = time.monotonic()
    command = await site.command(*arguments)
    out, error = await command.communicate()
    done.seconds, done.code = time.monotonic() - began, command.returncode
    done.said = (out + error).decode()


async def _restarted(site: Site, key: str) -> None:
    site.kill()
    await site.gone()
    site.key = key
    assert await site.start(plain=True), site.log.read_text()[-2000:]


@asynccontextmanager
async def _bystanders(client: Client, done: Done) -> AsyncIterator[None]:
    """Others call all the while, and none of their calls may fail."""
    case = (await client.new_case()).case["michiq_uuid"]
    over = asyncio.Event()
    calls = [
        asyncio.create_task(_steadily(lambda: client.upload(case), over, done)),
        asyncio.create_task(_steadily(client.new_case, over, done)),
    ]
    yield
    over.set()
    await asyncio.gather(*calls)
    done.failed += [f"newCase {each.number}" for each in client.attempts if each.answer is None]


async def _steadily(call: Callable[[], Awaitable[object]], over: asyncio.Event, done: Done) -> None:
    while not over.is_set():
        try:
            await call()
        except BROKEN as error:
            done.failed.append(type(error).__name__)
        await asyncio.sleep(_PAUSE_SECONDS)


async def _fill(store: Store, owner: str, count: int) -> None:
    """Stores so many cases, each with all that can join one."""
    for _ in range(0, count, _AT_ONCE):
        await asyncio.gather(*(_one(store, owner) for _ in range(min(_AT_ONCE, count))))


async def _one(store: Store, owner: str) -> None:
    case_id, now = str(uuid.uuid4()), datetime.now(UTC)
    intent = entry(str(uuid.uuid4()), owner=owner, idempotency=None, created_at=now)
    await store.journal.begin(intent)
    await store.journal.record(intent.id, case(case_id, owner=owner, created_at=now), b'{"answer": 1}')
    await store.transcriptions.put(owner, case_id, transcription(secrets.token_hex(32), created_at=now))
    await store.conversations.put(case_id, owner, str(uuid.uuid4()))
    await store.reports.apply(event(case_id=case_id, report_id=str(uuid.uuid4())), now)
    async with store.blobs.writer() as writer:
        await writer.write(b"audio")
        name, key = await writer.commit()
    await store.recordings.add_chunk(
        owner,
        case_id,
        Chunk(name, key, 5, secrets.token_hex(32)),
        opens=True,
        filename="a.wav",
        content_type="audio/wav",
        container="wav",
        at=now,
    )


def _values(site: Site) -> Iterator[bytes]:
    """Yields the values of the tables, without what stays and what a proxy notes late of others' calls."""
    with closing(sqlite3.connect(f"file:{site.database}?mode=ro", uri=True, timeout=30)) as connection:
        names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        for (name,) in names:
            if name not in _LEFT_OUT:
                rows = connection.execute(f"SELECT * FROM {name}").fetchall()
                yield from (_bytes(value) for row in rows for value in row)


def _bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


def _files(site: Site) -> bytes:
    """The contents of all files of the state, and the names of the blobs."""
    files = [*site.folder.glob("michiq.db*"), *(site.folder / "blobs").rglob("*")]
    contents = [path.read_bytes() for path in files if path.is_file()]
    return b"\n".join([*contents, *(name.encode() for name in blobs(site))])


def _needles(values: Iterable[bytes]) -> set[bytes]:
    return {found[0] for value in values if (found := _BEGINNING.match(value))}


def _search(done: Done, needles: set[bytes], data: bytes) -> None:
    done.searched = len(needles)
    done.hits = {found[1] for found in _ANYWHERE.finditer(data) if found[1] in needles}
