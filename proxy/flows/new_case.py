"""POST /michiQ/newCase: one case on the new platform, and a session for its user (CONTRACT N)."""

from contextlib import ExitStack
from functools import partial
from typing import Final

import structlog

from proxy.errors import UPSTREAM_KINDS
from proxy.flows.answers import answer
from proxy.flows.attachments import text_file
from proxy.flows.caller import Caller, read_caller
from proxy.flows.deps import Deps
from proxy.flows.draft import Draft, make_draft
from proxy.flows.facts import case_facts
from proxy.flows.intake import NewCaseForm, read_form
from proxy.flows.once import answer_again, new_intent, settled, turn
from proxy.flows.patient import EXPRESSIONS
from proxy.mapping.models import NewCase
from proxy.mapping.table import FlowSpec, Route
from proxy.spool import Spool
from proxy.upstream.llamalitica import CreatedCase, UserSession
from proxy.values import Answer, Case, CaseFile, Inbound, Json, OutgoingFile, Session

SPEC: Final = FlowSpec(
    name="new_case",
    model=NewCase,
    facts=frozenset(
        {
            "case.id",
            "case.title",
            "case.created_at",
            "case.patient_id",
            "session.token",
            "tokens.conversation",
            "tokens.ehr",
            "tokens.documents",
        }
    ),
    errors=UPSTREAM_KINDS
    | {
        "unauthorized",
        "bad_token",
        "not_provisioned",
        "bad_ehr",
        "unreadable_pdf",
        "unknown_template",
        "idempotency_conflict",
        "outcome_unknown",
    },
    expressions=EXPRESSIONS,
    writes=True,
    makes_case=True,
)

_log: Final = structlog.get_logger("proxy.new_case")


async def run(inbound: Inbound, route: Route[NewCase], deps: Deps) -> Answer:
    """Nothing goes out before everything that came in has been judged; from then on the work is seen
    through to its end even if the client leaves, so that no case is made that nobody recorded."""
    caller = await read_caller(inbound, route, deps)
    with ExitStack() as spools:
        form = await read_form(inbound.body, partial(Spool, deps.spool_folder), spools)
        draft = await make_draft(form, route, deps)
        work = _make(caller, draft, inbound, route, deps, spools.pop_all())
        return await deps.tasks.finish("new_case", work)


async def _make(
    caller: Caller,
    draft: Draft,
    inbound: Inbound,
    route: Route[NewCase],
    deps: Deps,
    spools: ExitStack,
) -> Answer:
    with spools:
        user = await deps.llamalitica.me(caller.identity)
        await deps.store.owners.gather(caller.owner, caller.older)
        token = await _session(caller, user, route, deps)
        await _first_sights(caller, deps)
        async with turn(caller.owner, caller.idempotency, deps):
            said = deps.store.sealer.digest("new_case", draft.form.digest(), caller.template or "")
            intent = new_intent(caller.owner, caller.idempotency, said, deps)
            earlier = await deps.store.journal.begin(intent)
            if earlier is not None:
                return answer_again(earlier, intent)
            async with settled(intent, deps):
                files = _outgoing(draft.form, route)
                created = await deps.llamalitica.create_case(caller.identity, draft.metadata, files)
                case = _record(caller, draft, created, inbound, deps)
                given = answer(route, _facts(case, token))
                await deps.store.journal.record(intent.id, case, given.read())
                return given


async def _session(caller: Caller, user: UserSession, route: Route[NewCase], deps: Deps) -> str:
    """The legacy token: the given one, its access token renewed, else the new access token itself."""
    if caller.token is not None:
        await deps.store.sessions.renew(caller.token, user.access_token, user.expires_at)
        return caller.token
    session = Session(
        identity=caller.identity,
        organization=caller.organization,
        owner=caller.owner,
        access_token=user.access_token,
        access_expires_at=user.expires_at,
        expires_at=deps.clock() + route.mapping.session_lifetime,
    )
    await deps.store.sessions.put(user.access_token, session)
    return user.access_token


async def _first_sights(caller: Caller, deps: Deps) -> None:
    """Whom the new platform may just have created is on record (N05)."""
    organization = deps.store.sealer.digest("organization", caller.organization)
    await deps.store.audit.first_sight("organization", organization, deps.clock())
    await deps.store.audit.first_sight("user", caller.owner, deps.clock(), caller.older)


def _outgoing(form: NewCaseForm, route: Route[NewCase]) -> list[OutgoingFile]:
    files = [OutgoingFile(upload.filename, upload.content_type, upload.content) for upload in form.files]
    if form.conversation and route.mapping.conversation == "file":
        files.append(text_file("conversation.txt", form.conversation))
    return files


def _record(caller: Caller, draft: Draft, created: CreatedCase, inbound: Inbound, deps: Deps) -> Case:
    read = zip(draft.form.files, draft.documents, strict=True)
    return Case(
        id=created.case_id,
        owner=caller.owner,
        user=caller.identity.user,
        organization=caller.organization,
        patient_id=draft.patient.id,
        patient_name=draft.patient.name,
        title=created.title,
        created_at=created.created_at,
        runtime_ms=round((deps.monotonic() - inbound.started) * 1000),
        template=caller.template,
        agent=caller.agent,
        tokens=draft.tokens,
        ehr=draft.ehr.text if draft.ehr else None,
        conversation=draft.form.conversation,
        files=tuple(
            CaseFile(
                upload.filename,
                upload.content_type,
                upload.content.size,
                upload.content.sha256,
                document.text,
            )
            for upload, document in read
        ),
    )


def _facts(case: Case, token: str) -> Json:
    return {
        "case": case_facts(case),
        "session": {"token": token},
        "tokens": {
            "conversation": case.tokens.conversation,
            "ehr": case.tokens.ehr,
            "documents": case.tokens.documents,
        },
    }
