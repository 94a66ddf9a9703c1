"""POST /michiQ/uploadAudio/{id}: a chunk of a recording, stored encrypted (CONTRACT U)."""

from typing import Final

from proxy.audio.beginning import Beginning, BeginningVerdict
from proxy.audio.sniff import extension, media_type
from proxy.errors import Refusal
from proxy.flows.answers import answer
from proxy.flows.deps import Deps
from proxy.flows.shared.access import authenticate, own_id
from proxy.headers import bearer
from proxy.mapping.models import UploadAudio
from proxy.mapping.table import FlowSpec, Route
from proxy.store.blobs.protocol import BlobWriter
from proxy.store.records.recordings import Tip
from proxy.store.records.short_chunks import ShortChunk
from proxy.values import Answer, Chunk, FormPart, Inbound, Session, folded_id

SPEC: Final = FlowSpec(
    name="upload_audio",
    model=UploadAudio,
    facts=frozenset({"legacy_id", "size"}),
    errors=frozenset({"unauthorized", "unknown_id", "foreign_id", "missing_audio"}),
    writes=True,
    claims=True,
)

# Bytes for form delimiters and part headers, beside the audio itself.
_FRAMING: Final = 64 * 1024


async def run(inbound: Inbound, route: Route[UploadAudio], deps: Deps) -> Answer:
    """Takes the chunks of one id one after the other, in the order of their arrival."""
    # Held from the start: the next chunk must not overtake one whose token has to be renewed first.
    async with deps.locks.hold("arrival", bearer(inbound.headers), folded_id(inbound.legacy_id)):
        _, session = await authenticate(inbound, deps)
        legacy_id, _ = await own_id(inbound, session, deps)
        async with deps.locks.hold("recording", session.owner, folded_id(legacy_id)):
            size = await _receive(inbound, session, legacy_id, route, deps)
    return answer(route, {"legacy_id": legacy_id, "size": size})


async def _receive(
    inbound: Inbound, session: Session, legacy_id: str, route: Route[UploadAudio], deps: Deps
) -> int:
    """Stores the form's `audioChunk` and returns its size; stores nothing of a form that breaks off."""
    last = await deps.store.recordings.tip(session.owner, legacy_id)
    async with deps.store.blobs.writer() as blob:
        chunk: _Incoming | None = None
        async for part in inbound.body.parts(route.mapping.body_limit + _FRAMING):
            if part.name != "audioChunk":
                continue
            if chunk is not None:
                raise Refusal("malformed", "repeated-part")
            chunk = _Incoming(part, last, blob, route.mapping.body_limit)
            await chunk.store()
        if chunk is None or not chunk.size:
            raise Refusal("missing_audio", "no-audio-chunk" if chunk is None else "empty-audio-chunk")
        if not await _is_stored(chunk, session.owner, legacy_id, deps):
            await _store_chunk(chunk, session, legacy_id, deps)
        return chunk.size


class _Incoming:
    """A chunk on its way into the blob store, classified by its first bytes."""

    def __init__(self, part: FormPart, last: Tip | None, blob: BlobWriter, limit: int) -> None:
        self.part = part
        self.last = last
        self.blob = blob
        self.limit = limit
        self.beginning = Beginning([each.data for each in self._held])
        self.size = 0

    @property
    def verdict(self) -> BeginningVerdict:
        container = self.last.container if self.last else None
        return self.beginning.verdict(container, has_recording=self.last is not None)

    @property
    def opening(self) -> ShortChunk:
        """Returns the first chunk of the recording that opens now; it may be an earlier, short one."""
        own = ShortChunk(self.beginning.head, self.part.filename, self.part.content_type)
        return [*self._held, own][-1 - self.verdict.taken]

    async def store(self) -> None:
        """Stores the chunk. Raises Refusal as soon as it surely makes the recording too large."""
        room: int | None = None
        async for data in self.part.chunks():
            self.size += len(data)
            self.beginning.add(data)
            if room is None and self.beginning.whole:
                room = max(self._room, self._last_size)
            if room is not None and self.size > room:
                raise Refusal("too_large", "recording-too-large")
            await self.blob.write(data)
        if self.size > self._room and not self.sent_again:
            raise Refusal("too_large", "recording-too-large")

    @property
    def sent_again(self) -> bool:
        """Returns whether this repeats the last chunk, whose answer was lost; it takes no room (U04)."""
        return self.last is not None and self.last.chunk_sha256 == self.blob.sha256

    @property
    def _held(self) -> tuple[ShortChunk, ...]:
        return self.last.short if self.last else ()

    @property
    def _room(self) -> int:
        """Returns the bytes by which the recording may grow; for the first chunk of a new one, all."""
        verdict = self.verdict
        if self.last is None or not verdict.opens:
            return self.limit - (self.last.size if self.last else 0)
        return self.limit - sum(len(each.data) for each in self._held[len(self._held) - verdict.taken :])

    @property
    def _last_size(self) -> int:
        return self.last.chunk_size if self.last else 0


async def _is_stored(chunk: _Incoming, owner: str, legacy_id: str, deps: Deps) -> bool:
    """Returns whether these bytes are the last chunk's, which is durable, so that nothing is left to write.

    The last chunk is looked up again: it may have been erased since the first bytes came.
    """
    if not chunk.sent_again:
        return False
    last = await deps.store.recordings.tip(owner, legacy_id)
    return last is not None and last.chunk_sha256 == chunk.blob.sha256


async def _store_chunk(chunk: _Incoming, session: Session, legacy_id: str, deps: Deps) -> None:
    """Makes the blob durable before the row that names it, and the row before the answer."""
    verdict, first = chunk.verdict, chunk.opening
    kind = verdict.container
    name, key = await chunk.blob.commit()
    added = await deps.store.recordings.add_chunk(
        session.owner,
        legacy_id,
        Chunk(name, key, chunk.size, chunk.blob.sha256),
        opens=verdict.opens,
        filename=first.filename or f"audio{extension(kind) if kind else ''}",
        content_type=media_type(kind) if kind else first.content_type or "application/octet-stream",
        container=kind,
        at=deps.effects.clock(),
        taken=verdict.taken,
        short=first if verdict.short else None,
        ref=session.ref,
    )
    if not added:
        await deps.store.blobs.delete(name)
