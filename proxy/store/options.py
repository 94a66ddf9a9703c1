"""Holds what the settings say about the store: where it is, and how it is used."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from proxy.postgresql_url import PostgresqlUrl, is_postgresql, parse_postgresql_url
from proxy.settings import Migrate, Pooler, Settings
from proxy.store.blobs.opening import Surroundings


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreOptions:
    """The two addresses of a store, and how its database is used.

    `pool` is the most connections of a process. `pooler` says what stands between the proxy and PostgreSQL:
    behind `transaction`, nothing of a connection outlives a transaction. With `migrate` "never", opening the
    store changes no table. `here` has what the addresses leave open.
    """

    database_url: str = field(repr=False)  # it may hold a password
    blobs_url: str
    pool: int = 8
    pooler: Pooler = "none"
    migrate: Migrate = "start"
    here: Surroundings = field(default_factory=Surroundings)

    @property
    def postgresql(self) -> PostgresqlUrl | None:
        """Returns where PostgreSQL is; None for SQLite. Raises ValueError for a URL that is wrong."""
        return parse_postgresql_url(self.database_url) if is_postgresql(self.database_url) else None


def store_options(settings: Settings, environ: Mapping[str, str]) -> StoreOptions:
    """Returns the options of the store that the settings name; an S3 store's keys are in `environ`."""
    return StoreOptions(
        database_url=settings.database_url.get_secret_value(),
        blobs_url=settings.blobs_url,
        pool=settings.database_pool,
        pooler=settings.database_pooler,
        migrate=settings.migrate,
        here=Surroundings(environ, settings.ca_file, settings.outbound),
    )
