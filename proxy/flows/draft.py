"""A newCase form, read, judged and counted: all that happens before anything is sent."""

import asyncio
from dataclasses import dataclass, field
from typing import Final

import structlog

from proxy import jsons
from proxy.errors import Refusal
from proxy.flows.deps import Deps
from proxy.flows.intake import NewCaseForm, Upload
from proxy.flows.offload import (
    Document,
    count_stored_tokens,
    count_tokens,
    load_stored_json,
    read_document,
)
from proxy.flows.patient import Patient, identify, metadata, with_conversation
from proxy.mapping.models import NewCase
from proxy.mapping.table import Route
from proxy.values import Json, Tokens

_BOM: Final = b"\xef\xbb\xbf"

_log: Final = structlog.get_logger("proxy.draft")


@dataclass(frozen=True, slots=True)
class Draft:
    """A case that is ready to be sent: read, judged and counted."""

    form: NewCaseForm = field(repr=False)
    ehr: Json = field(repr=False)
    patient: Patient
    metadata: bytes = field(repr=False)
    documents: tuple[Document, ...] = field(repr=False)
    tokens: Tokens


async def make_draft(form: NewCaseForm, route: Route[NewCase], deps: Deps) -> Draft:
    """All that the form says, or the refusal that it deserves (N08, N09, N12, N13)."""
    ehr = await _ehr(form, deps)
    documents = await _documents(form, route, deps)
    patient = identify(ehr, route.expressions, route.mapping.patient, deps.store.sealer.digest, deps.new_id())
    tokens = Tokens(
        conversation=await count_tokens(deps.workers, form.conversation),
        ehr=await count_stored_tokens(deps.workers, form.ehr) if form.ehr else 0,
        documents=sum(document.tokens for document in documents),
    )
    # One mark was read past; a second one would have been no JSON.
    raw = form.ehr.read().removeprefix(_BOM) if form.ehr else None
    if route.mapping.conversation == "clinical-data" and form.conversation:
        raw = with_conversation(raw, ehr, form.conversation)
    return Draft(form, ehr, patient, metadata(patient, raw), documents, tokens)


async def _ehr(form: NewCaseForm, deps: Deps) -> Json:
    if form.ehr is None:
        return None
    try:
        ehr = await load_stored_json(deps.workers, form.ehr)
    except jsons.BadJson as error:
        raise Refusal("bad_ehr", f"ehr-{error.cause}") from None
    if not isinstance(ehr, dict):
        raise Refusal("bad_ehr", "ehr-not-an-object")
    return ehr


async def _documents(form: NewCaseForm, route: Route[NewCase], deps: Deps) -> tuple[Document, ...]:
    """What was read of each file. None is judged before all are read: a refusal closes their spools."""
    documents = await asyncio.gather(
        *(read_document(deps.workers, each.content, each.filename, each.content_type) for each in form.files)
    )
    for upload, document in zip(form.files, documents, strict=True):
        if document.outcome == "damaged":
            if route.mapping.unreadable == "reject" and _is_pdf(upload):
                raise Refusal("unreadable_pdf", "damaged-pdf")
            _log.info("damaged_document", pdf=_is_pdf(upload), size=upload.content.size)
    return tuple(documents)


def _is_pdf(upload: Upload) -> bool:
    return (
        upload.content.head.lstrip().startswith(b"%PDF")
        or upload.content_type.partition(";")[0].strip().lower() == "application/pdf"
        or upload.filename.lower().endswith(".pdf")
    )
