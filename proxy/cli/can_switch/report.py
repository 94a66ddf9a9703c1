"""Writes `michiq-proxy can-switch`, for a person and for a program."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Final

from proxy.cli.shared.console import Grid, columns, plural, show, steps
from proxy.rollout.evidence.gather import Sums
from proxy.rollout.evidence.readiness import SwitchEvidence, Verdict
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


def print_report(found: SwitchFound) -> None:
    show(f"{found.route}: {'yes' if found.verdict.yes else 'no'}")
    show(steps(_reasons(found)))
    if found.differences:
        show("", *_most_frequent(found))


def as_json(found: SwitchFound) -> Json:
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
