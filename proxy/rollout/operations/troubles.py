"""Lists what is wrong now, the worst first: what an operator has to look at before anything else."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Literal, TypeAlias

from proxy.flows.deps import Deps
from proxy.modes import Override
from proxy.rollout.live import Live
from proxy.rollout.snapshot import Snapshot
from proxy.server.serving import Serving
from proxy.store import Space, Store, StoreError
from proxy.store.audit.trail import PROXY
from proxy.store.rollout.processes import LIVE, Process

Kind: TypeAlias = Literal[
    "store",
    "keys",
    "disk",
    "breaker",
    "rejected",
    "step-back",
    "brownout",
    "behind",
    "pending",
    "certificate",
    "retention",
]

CERTIFICATE_DAYS: Final = 14
_RECENT: Final = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Trouble:
    """One thing that is wrong. `subject` is a route, an upstream or a code, `text` what is said about it.

    `at` is when it began, or will end; `count` is of `total`, where things are counted.
    """

    kind: Kind
    is_bad: bool = True
    subject: str = ""
    text: str = ""
    at: datetime | None = None
    count: int = 0
    total: int = 0


@dataclass(frozen=True, slots=True)
class Condition:
    """The facts that troubles are found in.

    `fault` is the store's cause when it takes no write. `changes` are those of the last day, oldest first.
    `held` is the reason why the retention is on hold.
    """

    fault: str | None
    keys_missing: bool
    space: Space | None
    breakers: Mapping[str, str]
    rejected: Sequence[str]
    snapshot: Snapshot
    changes: Sequence[Override] = field(repr=False)
    processes: Sequence[Process]
    pending: int
    certificate_end: datetime | None
    held: str | None


async def condition(
    deps: Deps, live: Live, serving: Serving, certificate_end: datetime | None, now: datetime
) -> Condition:
    """Reads the facts. Raises StoreError when the store can't be read."""
    store = deps.store
    return Condition(
        fault=await _fault(store),
        keys_missing=bool(await store.keys.missing()),
        space=await _space(store),
        breakers=deps.upstreams.states(),
        rejected=live.rejected,
        snapshot=live.now,
        changes=await store.overrides.between(now - _RECENT, now),
        processes=await store.processes.live(now),
        pending=len(await store.pending()),
        certificate_end=certificate_end,
        held=serving.held,
    )


def troubles(found: Condition, now: datetime) -> list[Trouble]:
    """Returns what is wrong: what hurts clients now, then what will."""
    every = [*_of_the_store(found), *_of_the_routes(found, now), *_of_the_processes(found, now)]
    return sorted(every, key=lambda each: not each.is_bad)


def _of_the_store(found: Condition) -> Iterator[Trouble]:
    if found.fault is not None:
        yield Trouble("store", subject=found.fault)
    if found.keys_missing:
        yield Trouble("keys")
    if found.space is not None and found.space.low:
        yield Trouble("disk", count=found.space.free, total=found.space.total)


def _of_the_routes(found: Condition, now: datetime) -> Iterator[Trouble]:
    for upstream, state in sorted(found.breakers.items()):
        if state != "closed":
            yield Trouble("breaker", subject=upstream, text=state)
    for complaint in found.rejected:
        yield Trouble("rejected", text=complaint)
    for change in reversed(found.changes):
        if change.actor == PROXY:
            yield Trouble("step-back", is_bad=False, subject=change.route, text=change.reason, at=change.at)
    for name, end in found.snapshot.table.brownout_ends(now).items():
        yield Trouble("brownout", is_bad=False, subject=name, at=end)


def _of_the_processes(found: Condition, now: datetime) -> Iterator[Trouble]:
    revision = found.snapshot.overrides.revision
    behind = [each for each in found.processes if each.revision < revision]
    # A process follows within 2 s, and says so by its next heartbeat.
    is_new = bool(found.changes) and now - found.changes[-1].at < LIVE
    if behind and not is_new:
        names = ", ".join(each.name for each in behind)
        yield Trouble("behind", is_bad=False, text=names, count=len(behind), total=len(found.processes))
    if found.pending:
        yield Trouble("pending", is_bad=False, count=found.pending)
    end = found.certificate_end
    if end is not None and end - now < timedelta(days=CERTIFICATE_DAYS):
        yield Trouble("certificate", is_bad=end <= now, at=end)
    if found.held is not None:
        yield Trouble("retention", is_bad=False, text=found.held)


async def _fault(store: Store) -> str | None:
    try:
        await store.check()
    except StoreError as error:
        return error.cause
    return None


async def _space(store: Store) -> Space | None:
    try:
        return await store.space()
    except StoreError:  # the folder is gone: the check of a write says so
        return None
