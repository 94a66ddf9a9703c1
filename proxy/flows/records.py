"""Cases with all that has joined them since, as the store has them."""

from collections.abc import Sequence

from proxy.flows.deps import Deps
from proxy.flows.facts import Record
from proxy.values import Case, Report, folded_id


async def read_record(case: Case, deps: Deps) -> Record:
    [record] = await read_records(case.owner, [case], deps)
    return record


async def read_records(owner: str, cases: Sequence[Case], deps: Deps) -> list[Record]:
    """The records of an owner's cases, in their order; a report on a linked case is one on its main case."""
    ids = [folded_id(case.id) for case in cases]
    links = await deps.store.links.of_cases(ids)
    linked = {folded_id(link.case_id): link.legacy_id for link in links if link.case_id}
    main_of = linked | {id_: id_ for id_ in ids}
    heard = await deps.store.transcriptions.of_ids(owner, ids)
    reports: dict[str, list[Report]] = {id_: [] for id_ in ids}
    for report in await deps.store.reports.of_cases(list(main_of)):
        reports[main_of[report.case_id]].append(report)
    return [Record(case, heard[id_], reports[id_]) for id_, case in zip(ids, cases, strict=True)]
