"""Reads and validates a newCase form, and counts its tokens, before anything is sent."""

import asyncio
from dataclasses import dataclass, field
from typing import Final

import structlog

from proxy import jsons
from proxy.compressed import Compressed
from proxy.errors import Refusal
from proxy.flows.deps import Deps
from proxy.flows.new_case.documents import Ehr, ReadDocument, count_tokens, read_document, read_ehr
from proxy.flows.new_case.form import NewCaseForm, Upload
from proxy.flows.shared.patient import CasePatient, Found, identify, metadata, with_conversation
from proxy.mapping.models import NewCase
from proxy.mapping.table import Route
from proxy.spool import Bytes
from proxy.text.extract import kind_of
from proxy.values import Content, Tokens

_log: Final = structlog.get_logger("proxy.draft")


@dataclass(frozen=True, slots=True)
class Draft:
    """A case that is ready to be sent: read and validated, its tokens counted."""

    form: NewCaseForm = field(repr=False)
    ehr: Ehr | None
    patient: CasePatient
    metadata: Content = field(repr=False)
    documents: tuple[ReadDocument, ...] = field(repr=False)
    tokens: Tokens


async def make_draft(form: NewCaseForm, route: Route[NewCase], deps: Deps) -> Draft:
    """Returns the case that the form describes. Raises Refusal for an invalid form (N08, N09, N12, N13)."""
    joining = form.conversation if route.mapping.conversation == "clinical-data" else ""
    ehr = await _ehr(form, joining, route, deps)
    documents = await _documents(form, route, deps)
    found = ehr.found if ehr else Found()
    patient = identify(found, route.mapping.patient.unnamed, deps.store.sealer.digest, deps.effects.new_id())
    tokens = Tokens(
        conversation=await count_tokens(deps.workers, form.conversation),
        ehr=ehr.tokens if ehr else 0,
        documents=sum(document.tokens for document in documents),
    )
    return Draft(form, ehr, patient, metadata(patient, _sent(ehr, joining)), documents, tokens)


async def _ehr(form: NewCaseForm, joining: str, route: Route[NewCase], deps: Deps) -> Ehr | None:
    if form.ehr is None:
        return None
    try:
        return await read_ehr(deps.workers, form.ehr, route.expressions, joining)
    except jsons.BadJson as error:
        raise Refusal("bad_ehr", f"ehr-{error.cause}") from None


def _sent(ehr: Ehr | None, joining: str) -> Compressed | Bytes | None:
    """Returns the clinical data in the form in which the platform gets them."""
    if ehr is None:
        return Bytes(with_conversation(b"{}", {}, joining)) if joining else None
    return ehr.sent


async def _documents(form: NewCaseForm, route: Route[NewCase], deps: Deps) -> tuple[ReadDocument, ...]:
    """Returns the text of each file; all are read before one is refused: a refusal closes their spools."""
    reading = [
        read_document(deps.workers, each.content, each.filename, each.content_type) for each in form.files
    ]
    documents = await asyncio.gather(*reading) if len(reading) > 1 else [await each for each in reading]
    for upload, document in zip(form.files, documents, strict=True):
        if document.outcome == "damaged":
            if route.mapping.unreadable == "reject" and _is_pdf(upload):
                raise Refusal("unreadable_pdf", "damaged-pdf")
            _log.info("damaged_document", pdf=_is_pdf(upload), size=upload.content.size)
    return tuple(documents)


def _is_pdf(upload: Upload) -> bool:
    return kind_of(upload.content.head, upload.filename, upload.content_type) == "pdf"
