"""Prints `michiq-proxy routes --learned`: where real legacy answers differ from what we expect of them."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Final

import click

from proxy.cli.shared.console import show, steps
from proxy.cli.shared.store_access import echo_json
from proxy.compare.paths import ELEMENT
from proxy.flows.registry import SPECS
from proxy.mapping.table import Table
from proxy.rollout.evidence.expected import MappedAnswer, mapped_answer
from proxy.rollout.evidence.findings import Finding
from proxy.rollout.evidence.learner import findings
from proxy.store.rollout.evidence import LeafCount

_NOTHING: Final = "No legacy answer was seen yet: a route is learned while its calls go to MICHIQ_LEGACY_URL."


def tell(rows: Sequence[LeafCount], table: Table, *, as_json: bool) -> None:
    found = findings(rows, _own_answers(table))
    seen = sorted({row.route for row in rows if row.side == "legacy"})
    if as_json:
        echo_json([asdict(each) for each in found])
    elif not seen:
        click.echo(_NOTHING)
    else:
        show(steps(_lines(seen, found)))


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


def _lines(seen: Sequence[str], found: Sequence[Finding]) -> Iterator[tuple[str, str]]:
    """Yields the findings of each route; the route's name stands before its first one."""
    for route in seen:
        said = [each.sentence for each in found if each.route == route]
        heads = [route, *[""] * len(said)]
        yield from zip(heads, said or ["As the mapping says."], strict=False)
