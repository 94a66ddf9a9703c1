"""POST /michiQ/speechToText/{id}: the uploaded audio, transcribed by LlamaChat (CONTRACT S)."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from proxy.audio.duration import hms
from proxy.errors import UPSTREAM_KINDS, Refusal
from proxy.flows.answers import answer
from proxy.flows.deps import Deps
from proxy.flows.shared.access import authenticate, own_id
from proxy.flows.shared.chat import chat_of
from proxy.flows.shared.json_body import read_text
from proxy.flows.speech_to_text.linked_case import plan
from proxy.flows.speech_to_text.recorded import length, outgoing
from proxy.mapping.models import SpeechToText
from proxy.mapping.table import FlowSpec, Route
from proxy.upstream.llamachat import LlamaChat
from proxy.values import Answer, Case, Identity, Inbound, Json, Origin, Recording, Transcription

SPEC: Final = FlowSpec(
    name="speech_to_text",
    model=SpeechToText,
    facts=frozenset({"legacy_id", "transcription", "total_time", "total_seconds", "segments.*"}),
    errors=UPSTREAM_KINDS
    | {"unauthorized", "unknown_id", "foreign_id", "bad_request", "no_audio", "no_chat"},
    writes=True,
)

_Transcribed: TypeAlias = tuple[Recording, Transcription]


@dataclass(frozen=True, slots=True)
class _Transcriber:
    """A transcriber of one owner's recordings."""

    owner: str
    ref: str | None = field(repr=False)
    chat: LlamaChat
    key: str = field(repr=False)
    deps: Deps = field(repr=False)

    async def transcribe(self, recording: Recording) -> Transcription:
        """Returns the stored transcription, else makes and stores one; concurrent calls pay once (S04)."""
        store, deps = self.deps.store.transcriptions, self.deps
        async with deps.locks.hold("transcription", self.owner, recording.legacy_id, recording.digest):
            stored = await store.get(self.owner, recording.legacy_id, recording.digest)
            if stored is not None:
                return stored
            file = outgoing(recording, deps)
            text = await self.chat.transcribe(self.key, file.filename, file.content_type, file.content)
            made = Transcription(recording.digest, text, await length(recording, deps), deps.effects.clock())
            # The new transcription contains those of the recording when it was shorter.
            parts = recording.digests()[:-1]
            await store.put(self.owner, recording.legacy_id, made, parts, self.ref)
            return made


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
    # A transcription that has begun is paid for: it ends even if the client leaves, for its next call.
    origin = Origin(inbound.request_id, deps.store.sealer.organization(session.organization))
    work = _transcribe(chosen, transcriber, forwarded, session.identity, origin)
    return answer(route, _facts(legacy_id, await deps.tasks.finish("transcription", work)))


async def _transcribe(
    chosen: Sequence[Recording],
    transcriber: _Transcriber,
    forwarded: Case | None,
    identity: Identity,
    origin: Origin,
) -> list[_Transcribed]:
    """Transcribes the recordings, and starts the linked case of `forwarded` without waiting for it."""
    deps = transcriber.deps
    transcribed = [(recording, await transcriber.transcribe(recording)) for recording in chosen]
    if forwarded is not None:
        texts = [(recording, transcription.text) for recording, transcription in transcribed]
        await plan(forwarded, texts, identity, origin, deps)
    return transcribed


async def _label(inbound: Inbound, deps: Deps) -> str | None:
    """Returns the last component of `audioFile`: a name to look for, never a path to open (CONTRACT S02)."""
    label = await read_text(inbound, "audioFile", deps.workers, optional=True)
    if label is None:
        raise Refusal("bad_request", "audio-file-not-a-string")
    return _last_component(label) if label else None


def _last_component(path: str) -> str:
    """Returns the last component of a path or URL, in NFC: macOS separates letters and accents."""
    return unicodedata.normalize("NFC", re.split(r"[/\\]", path)[-1])


def _facts(legacy_id: str, transcribed: Sequence[_Transcribed]) -> Json:
    total = sum(transcription.seconds for _, transcription in transcribed)
    return {
        "legacy_id": legacy_id,
        "transcription": "\n".join(transcription.text for _, transcription in transcribed),
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
            for recording, transcription in transcribed
        ],
    }
