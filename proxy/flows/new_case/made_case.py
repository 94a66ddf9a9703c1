"""Builds the files, the record and the facts of a newCase's case (CONTRACT N10, N11, N18)."""

from proxy.flows.deps import Deps
from proxy.flows.new_case.draft import Draft
from proxy.flows.new_case.form import NewCaseForm
from proxy.flows.shared.attachments import text_file
from proxy.flows.shared.caller import NewCaseCaller
from proxy.flows.shared.facts import case_facts
from proxy.mapping.models import NewCase
from proxy.mapping.table import Route
from proxy.upstream.llamalitica import CreatedCase
from proxy.values import Case, CaseFile, Inbound, Json, OutgoingFile


def outgoing(form: NewCaseForm, route: Route[NewCase]) -> list[OutgoingFile]:
    """Returns the form's files to send, in their order, and the conversation as one more (N10, N11)."""
    files = [OutgoingFile(upload.filename, upload.content_type, upload.content) for upload in form.files]
    if form.conversation and route.mapping.conversation == "file":
        files.append(text_file("conversation.txt", form.conversation))
    return files


def case_of(caller: NewCaseCaller, draft: Draft, created: CreatedCase, inbound: Inbound, deps: Deps) -> Case:
    """Returns the record of the case, with every word of the form (CONTRACT N18)."""
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
        runtime_ms=round((deps.effects.monotonic() - inbound.started) * 1000),
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


def facts(case: Case, token: str) -> Json:
    """Returns the facts that the mapping's answer may contain."""
    return {
        "case": case_facts(case),
        "session": {"token": token},
        "tokens": {
            "conversation": case.tokens.conversation,
            "ehr": case.tokens.ehr,
            "documents": case.tokens.documents,
        },
    }
