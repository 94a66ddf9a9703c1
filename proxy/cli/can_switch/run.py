"""Reads the evidence for `michiq-proxy can-switch`, and prints the verdict, for a person or a program."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Final

from proxy.cli.common import mappings_folder, read_settings, read_table
from proxy.cli.mode.request import existing_route
from proxy.cli.shared.console import Grid, columns, plural, show, steps
from proxy.cli.shared.store_access import echo_json, with_store
from proxy.mapping.table import Table
from proxy.rollout.evidence import readiness
from proxy.rollout.evidence.gather import Sums, organization_names, sums_of, switch_evidence, window_of
from proxy.rollout.evidence.readiness import SwitchEvidence, Verdict
from proxy.store import Store
from proxy.store.rollout.evidence import DifferenceCount
from proxy.store.sealing.sealer import shown_hash
from proxy.times import rfc3339
from proxy.values import Json

_SHOWN: Final = 10


@dataclass(frozen=True, slots=True)
class SwitchFound:
    """The verdict on a route, and its evidence. `names` are legacy names by keyed hash."""

    route: str
    verdict: Verdict
    evidence: SwitchEvidence
    sums: Sums
    differences: tuple[DifferenceCount, ...]
    names: Mapping[str, str] = field(repr=False)

    @property
    def never_compared(self) -> dict[str, str]:
        """Returns the name of each organization that was never compared, by its keyed hash."""
        missing = self.evidence.with_traffic - self.evidence.compared
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
    mapping = table.routes[route].mapping
    since = window_of(mapping, now)
    evidence = await switch_evidence(store, route, mapping, table.organizations, now)
    differences = await store.evidence.differences(route)
    return SwitchFound(
        route=route,
        verdict=readiness.can_switch(evidence, mapping.switch, now),
        evidence=evidence,
        sums=sums_of(await store.evidence.comparisons(route, since)),
        differences=tuple(each for each in differences if each.last_seen.date() >= since),
        names=await organization_names(store, route, table.organizations),
    )


def _print_report(found: SwitchFound) -> None:
    show(f"{found.route}: {'yes' if found.verdict.yes else 'no'}")
    show(steps(_reasons(found)))
    if found.differences:
        show("", *_most_frequent(found))


def _as_json(found: SwitchFound) -> Json:
    evidence, run = found.evidence, found.evidence.contract_run
    missing: list[Json] = [{"hash": scope, "name": name} for scope, name in found.never_compared.items()]
    reasons: list[Json] = [{"ok": each.ok, "sentence": each.sentence} for each in found.verdict.reasons]
    return {
        "route": found.route,
        "yes": found.verdict.yes,
        "reasons": reasons,
        "comparisons": evidence.comparisons,
        "differing": evidence.differences,
        "dropped": dict(evidence.dropped),
        "left_out": dict(found.sums.left_out),
        "dry_run_failures": dict(found.sums.dry_run_failures),
        "organizations": len(evidence.with_traffic),
        "never_compared": missing,
        "ambiguous": evidence.ambiguous,
        "contract_run": {**asdict(run), "at": rfc3339(run.at)} if run else None,
        "differences": [_difference(each) for each in found.differences],
    }


def _reasons(found: SwitchFound) -> Iterator[tuple[str, str]]:
    """Yields the reasons, those against it marked NO; the explanations of figures come last."""
    for reason in found.verdict.reasons:
        yield ("ok" if reason.ok else "NO"), reason.sentence
    if found.never_compared:
        yield "", f"Never seen in shadow: {', '.join(found.never_compared.values())}."
    if found.sums.dry_run_failures:
        yield "", f"The dry runs failed at: {_counted(found.sums.dry_run_failures)}."
    if found.sums.left_out:
        yield "", f"Not meant to be compared: {_counted(found.sums.left_out)}."


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{what} {count:,}" for what, count in counts.items())


def _most_frequent(found: SwitchFound) -> Iterator[str | Grid]:
    yield "The most frequent differences, counted since each was first seen:"
    table = columns("path", "difference", "legacy", "new", "count", "last seen", wraps=("path", "difference"))
    for each in found.differences[:_SHOWN]:
        types = each.control_type, each.candidate_type
        path = each.path or "(whole answer)"
        table.add_row(path, each.kind, *types, f"{each.count:,}", f"{each.last_seen:%Y-%m-%d}")
    yield table
    more = len(found.differences) - _SHOWN
    if more > 0:
        yield f"and {plural(more, 'other')}: --json has all"


def _difference(each: DifferenceCount) -> Json:
    return {
        "path": each.path,
        "kind": each.kind,
        "legacy": each.control_type,
        "new": each.candidate_type,
        "count": each.count,
        "first_seen": rfc3339(each.first_seen),
        "last_seen": rfc3339(each.last_seen),
    }
