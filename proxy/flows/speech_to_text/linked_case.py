"""Sends new audio to the new platform, as a second case of the same patient (CONTRACT S05)."""

from collections.abc import Sequence, Set
from contextlib import AbstractContextManager
from typing import Final, TypeAlias

import structlog

from proxy.errors import UpstreamError
from proxy.flows.deps import Deps
from proxy.flows.shared.attachments import text_file
from proxy.flows.shared.confirmed_callers import is_refusal
from proxy.flows.shared.patient import CasePatient, metadata
from proxy.flows.speech_to_text.recorded import outgoing
from proxy.store.records.links import Attempt
from proxy.store.sql.rows import Lives
from proxy.values import Case, Identity, Origin, OutgoingFile, Recording, folded_id

# Seconds between the attempts of a call that never reached the platform.
_WAITS: Final = (1.0, 5.0, 25.0)

# A recording and its transcription.
_Transcribed: TypeAlias = tuple[Recording, str]
# The same, with the attempt to make its linked case.
_Begun: TypeAlias = tuple[_Transcribed, Attempt]

_log: Final = structlog.get_logger("proxy.linked_case")


async def plan(
    case: Case, transcribed: Sequence[_Transcribed], identity: Identity, origin: Origin, deps: Deps
) -> None:
    """Plans the linked case durably, and starts `forward`. Raises StoreError when it can't be planned."""
    with _in_hand(case, transcribed, deps):
        # Before the answer, which promises the linked case: another process resumes it after a kill.
        digests = [recording.digest for recording, _ in transcribed]
        await deps.store.links.plan(case.id, digests, deps.effects.clock(), origin)
        deps.tasks.start("linked_case", forward(case, identity, transcribed, deps, origin))


async def forward(
    case: Case,
    identity: Identity,
    transcribed: Sequence[_Transcribed],
    deps: Deps,
    origin: Origin | None = None,
) -> None:
    """Makes one linked case of the recordings without one, with their transcriptions.

    The intent is durable before anything is sent; a call that may have arrived is never made again. A call
    that never reached the platform is retried here, and after the last attempt with the next transcription.
    Between two attempts there is no intent, so that another process can go on if this one ends.
    """
    with _in_hand(case, transcribed, deps):
        for wait in (*_WAITS, None):
            new = await _begun(case, transcribed, deps, origin)
            if not new or await _reached(case, identity, new, deps, last=wait is None) or wait is None:
                return
            await deps.effects.pause(wait)


async def resume(deps: Deps, lives: Lives) -> None:
    """Resumes the linked cases that a process had planned and not yet sent when it ended.

    So it does with this process's own ones whose task failed.
    """
    pending = await deps.store.links.pending(lives)
    for case_id in dict.fromkeys(each.legacy_id for each in pending):
        case = await deps.store.cases.get(case_id)
        session = await deps.store.sessions.newest_of(case.owner) if case else None
        if case is None or session is None:
            continue  # the next transcription has a session, and resumes it
        digests = {each.digest for each in pending if each.legacy_id == case_id}
        if transcribed := await _transcribed(case, digests, deps):
            deps.tasks.start("linked_case", forward(case, session.identity, transcribed, deps))


def _in_hand(case: Case, transcribed: Sequence[_Transcribed], deps: Deps) -> AbstractContextManager[None]:
    """Keeps this process's own sweeps away from the recordings while a task works on them."""
    names = [(folded_id(case.id), recording.digest) for recording, _ in transcribed]
    return deps.store.links.in_hand.holding(names)


async def _begun(
    case: Case, transcribed: Sequence[_Transcribed], deps: Deps, origin: Origin | None
) -> list[_Begun]:
    """Returns the recordings that have no linked case yet, each with the attempt whose intent is durable."""
    at, begin = deps.effects.clock(), deps.store.links.begin
    begun = [(each, await begin(case.id, each[0].digest, at, origin)) for each in transcribed]
    return [(each, attempt) for each, attempt in begun if attempt is not None]


async def _transcribed(case: Case, digests: Set[str], deps: Deps) -> list[_Transcribed]:
    texts = {each.digest: each.text for each in await deps.store.transcriptions.of(case.owner, case.id)}
    recordings = await deps.store.recordings.of(case.owner, case.id)
    return [(each, texts[each.digest]) for each in recordings if each.digest in digests & texts.keys()]


async def _reached(case: Case, identity: Identity, new: Sequence[_Begun], deps: Deps, *, last: bool) -> bool:
    """Sends the linked case and stores the result; returns False if nothing reached the platform."""
    links, attempts = deps.store.links, [attempt for _, attempt in new]
    try:
        linked = await _create(case, identity, [each for each, _ in new], deps)
    except UpstreamError as error:
        if is_refusal(error):
            deps.confirmed_callers.forget(case.owner)
        ambiguous = error.may_have_worked
        _log.warning("linked_case_failed", cause=error.cause, ambiguous=ambiguous)
        for attempt in attempts:
            if error.arrived or last:
                _note(there=await links.fail(attempt, error.cause, ambiguous=ambiguous))
            else:
                _note(there=await links.put_off(attempt, error.cause))
        return error.arrived
    for attempt in attempts:
        _note(there=await links.done(attempt, linked))
    return True


def _note(*, there: bool) -> None:
    """Logs that an outcome has no open row any more: an erase, the retention or an operator was earlier."""
    if not there:
        _log.warning("linked_case_not_noted")


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
