"""Prints and closes the calls whose outcome is unknown, for `michiq-proxy pending` and `routes --pending`."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

import click

from proxy.cli.common import Failure, Misuse, named_organizations, read_settings
from proxy.cli.mode.request import actor_named, check_reason
from proxy.cli.shared.console import Grid, columns, moment, show
from proxy.cli.shared.store_access import echo_json, name_store, with_store
from proxy.rollout.operations.pending_calls import organizations_of, pending_json
from proxy.store import Store
from proxy.store.rollout.resolutions import (
    AlreadyResolved,
    BadResolution,
    Resolution,
    UnderWay,
    UnknownCall,
)
from proxy.store.sealing.sealer import shown_hash
from proxy.values import PendingCall

_WHAT_TO_DO: Final = (
    "None is ever sent again: if the platform has no case of that time, the client must ask again. "
    "`michiq-proxy pending resolve ID` takes one off the list."
)
_MADE: Final = (
    "made-for-refused, made-without-session: the platform has the case, but its client never got it. "
    "Delete it on the platform; `michiq-proxy erase --case ID` then removes it from this list."
)
_NOT_GIVEN: Final = "No client is given the case by this; only whoever looks on the platform sees it."


def show_all(*, as_json: bool) -> None:
    """Prints the calls whose outcome is unknown, or that never reached a client; the oldest first."""
    settings = read_settings()
    in_files = named_organizations(settings)

    async def look(store: Store) -> tuple[Sequence[PendingCall], Mapping[str, str]]:
        calls = await store.pending()
        return calls, await organizations_of(store, calls, in_files)

    calls, names = with_store(settings, look)
    if as_json:
        echo_json([pending_json(call, names) for call in calls])
    elif calls:
        made = any(call.made for call in calls)
        show(_table(calls, names), _WHAT_TO_DO, *([_MADE] if made else []))
    else:
        click.echo("no ambiguous calls")


def resolve(call_id: str, made: str | None, *, reason: str, actor: str | None) -> None:
    """Closes a call. Raises Failure or Misuse, with a sentence, when it can't be closed."""
    settings, at = read_settings(), datetime.now(UTC)
    check_reason(reason, [made] if made else [])
    resolution = Resolution(made, actor_named(actor), reason.strip(), via="cli")
    try:
        with_store(settings, lambda store: store.resolutions.resolve(call_id, resolution, at))
    except BadResolution as bad:
        raise Misuse(str(bad)) from None
    except (UnknownCall, UnderWay, AlreadyResolved) as refused:
        raise Failure(f"{call_id}: {refused}") from None
    name_store(settings)
    click.echo(f"{call_id} is closed: {'a case was made' if made else 'no case was made'}")
    if made:
        click.echo(_NOT_GIVEN)


def _table(calls: Sequence[PendingCall], names: Mapping[str, str]) -> Grid:
    made = any(call.made for call in calls)
    own = ("intent or case\nrequest", "at", "kind\norganization", "cause", *(["case made"] if made else []))
    table = columns(*own, wraps=("kind\norganization", "cause", "case made"))
    for call in calls:
        scope = call.origin.organization if call.origin else ""
        ids = f"{call.id}\n{call.origin.request_id if call.origin else '-'}"
        who = f"{call.kind}\n{names.get(scope) or shown_hash(scope) or '-'}"
        row = (ids, moment(call.at), who, call.cause or "", call.made or "")
        table.add_row(*row[: len(own)])
    return table
