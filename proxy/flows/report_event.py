"""A webhook delivery of the new platform, checked and kept (CONTRACT W02, W03)."""

from typing import Annotated, Final, Literal

from pydantic import AwareDatetime, BaseModel, Field, ValidationError

from proxy.flows.deps import Deps
from proxy.values import Json, ReportEvent

KNOWN: Final = ("report.created", "report.updated", "report.deleted")

Id = Annotated[str, Field(min_length=1, max_length=200)]


class BadEvent(ValueError):
    """A body that is not of the documented shape."""


class _Agent(BaseModel):
    id: Id


class _Data(BaseModel):
    id: Id
    caseId: Id
    agent: _Agent | None = None
    content: str | None = None
    structuredData: object = None


class _Event(BaseModel):
    """llamalitica-integration, "Event Format"."""

    event: Literal["report.created", "report.updated", "report.deleted"]
    organizationId: Id
    timestamp: AwareDatetime
    data: _Data


async def keep(body: Json, deps: Deps) -> None:
    """Stores a delivery, durable on return; BadEvent if it isn't one. Unknown types are let pass."""
    if not isinstance(body, dict) or not isinstance(body.get("event"), str):
        raise BadEvent
    if body["event"] in KNOWN:
        await deps.store.reports.apply(parse(body), deps.clock())


def parse(body: Json) -> ReportEvent:
    try:
        event = _Event.model_validate(body)
    except ValidationError:
        raise BadEvent from None
    if event.event != "report.deleted" and event.data.content is None:
        raise BadEvent
    return ReportEvent(
        event=event.event,
        report_id=event.data.id,
        case_id=event.data.caseId,
        organization_id=event.organizationId,
        at=event.timestamp,
        agent_id=event.data.agent.id if event.data.agent else None,
        content=event.data.content,
        structured_data=event.data.structuredData,  # type: ignore[arg-type]  # it came from a JSON body
    )
