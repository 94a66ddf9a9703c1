"""What `michiq-proxy routes --pending` tells: calls of which nobody knows whether they worked."""

from collections.abc import Sequence
from typing import Final

import click

from proxy.cli.paper import columns, moment, show
from proxy.cli.store_access import echo_json
from proxy.overrides import rfc3339
from proxy.values import PendingCall

_WHAT_TO_DO: Final = (
    "None is ever sent again: where the platform has no case of that time, the client has to ask anew."
)


def tell(calls: Sequence[PendingCall], *, as_json: bool) -> None:
    """Oldest first."""
    if as_json:
        echo_json([{"id": c.id, "at": rfc3339(c.at), "cause": c.cause, "kind": c.kind} for c in calls])
        return
    if not calls:
        click.echo("no ambiguous calls")
        return
    table = columns("intent or case", "at", "cause", "kind", wraps=("intent or case", "cause"))
    for call in calls:
        table.add_row(call.id, moment(call.at), call.cause or "", call.kind)
    show(table, _WHAT_TO_DO)
