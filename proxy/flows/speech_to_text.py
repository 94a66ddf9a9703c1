"""POST /michiQ/speechToText/{id}: the uploaded audio as text, by LlamaChat (CONTRACT S)."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from proxy.audio.duration import hms
from proxy.errors import UPSTREAM_KINDS, Refusal
from proxy.flows.access import authenticate, own_id
from proxy.flows.answers import answer
from proxy.flows.chat import chat_of
from proxy.flows.deps import Deps
from proxy.flows.json_body import read_text
from proxy.flows.linked_case import forward
from proxy.flows.recorded import length, outgoing
from proxy.mapping.models import SpeechToText
from proxy.mapping.table import FlowSpec, Route
from proxy.upstream.llamachat import LlamaChat
from proxy.values import Answer, Case, Identity, Inbound, Json, Recording, Transcription

SPEC: Final = FlowSpec(
    name="speech_to_text",
    model=SpeechToText,
    facts=frozenset({"legacy_id", "transcription", "total_time", "total_seconds", "segments.*"}),
    errors=UPSTREAM_KINDS
    | {"unauthorized", "unknown_id", "foreign_id", "bad_request", "no_audio", "no_chat"},
    writes=True,
)

_Heard: TypeAlias = tuple[Recording, Transcription]


@dataclass(frozen=True, slots=True)
class _Transcriber:
    """Recordings of one owner to their transcriptions."""

    owner: str
    ref: str | None = field(repr=False)
    chat: LlamaChat
    key: str = field(repr=False)
    deps: Deps = field(repr=False)

    async def hear(self, recording: Recording) -> Transcription:
        """The kept result, or a new one that is kept: two who ask at once pay for one (S04)."""
        store, deps = self.deps.store.transcriptions, self.deps
        async with deps.locks.hold("transcription", self.owner, recording.legacy_id, recording.digest):
            kept = await store.get(self.owner, recording.legacy_id, recording.digest)
            if kept is not None:
                return kept
            file = outgoing(recording, deps)
            text = await self.chat.transcribe(self.key, file.filename, file.content_type, file.content)
            heard = Transcription(recording.digest, text, await length(recording, deps), deps.clock())
            # What was heard while the recording was shorter is part of this.
            parts = recording.digests()[:-1]
            await store.put(self.owner, recording.legacy_id, heard, parts, self.ref)
            return heard


async def run(inbound: Inbound, route: Route[SpeechToText], deps: Deps) -> Answer:
    _, session = await authenticate(inbound, deps)
    legacy_id, case = await own_id(inbound, session, deps)
    label = await _label(inbound, deps)
    recordings = await deps.store.recordings.of(session.owner, legacy_id)
    chosen = [each for each in recordings if _last_component(each.filename) == label] or recordings
    if not chosen:
        raise Refusal("no_audio", "no-audio")
    transcriber = _Transcriber(session.owner, session.ref, *chat_of(session, route, deps), deps)
    forwarded = case if route.mapping.forward == "linked-case" else None
    # Paid for once begun: a client that leaves finds the results on its next call, the linked case made.
    work = _hear(chosen, transcriber, forwarded, session.identity)
    return answer(route, _facts(legacy_id, await deps.tasks.finish("transcription", work)))


async def _hear(
    chosen: Sequence[Recording], transcriber: _Transcriber, forwarded: Case | None, identity: Identity
) -> list[_Heard]:
    """The transcriptions of all; what is `forwarded` goes on to the platform without being waited for."""
    deps = transcriber.deps
    heard = [(recording, await transcriber.hear(recording)) for recording in chosen]
    if forwarded is not None:
        texts = [(recording, transcription.text) for recording, transcription in heard]
        # Durable before the answer: a process that is killed right after it has promised the linked case.
        await deps.store.links.plan(forwarded.id, [each.digest for each in chosen], deps.clock())
        deps.tasks.start("linked_case", forward(forwarded, identity, texts, deps))
    return heard


async def _label(inbound: Inbound, deps: Deps) -> str | None:
    """The last component of the body's `audioFile`: a name to look for, never a place (S02)."""
    label = await read_text(inbound, "audioFile", deps.workers, optional=True)
    if label is None:
        raise Refusal("bad_request", "audio-file-not-a-string")
    return _last_component(label) if label else None


def _last_component(path: str) -> str:
    """Of a path of any system, or of an address; NFC, since macOS takes letters and accents apart."""
    return unicodedata.normalize("NFC", re.split(r"[/\\]", path)[-1])


def _facts(legacy_id: str, heard: Sequence[_Heard]) -> Json:
    total = sum(transcription.seconds for _, transcription in heard)
    return {
        "legacy_id": legacy_id,
        "transcription": "\n".join(transcription.text for _, transcription in heard),
        "total_time": hms(total),
        "total_seconds": total,
        "segments": [
            {
                "name": recording.filename,
                "transcription": transcription.text,
                "seconds": transcription.seconds,
                "time": hms(transcription.seconds),
                "size": recording.size,
            }
            for recording, transcription in heard
        ],
    }
