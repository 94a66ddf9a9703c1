"""New audio reaches the new platform as a second case of the same patient (CONTRACT S05)."""

from collections.abc import Sequence
from typing import Final

import structlog

from proxy import jsons
from proxy.errors import UpstreamError
from proxy.flows.deps import Deps
from proxy.flows.patient import Patient, metadata
from proxy.flows.recorded import outgoing
from proxy.spool import Bytes
from proxy.values import Case, Identity, OutgoingFile, Recording

# Waits between the tries of a call that never reached the platform.
_WAITS: Final = (1.0, 5.0, 25.0)
_TEXT: Final = "text/plain; charset=utf-8"

_log: Final = structlog.get_logger("proxy.linked_case")


async def forward(case: Case, identity: Identity, heard: Sequence[tuple[Recording, str]], deps: Deps) -> None:
    """One linked case for the recordings, with their transcriptions, that have none yet.

    The intent is durable before anything is sent; a call that may have arrived is never made again. What
    failed without arriving is tried again here, and then with the next transcription.
    """
    new = [
        (recording, text)
        for recording, text in heard
        if await deps.store.links.begin(case.id, recording.digest, deps.clock())
    ]
    if not new:
        return
    try:
        linked = await _create(case, identity, new, deps)
    except UpstreamError as error:
        ambiguous = error.may_have_worked
        _log.warning("linked_case_failed", case=case.id, cause=error.cause, ambiguous=ambiguous)
        for recording, _ in new:
            await deps.store.links.fail(case.id, recording.digest, error.cause, ambiguous=ambiguous)
        return
    for recording, _ in new:
        await deps.store.links.done(case.id, recording.digest, linked)


async def _create(case: Case, identity: Identity, new: Sequence[tuple[Recording, str]], deps: Deps) -> str:
    raw = jsons.dump(case.ehr) if case.ehr is not None else None
    patient = metadata(Patient(case.patient_id, case.patient_name), raw)
    files = _files(case, new, deps)
    for wait in (*_WAITS, None):
        try:
            return (await deps.llamalitica.create_case(identity, patient, files)).case_id
        except UpstreamError as error:
            if error.arrived or wait is None:
                raise
            await deps.pause(wait)
    raise AssertionError("the last try returns or raises")


def _files(case: Case, new: Sequence[tuple[Recording, str]], deps: Deps) -> list[OutgoingFile]:
    files = [outgoing(recording, deps) for recording, _ in new]
    if case.conversation:
        files.append(_text("conversation.txt", case.conversation))
    heard = "\n".join(text for _, text in new if text)
    if heard:
        files.append(_text("transcription.txt", heard))
    return files


def _text(filename: str, content: str) -> OutgoingFile:
    return OutgoingFile(filename, _TEXT, Bytes(content.encode()))
