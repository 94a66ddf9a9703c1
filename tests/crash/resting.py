"""A session with made-up words in everything that is private, and a search for them on the disk."""

import asyncio
import json
import stat
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import aiohttp

from proxy.sandbox import Fault, SandboxConfig
from proxy.spool import MEMORY_LIMIT
from tests.conftest import bearer
from tests.crash.site import Site, alive
from tests.samples import wav

# Each is nowhere but in the session: whoever has one on disk has it from there.
_NAMES: Final = (
    *("key", "mail", "organization", "patient", "ehr", "said", "file-name", "file-text"),
    *("audio-name", "audio", "heard", "asked", "report", "chat-key"),
)
WORDS: Final = {name: f"zq{sha256(name.encode()).hexdigest()[:12]}" for name in _NAMES}
_LARGE: Final = 1_500_000
_BOUNDARY: Final = "at-rest"
_CASES: Final = "/api/cases"

_IDENTITY: Final = {
    "API_KEY": WORDS["key"],
    "user_mail": f"{WORDS['mail']}@clinica.example",
    "organization": WORDS["organization"],
}
_AUDIO: Final = wav(0.2) + WORDS["audio"].encode() * 200_000


@dataclass
class Found:
    """The result of a search: what it went through, and the words that it found, with their files."""

    files: int = 0
    bytes: int = 0
    temporary: int = 0
    hits: set[str] = field(default_factory=set)

    def search(self, path: Path, where: str) -> None:
        data = path.read_bytes()
        self.files += 1
        self.bytes += len(data)
        self.hits.update(f"{name} in {where}" for name, word in WORDS.items() if word.encode() in data)


def config() -> SandboxConfig:
    """A sandbox that knows the words."""
    return SandboxConfig(
        api_keys=frozenset({WORDS["key"]}),
        chat_keys={"michiq-proxy": WORDS["chat-key"]},
        transcripts={sha256(_AUDIO).hexdigest(): WORDS["heard"]},
    )


async def session(site: Site, found: Found) -> None:
    """A call on every route, searching while large bodies are on their way through the proxy."""
    made = await _new_case(site, found)
    legacy_id, token = made["michiq_uuid"], bearer(made["token"])
    async with site.http.post(
        f"{site.url}/michiQ/uploadAudio/{legacy_id}",
        data=_upload(site, found),
        headers={**token, "Content-Type": f"multipart/form-data; boundary={_BOUNDARY}"},
    ) as response:
        assert response.status == 200, await response.text()
    heard = await _post(site, f"/michiQ/speechToText/{legacy_id}", token, None)
    assert heard["transcription"] == WORDS["heard"]
    await _post(site, f"/michiQ/query/{legacy_id}", token, {"query": f"¿Y {WORDS['asked']}?"})
    platform = site.sandbox.llamalitica
    await platform.send("report.updated", legacy_id, WORDS["report"], {"a": WORDS["report"]})
    async with site.http.get(f"{site.url}/michiQ/doc/{legacy_id}", headers=token) as response:
        assert WORDS["report"] in await response.text()
    await platform.webhooks.idle()
    search(site, found)


def search(site: Site, found: Found) -> None:
    """Searches all files of the state, and all that the proxy's processes have open, named or not."""
    for path in [path for path in site.folder.rglob("*") if path.is_file()]:
        found.search(path, path.name if path.suffix != "" else path.parent.name)
    assert site.process
    for pid in alive(site.process.pid):
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            _search_open(descriptor, found)


def _search_open(descriptor: Path, found: Found) -> None:
    try:
        opened, target = descriptor.stat(), str(descriptor.readlink())
    except FileNotFoundError:
        return
    if stat.S_ISREG(opened.st_mode) and target.endswith("(deleted)"):
        found.temporary += opened.st_size > MEMORY_LIMIT
        found.search(descriptor, "a file without a name")


async def _new_case(site: Site, found: Found) -> Any:
    """The platform is made to wait, so that the form's files are still there to be searched."""
    platform = site.sandbox.llamalitica
    platform.faults.add(Fault(kind="delay", path_prefix=_CASES, delay=1.5))
    asking = asyncio.create_task(_post(site, "/michiQ/newCase", _IDENTITY, _form()))
    while platform.faults.pending and not asking.done():  # noqa: ASYNC110  the platform sets no event
        await asyncio.sleep(0.01)
    search(site, found)
    return await asking


def _form() -> aiohttp.FormData:
    form = aiohttp.FormData(default_to_multipart=True)
    text = f"{WORDS['file-text']} tos y fiebre\n" * (_LARGE // 20)
    ehr = {"id": WORDS["ehr"], "name": WORDS["patient"], "notes": [WORDS["ehr"]] * (_LARGE // 20)}
    form.add_field("ehr", json.dumps(ehr))
    form.add_field("conversation", f"Dijo {WORDS['said']}.")
    for number in range(2):
        form.add_field("files", text, filename=f"{WORDS['file-name']}-{number}.txt")
    return form


async def _upload(site: Site, found: Found) -> AsyncIterator[bytes]:
    """A chunk in two halves, with a search between them."""
    name = WORDS["audio-name"]
    yield (
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="audioChunk"; filename="{name}.wav"\r\n\r\n'
    ).encode()
    middle = len(_AUDIO) // 2
    yield _AUDIO[:middle]
    while not _blob_has_begun(site):  # noqa: ASYNC110  the proxy sets no event
        await asyncio.sleep(0.01)
    search(site, found)
    yield _AUDIO[middle:]
    yield f"\r\n--{_BOUNDARY}--\r\n".encode()


def _blob_has_begun(site: Site) -> bool:
    return any(path.stat().st_size > 0 for path in (site.folder / "blobs" / "tmp").iterdir())


async def _post(site: Site, path: str, headers: dict[str, str], body: Any) -> Any:
    sent = {"data": body} if isinstance(body, aiohttp.FormData) else {"json": body}
    async with site.http.post(f"{site.url}{path}", headers=headers, **sent) as response:
        text = await response.text()
        assert response.status == 200, text
        return json.loads(text)
