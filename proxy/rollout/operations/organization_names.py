"""Names the organizations that stored rows have by their keyed hashes."""

from collections.abc import Collection, Mapping

from proxy.store import Store
from proxy.store.sealing.sealer import shown_hash
from proxy.values import Json


async def names_of(store: Store, hashes: Collection[str], in_files: Collection[str]) -> dict[str, str]:
    """Returns the legacy names by hash: those in the ledger, or in organizations.toml (`in_files`).

    Raises StoreError.
    """
    wanted = {*hashes} - {""}
    if not wanted:
        return {}
    named = await store.ledger.names_of(wanted)
    named |= {store.sealer.organization(name): name for name in in_files}
    return {each: named[each] for each in wanted if named.get(each)}


async def shown_names(store: Store, hashes: Collection[str], in_files: Collection[str]) -> Mapping[str, str]:
    """Returns what people see for organizations by hash: their names, else the beginnings of their hashes."""
    names = await names_of(store, hashes, in_files)
    return {each: names.get(each) or shown_hash(each) for each in hashes}


def as_json(organization: str | None, names: Mapping[str, str]) -> Json:
    """Returns an organization for programs, by its hash; None where none was named."""
    return {"hash": organization, "name": names.get(organization)} if organization else None
