"""Reads cases from the store, with all that was added to them later."""

from collections.abc import Sequence

from proxy.flows.deps import Deps
from proxy.flows.shared.facts import Record
from proxy.values import Case


async def read_record(case: Case, deps: Deps) -> Record:
    [record] = await read_records(case.owner, [case], deps)
    return record


async def read_records(owner: str, cases: Sequence[Case], deps: Deps) -> list[Record]:
    """Returns the records of an owner's cases, in the order of the cases."""
    joined = await deps.store.additions.of(owner, [case.id for case in cases])
    return [
        Record(case, addition.transcriptions, addition.reports)
        for case, addition in zip(cases, joined, strict=True)
    ]
