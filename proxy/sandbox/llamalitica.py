"""Llamalitica's new API and web host as their document describes them: strict, with signed webhooks."""

from collections.abc import AsyncIterator
from typing import Final

from aiohttp import web
from pydantic import BaseModel, ConfigDict, JsonValue

from proxy.sandbox import pages
from proxy.sandbox.accounts import Accounts
from proxy.sandbox.answers import Refused, json_answer
from proxy.sandbox.bodies import read_model
from proxy.sandbox.cases import Case, make_case
from proxy.sandbox.config import SandboxConfig
from proxy.sandbox.faults import CONTROL_PREFIX
from proxy.sandbox.forms import read_form
from proxy.sandbox.reports import EventType, Report, changed, event_body, first_report
from proxy.sandbox.service import Service, note
from proxy.sandbox.webhooks import Delivery, Webhooks
from proxy.values import Json

FORM_LIMIT: Final = 1024 * 1024 * 1024  # the document limits neither the number of files nor their sum


class Llamalitica(Service):
    """The state of the sandbox's Llamalitica. Keys in `out_of_credits` get 402 for new cases."""

    def __init__(self, config: SandboxConfig) -> None:
        super().__init__(lambda status, text: json_answer({"message": text}, status))
        self.config = config
        self.accounts = Accounts(config)
        self.cases: dict[str, Case] = {}
        self.reports: dict[str, Report] = {}  # by case id: the newest of each case
        self.webhooks = Webhooks(config)
        self.out_of_credits: set[str] = set()

    @property
    def webhook_url(self) -> str | None:
        return self.webhooks.url

    @webhook_url.setter
    def webhook_url(self, url: str | None) -> None:
        self.webhooks.url = url

    def add(self, case: Case) -> None:
        """Stores a new case, and starts the webhooks for its report."""
        self.cases[case.id] = case
        self.webhooks.start(f"webhook-{case.id}", self._announce(case.id))

    async def _announce(self, case_id: str) -> None:
        await self.send("report.created", case_id)
        await self.send("report.updated", case_id)

    async def send(
        self,
        event: EventType,
        case_id: str,
        content: str | None = None,
        structured_data: Json = None,
    ) -> Delivery | None:
        """Applies `event` to the report of a stored case, and delivers it.

        `report.created` writes a new report; the others change or delete the newest one, which is written
        first when there is none. Returns None when no webhook address is set.
        """
        report = self._next_report(event, case_id, content, structured_data)
        if event == "report.deleted":
            self.reports.pop(case_id, None)
        else:
            self.reports[case_id] = report
        return await self.webhooks.deliver(event, event_body(event, report))

    def _next_report(
        self, event: EventType, case_id: str, content: str | None, structured_data: Json
    ) -> Report:
        newest = self.reports.get(case_id)
        report = (
            newest if newest and event != "report.created" else first_report(self.config, self.cases[case_id])
        )
        revised = f"{report.content} Revisado." if event == "report.updated" else report.content
        text = revised if content is None else content
        data = report.structured_data if structured_data is None else structured_data
        return changed(report, self.config.clock(), text, data)


LLAMALITICA: Final = web.AppKey("llamalitica", Llamalitica)


def create_app(platform: Llamalitica) -> web.Application:
    app = platform.application(
        [
            web.get("/api/users/me", me),
            web.post("/api/cases", create_case),
            web.get("/dashboard/cases/{id}", case_page),
            web.get("/dashboard/cases/{id}/mini-widget", case_page),
            web.post(f"{CONTROL_PREFIX}events", send_event),
        ]
    )
    app[LLAMALITICA] = platform
    app.cleanup_ctx.append(_open_webhooks)
    return app


async def _open_webhooks(app: web.Application) -> AsyncIterator[None]:
    webhooks = app[LLAMALITICA].webhooks
    await webhooks.open()
    yield
    await webhooks.close()


async def me(request: web.Request) -> web.Response:
    """Answers GET /api/users/me (llamalitica-integration, "Step 1")."""
    accounts = request.app[LLAMALITICA].accounts
    return json_answer({"user": accounts.profile(accounts.caller(request).user)})


async def create_case(request: web.Request) -> web.Response:
    """Answers POST /api/cases (ibid., "Step 2").

    Raises Refused 402 for a key without credits (ibid., "How do I handle errors?").
    """
    platform = request.app[LLAMALITICA]
    caller = platform.accounts.caller(request)
    if caller.api_key in platform.out_of_credits:
        raise Refused(402, "Insufficient credits")
    parts = await read_form(request, limit=FORM_LIMIT)
    note(request, parts=[part.summary() for part in parts])
    case = make_case(platform.config, caller, parts)
    platform.add(case)
    note(request, caseId=case.id)
    return json_answer(case.answer())


async def case_page(request: web.Request) -> web.Response:
    """Answers GET /dashboard/cases/{id} and its mini-widget (ibid., "Step 3")."""
    platform = request.app[LLAMALITICA]
    return pages.case_page(request, platform.cases, platform.accounts.check)


class _EventRequest(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    event: EventType
    case_id: str
    content: str | None = None
    structured_data: dict[str, JsonValue] | None = None


async def send_event(request: web.Request) -> web.Response:
    """Answers POST /_sandbox/events: sends `{"event", "case_id", "content"?, "structured_data"?}` at once."""
    platform = request.app[LLAMALITICA]
    asked = await read_model(request, _EventRequest)
    if asked.case_id not in platform.cases:
        raise Refused(404, "No such case")
    data: Json = dict(asked.structured_data) if asked.structured_data is not None else None
    delivery = await platform.send(asked.event, asked.case_id, asked.content, data)
    if delivery is None:
        raise Refused(409, "No webhook address is set")
    return json_answer({"attempts": delivery.attempts, "status": delivery.status})
