"""Shows calls with an unknown outcome, for operators and for programs."""

from collections.abc import Collection, Mapping, Sequence

from proxy.rollout.operations.organization_names import as_json, names_of
from proxy.store import Store
from proxy.times import rfc3339
from proxy.values import Json, PendingCall


async def organizations_of(
    store: Store, calls: Sequence[PendingCall], in_files: Collection[str]
) -> dict[str, str]:
    """Returns the legacy names of the calls' organizations by hash. Raises StoreError."""
    return await names_of(store, {each.origin.organization for each in calls if each.origin}, in_files)


def pending_json(call: PendingCall, names: Mapping[str, str]) -> Json:
    """Returns a call for programs; `names` are those of the organizations."""
    shown: dict[str, Json] = {
        "id": call.id,
        "kind": call.kind,
        "cause": call.cause,
        "at": rfc3339(call.at),
        "request_id": call.origin.request_id if call.origin else None,
        "organization": as_json(call.origin.organization, names) if call.origin else None,
    }
    return shown | ({"case": call.made} if call.made else {})
