"""Prints what the store says beside the list of `michiq-proxy routes`: --learned and --pending."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Final

import click

from proxy.cli.shared.console import columns, moment, show, steps
from proxy.cli.shared.store_access import echo_json
from proxy.compare.paths import ELEMENT
from proxy.flows.registry import SPECS
from proxy.mapping.table import Table
from proxy.rollout.evidence.expected import MappedAnswer, mapped_answer
from proxy.rollout.evidence.findings import Finding
from proxy.rollout.evidence.learner import findings
from proxy.store.rollout.evidence import LeafCount
from proxy.times import rfc3339
from proxy.values import Json, PendingCall

_NOTHING_LEARNED: Final = (
    "No legacy answer was seen yet: a route is learned while its calls go to MICHIQ_LEGACY_URL."
)
_WHAT_TO_DO: Final = (
    "None is ever sent again: if the platform has no case of that time, the client must ask again."
)
_MADE: Final = (
    "made-for-refused, made-without-session: the platform has the case, but its client never got it. "
    "Delete it on the platform; `michiq-proxy erase --case ID` then removes it from this list."
)


def print_learned(rows: Sequence[LeafCount], table: Table, *, as_json: bool) -> None:
    """Prints where real legacy answers differ from what we expect of them."""
    found = findings(rows, _own_answers(table))
    seen = sorted({row.route for row in rows if row.side == "legacy"})
    if as_json:
        echo_json([asdict(each) for each in found])
    elif not seen:
        click.echo(_NOTHING_LEARNED)
    else:
        show(steps(_learned_lines(seen, found)))


def _own_answers(table: Table) -> dict[str, MappedAnswer]:
    """Returns what each mapping says about our own answers; a list's table shapes one element."""
    lists = {spec.name for spec in SPECS if spec.lists}
    return {
        name: mapped_answer(
            route.mapping.answer,
            (error.status for error in route.mapping.errors.values()),
            ELEMENT if name in lists else "",
        )
        for name, route in table.routes.items()
    }


def _learned_lines(seen: Sequence[str], found: Sequence[Finding]) -> Iterator[tuple[str, str]]:
    """Yields the findings of each route; the route's name stands before its first one."""
    for route in seen:
        said = [each.sentence for each in found if each.route == route]
        heads = [route, *[""] * len(said)]
        yield from zip(heads, said or ["As the mapping says."], strict=False)


def print_pending(calls: Sequence[PendingCall], *, as_json: bool) -> None:
    """Prints the calls whose outcome is unknown, or that never reached a client; the oldest first."""
    if as_json:
        echo_json([_pending_json(call) for call in calls])
        return
    if not calls:
        click.echo("no ambiguous calls")
        return
    made = any(call.made for call in calls)
    heads = ("intent or case", "at", "cause", "kind", *(["case made"] if made else []))
    table = columns(*heads, wraps=("intent or case", "cause", "case made"))
    for call in calls:
        row = (call.id, moment(call.at), call.cause or "", call.kind, call.made or "")
        table.add_row(*row[: len(heads)])
    show(table, _WHAT_TO_DO, *([_MADE] if made else []))


def _pending_json(call: PendingCall) -> Json:
    row: dict[str, Json] = {"id": call.id, "at": rfc3339(call.at), "cause": call.cause, "kind": call.kind}
    return row | ({"case": call.made} if call.made else {})
