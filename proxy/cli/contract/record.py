"""Stores the counts of a contract run, route by route, for `can-switch`."""

import unicodedata
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime

from proxy.cli.common import Misuse, mappings_folder, read_settings, read_table
from proxy.cli.shared.store_access import name_store, with_store
from proxy.contract.verdicts import Outcome, Verdict
from proxy.flows.registry import SPECS
from proxy.rollout.decide import Asked, decide
from proxy.rollout.snapshot import Snapshot
from proxy.settings import Settings
from proxy.store import Store
from proxy.store.rollout.contract_runs import ContractRun
from proxy.values import Side


def store_for(organization: str, *, read_only: bool) -> Settings:
    """Returns the settings of a store that opens.

    Raises Misuse or Failure before anything is made on the host: when the store can't be opened, and when the
    legacy server makes the organization's cases, because the run would describe that server.
    """
    if read_only:
        raise Misuse("--record and --read-only don't go together: most rows would not be checked")
    settings = read_settings()
    table = read_table(mappings_folder(settings.mappings))
    has_legacy = settings.legacy_url is not None

    async def side(store: Store) -> Side:
        snapshot = Snapshot(table, await store.overrides.load())
        return _side(snapshot, organization, store, datetime.now(UTC), has_legacy=has_legacy)

    if with_store(settings, side) != "new":
        raise Misuse(
            f"the legacy server makes the cases of {organization}: --record needs an organization whose "
            "newCase has the mode new"
        )
    return settings


def record(settings: Settings, target: str, outcomes: Iterable[Outcome], *, is_proxy: bool) -> str:
    """Stores the run, and returns a sentence about it.

    A run on another host is not stored: it proves nothing about the new side.
    """
    if not is_proxy:
        return f"Not recorded: {target} is no michiq-proxy, so the run says nothing about the new side."
    runs = runs_of(target, outcomes, datetime.now(UTC))
    with_store(settings, lambda store: store.contract_runs.add(runs))
    name_store(settings)
    return f"Recorded for can-switch: {', '.join(run.route for run in runs)}."


def runs_of(target: str, outcomes: Iterable[Outcome], at: datetime) -> list[ContractRun]:
    """Returns the counts of each route, in the order in which the routes came."""
    counts: dict[str, Counter[Verdict]] = {}
    for outcome in outcomes:
        counts.setdefault(outcome.route, Counter())[outcome.verdict] += 1
    return [
        ContractRun(at, target, route, count["pass"], count["fail"], count["not applicable"])
        for route, count in counts.items()
    ]


def _side(snapshot: Snapshot, organization: str, store: Store, now: datetime, *, has_legacy: bool) -> Side:
    """Returns the side that makes a case of this organization."""
    makes = next(spec.name for spec in SPECS if spec.makes_case)
    name = unicodedata.normalize("NFC", organization)
    scope = store.sealer.organization(name)
    asked = Asked(name, scope, makes_case=True)
    in_force = snapshot.in_force(makes, scope, now)
    mapping = snapshot.table.routes[makes].mapping
    return decide(asked, in_force, mapping, now, has_legacy=has_legacy).side
