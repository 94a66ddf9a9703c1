"""What a newCase sends, keeps and tells of its case (CONTRACT N10, N11, N18)."""

from proxy.flows.attachments import text_file
from proxy.flows.caller import NewCaseCaller
from proxy.flows.deps import Deps
from proxy.flows.draft import Draft
from proxy.flows.facts import case_facts
from proxy.flows.intake import NewCaseForm
from proxy.mapping.models import NewCase
from proxy.mapping.table import Route
from proxy.upstream.llamalitica import CreatedCase
from proxy.values import Case, CaseFile, Inbound, Json, OutgoingFile


def outgoing(form: NewCaseForm, route: Route[NewCase]) -> list[OutgoingFile]:
    """The files of the form as they are sent, in their order, and the conversation as one more (N10, N11)."""
    files = [OutgoingFile(upload.filename, upload.content_type, upload.content) for upload in form.files]
    if form.conversation and route.mapping.conversation == "file":
        files.append(text_file("conversation.txt", form.conversation))
    return files


def case_of(caller: NewCaseCaller, draft: Draft, created: CreatedCase, inbound: Inbound, deps: Deps) -> Case:
    """The record of the case, of which every word is kept (N18)."""
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


def facts(case: Case, token: str) -> Json:
    """What the mapping's answer may tell."""
    return {
        "case": case_facts(case),
        "session": {"token": token},
        "tokens": {
            "conversation": case.tokens.conversation,
            "ehr": case.tokens.ehr,
            "documents": case.tokens.documents,
        },
    }
