"""Keeps what a run of the contract came to, route by route, for `can-switch`."""

import unicodedata
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime

from proxy.cli.common import Misuse, mappings_folder, read_settings, read_table
from proxy.cli.store_access import tell_place, with_store
from proxy.contract.verdicts import Outcome, Verdict
from proxy.dispatch.decide import Asked, decide
from proxy.dispatch.snapshot import Snapshot
from proxy.settings import Settings
from proxy.store import Store
from proxy.store.contract_runs import ContractRun
from proxy.values import Side
from proxy.web.flows import SPECS


def store_for(organization: str, *, read_only: bool) -> Settings:
    """The settings, whose store opens; Misuse else, said before anything is made on the host.

    Also for an organization whose cases the legacy server makes: the run would tell of that server.
    """
    if read_only:
        raise Misuse("--record and --read-only don't go together: most rows would not be asked for")
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
    """Keeps the run, and says so. Another host's is not kept: it proves nothing of the new side."""
    if not is_proxy:
        return f"Not recorded: {target} is no michiq-proxy, so it tells nothing about the new side."
    runs = runs_of(target, outcomes, datetime.now(UTC))
    with_store(settings, lambda store: store.contract_runs.add(runs))
    tell_place(settings)
    return f"Recorded for can-switch: {', '.join(run.route for run in runs)}."


def runs_of(target: str, outcomes: Iterable[Outcome], at: datetime) -> list[ContractRun]:
    """The sums of each route, in the order in which the routes came."""
    counts: dict[str, Counter[Verdict]] = {}
    for outcome in outcomes:
        counts.setdefault(outcome.route, Counter())[outcome.verdict] += 1
    return [
        ContractRun(at, target, route, count["pass"], count["fail"], count["not applicable"])
        for route, count in counts.items()
    ]


def _side(snapshot: Snapshot, organization: str, store: Store, now: datetime, *, has_legacy: bool) -> Side:
    """Who makes a case of this organization."""
    makes = next(spec.name for spec in SPECS if spec.makes_case)
    name = unicodedata.normalize("NFC", organization)
    scope = store.sealer.organization(name)
    asked = Asked(name, scope, makes_case=True)
    in_force = snapshot.in_force(makes, scope, now)
    mapping = snapshot.table.routes[makes].mapping
    return decide(asked, in_force, mapping, now, has_legacy=has_legacy).side
