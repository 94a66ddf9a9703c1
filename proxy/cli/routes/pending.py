"""Prints `michiq-proxy routes --pending`: calls whose outcome is unknown, or never reached a client."""

from collections.abc import Sequence
from typing import Final

import click

from proxy.cli.shared.console import columns, moment, show
from proxy.cli.shared.store_access import echo_json
from proxy.times import rfc3339
from proxy.values import Json, PendingCall

_WHAT_TO_DO: Final = (
    "None is ever sent again: if the platform has no case of that time, the client must ask again."
)
_MADE: Final = (
    "made-for-refused, made-without-session: the platform has the case, but its client never got it. "
    "Delete it on the platform; `michiq-proxy erase --case ID` then removes it from this list."
)


def tell(calls: Sequence[PendingCall], *, as_json: bool) -> None:
    """Prints the calls, the oldest first."""
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
    row: dict[str, Json] = {"id": call.id, "at": rfc3339(call.at), "cause": call.cause, "kind": call.kind}
    return row | ({"case": call.made} if call.made else {})
