"""What `michiq-proxy routes --pending` tells: calls whose outcome nobody knows, or no client was told of."""

from collections.abc import Sequence
from typing import Final

import click

from proxy.cli.paper import columns, moment, show
from proxy.cli.store_access import echo_json
from proxy.times import rfc3339
from proxy.values import Json, PendingCall

_WHAT_TO_DO: Final = (
    "None is ever sent again: where the platform has no case of that time, the client has to ask anew."
)
_MADE: Final = (
    "made-for-refused, made-without-session: the platform has the case, and its client was not told of it. "
    "Clear it up there; `michiq-proxy erase --case ID` then takes it off this list."
)


def tell(calls: Sequence[PendingCall], *, as_json: bool) -> None:
    """Oldest first."""
    if as_json:
        echo_json([_as_json(call) for call in calls])
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


def _as_json(call: PendingCall) -> Json:
    told: dict[str, Json] = {"id": call.id, "at": rfc3339(call.at), "cause": call.cause, "kind": call.kind}
    return told | ({"case": call.made} if call.made else {})
