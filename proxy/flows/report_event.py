"""Validates and stores a webhook delivery of the new platform (CONTRACT W02–W04)."""

import re
from datetime import datetime
from typing import Annotated, Final, Literal

from pydantic import BaseModel, BeforeValidator, Field, ValidationError

from proxy.flows.deps import Deps
from proxy.store.records.deliveries import Delivery, Subject
from proxy.times import from_rfc3339
from proxy.values import Json, ReportEvent

_EVENTS: Final = ("report.created", "report.updated", "report.deleted")

_MAX_ID: Final = 200


def _moment(value: object) -> datetime:
    """Reads a time of the documented form; a bare number or a local time could be any moment."""
    if not isinstance(value, str):
        raise ValueError("not an RFC 3339 time")
    return from_rfc3339(value)


# Ids are stored as text: PostgreSQL refuses a NUL in it, and no log or command should print the others.
_ID: Final = rf"^[^\x00-\x1f\x7f]{{1,{_MAX_ID}}}$"
Id = Annotated[str, Field(pattern=_ID)]
Moment = Annotated[datetime, BeforeValidator(_moment)]


class BadEvent(ValueError):
    """Raised for a body that is not of the documented shape."""


class _Agent(BaseModel):
    id: Id


class _Data(BaseModel):
    id: Id
    caseId: Id
    agent: _Agent | None = None
    content: str | None = None
    structuredData: object = None


class _Event(BaseModel):
    """An event as the platform sends it (llamalitica-integration, "Event Format")."""

    event: Literal["report.created", "report.updated", "report.deleted"]
    organizationId: Id
    timestamp: Moment
    data: _Data


async def keep(body: Json, delivery: Delivery | None, deps: Deps) -> None:
    """Stores the report of a delivery, durable on return; an unknown event has no report to store.

    `delivery` holds what came, if it must be sent on. Raises BadEvent for a body of another shape.
    """
    if not isinstance(body, dict) or not isinstance(body.get("event"), str):
        raise BadEvent
    event = parse(body) if body["event"] in _EVENTS else None
    if delivery is not None:
        await deps.store.deliveries.receive(delivery, _subject(body), event, deps.effects.clock())
    elif event is not None:
        await deps.store.reports.apply(event, deps.effects.clock())


def _subject(body: dict[str, Json]) -> Subject:
    """Returns the report and case of any event, for its order among a report's, and to erase a case's."""
    data = body.get("data")
    named = data if isinstance(data, dict) else {}
    return Subject(_id(named.get("id")), _id(named.get("caseId")))


def _id(value: Json) -> str | None:
    return value if isinstance(value, str) and re.fullmatch(_ID, value) else None


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
