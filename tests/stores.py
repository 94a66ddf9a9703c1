"""The options of the stores that tests use."""

from pathlib import Path

from proxy.store import StoreOptions


def sqlite_in(folder: Path | str = "var") -> StoreOptions:
    """A store of SQLite and a folder, in a folder of its own; by default that of the default settings."""
    return StoreOptions(database_url=f"sqlite:///{folder}/michiq.db", blobs_url=f"file:{folder}/blobs")
