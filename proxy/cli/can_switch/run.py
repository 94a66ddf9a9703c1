"""Reads the evidence for `michiq-proxy can-switch`, and prints the verdict, for a person or a program."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, time
from typing import Final

from proxy.cli.common import mappings_folder, read_settings, read_table
from proxy.cli.mode.request import existing_route
from proxy.cli.shared.console import Grid, columns, plural, show, steps
from proxy.cli.shared.store_access import echo_json, with_store
from proxy.mapping.table import Table
from proxy.rollout.evidence.differing import ShownDifference, find_differences
from proxy.rollout.evidence.gather import switch_found, window_of
from proxy.rollout.evidence.readiness import MappingSince, SwitchEvidence, Verdict, since_json
from proxy.rollout.operations.organization_names import names_of
from proxy.rollout.shadow.outcome import CONTROL_FAILED
from proxy.store import Store
from proxy.store.sealing.sealer import shown_hash
from proxy.times import rfc3339
from proxy.values import Json

_SHOWN: Final = 10
_READ: Final = 10_000


@dataclass(frozen=True, slots=True)
class SwitchFound:
    """The verdict on a route, and its evidence. `names` are legacy names by keyed hash."""

    route: str
    verdict: Verdict
    evidence: SwitchEvidence
    differences: tuple[ShownDifference, ...]
    names: Mapping[str, str] = field(repr=False)

    @property
    def never_compared(self) -> dict[str, str]:
        """Returns the name of each organization that was never compared, by its keyed hash."""
        missing = self.evidence.never_compared
        called = {scope: self.names.get(scope, shown_hash(scope)) for scope in missing}
        return dict(sorted(called.items(), key=lambda item: item[1]))


def run(route: str, *, as_json: bool) -> bool:
    """Prints the verdict; returns whether it is yes."""
    settings = read_settings()
    table = read_table(mappings_folder(settings.mappings))
    existing_route(route, table.routes)
    now = datetime.now(UTC)
    found = with_store(settings, lambda store: look(store, route, table, now))
    if as_json:
        echo_json(_as_json(found))
    else:
        _print_report(found)
    return found.verdict.yes


async def look(store: Store, route: str, table: Table, now: datetime) -> SwitchFound:
    """Reads all evidence for and against the new side."""
    found = await switch_found(store, route, table, now)
    first = datetime.combine(window_of(table.routes[route].mapping, now), time(), UTC)
    differing = await find_differences(store, table, route=route, limit=_READ, since=first)
    return SwitchFound(
        route=route,
        verdict=found.verdict,
        evidence=found.evidence,
        differences=tuple(differing.differences),
        names=await names_of(store, found.evidence.never_compared, table.organizations.known),
    )


def _print_report(found: SwitchFound) -> None:
    show(f"{found.route}: {'yes' if found.verdict.yes else 'no'}")
    show(steps(_reasons(found)))
    if found.differences:
        show("", *_most_frequent(found))


def _as_json(found: SwitchFound) -> Json:
    evidence, run = found.evidence, found.evidence.contract_run
    missing: list[Json] = [{"hash": scope, "name": name} for scope, name in found.never_compared.items()]
    reasons: list[Json] = [asdict(each) for each in found.verdict.reasons]
    return {
        "route": found.route,
        "yes": found.verdict.yes,
        "reasons": reasons,
        "comparisons": evidence.comparisons,
        "differing": evidence.differences,
        "dropped": dict(evidence.dropped),
        "left_out": dict(evidence.left_out),
        "control_failed": evidence.control_failed,
        "dry_run_failures": dict(evidence.failed_dry_runs),
        "organizations": len(evidence.with_traffic),
        "never_compared": missing,
        "ambiguous": evidence.ambiguous,
        "contract_run": {**asdict(run), "at": rfc3339(run.at)} if run else None,
        "since": since_json(evidence.since),
        "differences": [_difference(each) for each in found.differences],
    }


def _reasons(found: SwitchFound) -> Iterator[tuple[str, str]]:
    """Yields the reasons, those against it marked NO; the explanations of figures come last."""
    for reason in found.verdict.reasons:
        yield ("ok" if reason.ok else "NO"), reason.sentence
    if found.never_compared:
        yield "", f"Never seen in shadow: {', '.join(found.never_compared.values())}."
    evidence = found.evidence
    if evidence.failed_dry_runs:
        yield "", f"The dry runs failed at: {_counted(evidence.failed_dry_runs)}."
    left_out = {why: count for why, count in evidence.left_out.items() if why != CONTROL_FAILED}
    if left_out:
        yield "", f"Not meant to be compared: {_counted(left_out)}."
    if evidence.control_failed:
        yield "", f"The legacy server itself failed, so nothing was compared: {evidence.control_failed:,}."
    for sentence in _since(evidence.since):
        yield "", sentence


def _since(since: MappingSince) -> Iterator[str]:
    seen = f"first seen {since.first_day}" if since.first_day else "not compared yet"
    yield f"Counted since mapping {since.digest}, {seen}."
    if since.unmarked:
        yield f"Counted too, of an earlier release: {plural(since.unmarked, 'comparison')}."
    if since.earlier:
        yield f"Not counted, under other mappings: {plural(since.earlier, 'comparison')}."


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{what} {count:,}" for what, count in counts.items())


def _most_frequent(found: SwitchFound) -> Iterator[str | Grid]:
    yield "The most frequent differences, counted since each was first seen:"
    table = columns("path", "difference", "legacy", "new", "count", "last seen", wraps=("path", "difference"))
    for each in found.differences[:_SHOWN]:
        group = each.group
        path, types = group.path or "(whole answer)", (group.control_type, group.candidate_type)
        table.add_row(path, group.kind, *types, f"{group.count:,}", f"{group.last_seen:%Y-%m-%d}")
    yield table
    more = len(found.differences) - _SHOWN
    if more > 0:
        yield f"and {plural(more, 'other')}: --json has all"


def _difference(shown: ShownDifference) -> Json:
    each = shown.group
    return {
        "path": each.path,
        "kind": each.kind,
        "legacy": each.control_type,
        "new": each.candidate_type,
        "count": each.count,
        "at_most_percent": shown.at_most_percent,
        "mapping": each.mapping,
        "organizations": len(each.organizations),
        "first_seen": rfc3339(each.first_seen),
        "last_seen": rfc3339(each.last_seen),
    }
