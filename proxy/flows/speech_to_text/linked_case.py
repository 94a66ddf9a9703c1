"""Sends new audio to the new platform, as a second case of the same patient (CONTRACT S05)."""

from collections.abc import Sequence, Set
from typing import Final, TypeAlias

import structlog

from proxy.errors import UpstreamError
from proxy.flows.deps import Deps
from proxy.flows.shared.attachments import text_file
from proxy.flows.shared.confirmed_callers import is_refusal
from proxy.flows.shared.patient import CasePatient, metadata
from proxy.flows.speech_to_text.recorded import outgoing
from proxy.values import Case, Identity, OutgoingFile, Recording

# Seconds between the attempts of a call that never reached the platform.
_WAITS: Final = (1.0, 5.0, 25.0)

# A recording and its transcription.
_Transcribed: TypeAlias = tuple[Recording, str]

_log: Final = structlog.get_logger("proxy.linked_case")


async def forward(case: Case, identity: Identity, transcribed: Sequence[_Transcribed], deps: Deps) -> None:
    """Makes one linked case of the recordings without one, with their transcriptions.

    The intent is durable before anything is sent; a call that may have arrived is never made again. A call
    that never reached the platform is retried here, and after the last attempt with the next transcription.
    Between two attempts there is no intent, so that another process can go on if this one ends.
    """
    for wait in (*_WAITS, None):
        at = deps.effects.clock()
        new = [each for each in transcribed if await deps.store.links.begin(case.id, each[0].digest, at)]
        if not new or await _reached(case, identity, new, deps, last=wait is None) or wait is None:
            return
        await deps.effects.pause(wait)


async def resume(deps: Deps) -> None:
    """Resumes the linked cases that a process had planned and not yet sent when it ended."""
    pending = await deps.store.links.pending(deps.store.presence.lives)
    for case_id in dict.fromkeys(each.legacy_id for each in pending):
        case = await deps.store.cases.get(case_id)
        session = await deps.store.sessions.newest_of(case.owner) if case else None
        if case is None or session is None:
            continue  # the next transcription has a session, and resumes it
        digests = {each.digest for each in pending if each.legacy_id == case_id}
        transcribed = await _transcribed(case, digests, deps)
        deps.tasks.start("linked_case", forward(case, session.identity, transcribed, deps))


async def _transcribed(case: Case, digests: Set[str], deps: Deps) -> list[_Transcribed]:
    texts = {each.digest: each.text for each in await deps.store.transcriptions.of(case.owner, case.id)}
    recordings = await deps.store.recordings.of(case.owner, case.id)
    return [(each, texts[each.digest]) for each in recordings if each.digest in digests & texts.keys()]


async def _reached(
    case: Case, identity: Identity, new: Sequence[_Transcribed], deps: Deps, *, last: bool
) -> bool:
    """Sends the linked case and stores the result; returns False if nothing reached the platform."""
    links = deps.store.links
    try:
        linked = await _create(case, identity, new, deps)
    except UpstreamError as error:
        if is_refusal(error):
            deps.confirmed_callers.forget(case.owner)
        ambiguous = error.may_have_worked
        _log.warning("linked_case_failed", cause=error.cause, ambiguous=ambiguous)
        for recording, _ in new:
            if error.arrived or last:
                await links.fail(case.id, recording.digest, error.cause, ambiguous=ambiguous)
            else:
                await links.put_off(case.id, recording.digest, error.cause)
        return error.arrived
    for recording, _ in new:
        await links.done(case.id, recording.digest, linked)
    return True


async def _create(case: Case, identity: Identity, new: Sequence[_Transcribed], deps: Deps) -> str:
    patient = metadata(CasePatient(case.patient_id, case.patient_name), case.ehr)
    return (await deps.upstreams.llamalitica.create_case(identity, patient, _files(case, new, deps))).case_id


def _files(case: Case, new: Sequence[_Transcribed], deps: Deps) -> list[OutgoingFile]:
    files = [outgoing(recording, deps) for recording, _ in new]
    if case.conversation:
        files.append(text_file("conversation.txt", case.conversation))
    transcription = "\n".join(text for _, text in new if text)
    if transcription:
        files.append(text_file("transcription.txt", transcription))
    return files
