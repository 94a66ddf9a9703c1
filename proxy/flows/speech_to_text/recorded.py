"""Reads stored recordings out of the blob store, to send them and to measure their length."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Final

import structlog

from proxy.audio.duration import BadAudio
from proxy.audio.naming import with_ending
from proxy.flows.deps import Deps
from proxy.isolated.pool import WorkerCrashed, WorkerTimeout
from proxy.store import BlobError
from proxy.store.blobs.protocol import Blobs
from proxy.store.blobs.recording_file import seconds_of
from proxy.values import OutgoingFile, Recording

_SECONDS: Final = 60.0

_log: Final = structlog.get_logger("proxy.recorded")


@dataclass(frozen=True, slots=True)
class RecordedAudio:
    """A recording's bytes, decrypted frame by frame (`values.Content`)."""

    recording: Recording = field(repr=False)
    blobs: Blobs = field(repr=False)

    @property
    def size(self) -> int:
        return self.recording.size

    def chunks(self) -> AsyncIterator[bytes]:
        return self.blobs.read_all([(each.blob, each.key) for each in self.recording.chunks])


def outgoing(recording: Recording, deps: Deps) -> OutgoingFile:
    """Returns the recording as a file to send, named by its format: a recorder's `blob` hides it (U04)."""
    name = with_ending(recording.filename, recording.container)
    return OutgoingFile(name, recording.content_type, RecordedAudio(recording, deps.store.blobs))


async def length(recording: Recording, deps: Deps) -> float:
    """Returns the length in seconds, read from the audio itself; 0 if that fails (CONTRACT S01)."""
    names, keys = [each.blob for each in recording.chunks], [each.key for each in recording.chunks]
    try:
        async with deps.store.blobs.local(names) as local:
            pieces = [*zip(local, keys, strict=True)]
            return await deps.workers.run(seconds_of, pieces, seconds=_SECONDS, raises=BadAudio, long=True)
    except (BadAudio, BlobError, WorkerTimeout, WorkerCrashed) as error:
        _log.warning("audio_not_measured", reason=type(error).__name__, container=recording.container)
        return 0.0
