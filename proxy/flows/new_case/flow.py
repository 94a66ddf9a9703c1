"""POST /michiQ/newCase: one case on the new platform, and a session for its user (CONTRACT N)."""

from contextlib import ExitStack
from functools import partial
from typing import Final

from proxy.errors import UPSTREAM_KINDS
from proxy.flows.deps import Deps
from proxy.flows.new_case.draft import make_draft
from proxy.flows.new_case.form import read_form
from proxy.flows.new_case.making import Making
from proxy.flows.shared.caller import read_caller
from proxy.flows.shared.patient import EXPRESSIONS
from proxy.mapping.models import NewCase
from proxy.mapping.table import FlowSpec, Route
from proxy.spool import Spool
from proxy.values import Answer, Inbound

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


async def run(inbound: Inbound, route: Route[NewCase], deps: Deps) -> Answer:
    """Validates the whole request before anything is sent, and then makes the case.

    From then on the work runs to its end even if the client leaves: no case is made without a record.
    """
    caller = await read_caller(inbound, route, deps)
    with ExitStack() as spools:
        spool = partial(Spool, deps.spool_folder, budget=deps.spool_budget)
        form = await read_form(inbound.body, spool, spools)
        draft = await make_draft(form, route, deps)
        making = Making(caller, draft, inbound, route, deps)
        return await deps.tasks.finish("new_case", making.answer(spools.pop_all()))
