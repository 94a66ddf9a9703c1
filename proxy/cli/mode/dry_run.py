"""Prints what a change of `michiq-proxy mode` would do, and makes none."""

from collections.abc import Awaitable, Callable, Iterator
from datetime import datetime
from typing import Final

from proxy.cli.common import Failure, Misuse, mappings_folder, read_table
from proxy.cli.mode.request import ModeRequest
from proxy.cli.shared.console import Grid, columns, plural, show, steps
from proxy.cli.shared.store_access import echo_json, with_store
from proxy.modes import EVERYONE, NEED_LEGACY, BadChange, Override
from proxy.rollout.canary import BUCKETS
from proxy.rollout.preview.effects import Preview, Risk
from proxy.rollout.preview.membership import Membership
from proxy.rollout.preview.planning import COUNTED_DAYS, plan
from proxy.rollout.preview.rows import preview_json
from proxy.rollout.snapshot import InForce, Snapshot
from proxy.settings import Settings
from proxy.store import Store
from proxy.store.rollout.overrides import NothingToUndo
from proxy.store.sealing.sealer import shown_hash

Draft = Callable[[Store], Awaitable[Override]]

RISKS: Final[dict[Risk, str]] = {
    "new": "It lowers the safety: the new side answers all of them.",
    "off": "It lowers the safety: nobody answers, the route is off.",
    "canary-over-25": "It lowers the safety: the canary gets more than 25 % of the organizations.",
    "step-back": "It lowers the safety: the proxy stepped back here by itself, and this ends that.",
}


def dry_run(asked: ModeRequest, settings: Settings, draft: Draft, now: datetime) -> None:
    """Prints the effects of the change that `draft` returns.

    Raises Failure when the change would be refused, and Misuse when it can't be meant.
    """
    table = read_table(mappings_folder(settings.mappings))
    has_legacy = settings.legacy_url is not None

    async def work(store: Store) -> Preview:
        snapshot = Snapshot(table, await store.overrides.load())
        try:
            change = await draft(store)
        except BadChange as bad:
            raise Misuse(str(bad)) from None
        except NothingToUndo:
            raise Failure("there is no change left to roll back") from None
        return await plan(store, snapshot, change, now, has_legacy=has_legacy)

    found = with_store(settings, work)
    if asked.as_json:
        echo_json(preview_json(found))
    else:
        show(*_report(found))
    _refuse(asked, found, has_legacy=has_legacy)


def _refuse(asked: ModeRequest, found: Preview, *, has_legacy: bool) -> None:
    """Raises Failure when the change itself would be refused."""
    if found.after.mode in NEED_LEGACY and not has_legacy:
        raise Failure(f"{found.after.mode} needs the legacy server, and MICHIQ_LEGACY_URL is not set")
    if asked.expect not in (None, found.revision):
        raise Failure(f"the change would be refused: the newest revision is {found.revision}")
    if found.refused and not asked.despite_evidence:
        raise Failure("the change would be refused; --despite-evidence makes it anyway")


def _report(found: Preview) -> Iterator[str | Grid]:
    change = found.change
    whom = "everyone" if change.scope == EVERYONE else change.organization or shown_hash(change.scope)
    until = f" until {change.until:%Y-%m-%d %H:%MZ}" if change.until else ""
    yield f"{change.route} for {whom}: {_mode(found.before)} → {_mode(found.after)}{until}"
    yield f"dry run on revision {found.revision}: nothing was changed"
    if found.unchanged:
        yield "It is in force already."
        return
    if found.moves:
        yield "Only new cases move: a case stays on the side that made it."
        yield _table(found)
    yield (
        f"{len(found.moves):,} of {plural(found.total, 'known organization')} would move, with "
        f"{found.moving_an_hour:,.1f} of {found.calls_an_hour:,.1f} calls an hour in the last "
        f"{COUNTED_DAYS} days."
    )
    yield from (RISKS[risk] for risk in found.risks)
    if found.against:
        yield f"The evidence for {change.route} on the new side is not enough:"
        yield steps(("NO", each.sentence) for each in found.against)


def _table(found: Preview) -> Grid:
    table = columns("organization", "before", "after", "rule", "calls/h", wraps=("organization", "rule"))
    for each in found.moves:
        name = each.organization.name or shown_hash(each.organization.scope)
        sides = _side(each.before), _side(each.after)
        table.add_row(name, *sides, _rule(each.after), f"{each.calls_an_hour:,.1f}")
    return table


def _mode(in_force: InForce) -> str:
    return f"canary {in_force.percent:g} %" if in_force.mode == "canary" else in_force.mode


def _side(found: Membership) -> str:
    return found.side or "nobody"


def _rule(found: Membership) -> str:
    """Returns the rule in words: `percent (bucket 412 of 10000)`, `allow`, `mode of the mapping`."""
    if found.rule == "percent":
        return f"percent (bucket {found.bucket} of {BUCKETS})"
    return f"mode ({found.set_by})" if found.rule == "mode" else found.rule
