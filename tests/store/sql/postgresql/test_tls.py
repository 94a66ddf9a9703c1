"""TLS to PostgreSQL with sslmode=verify-full: the right name by the right authority, and no other."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.store import StoreError, StoreOptions, open_store
from tests.certificates import Made, make
from tests.postgresql import Postgresql, postgresql
from tests.store.examples import KEY


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Made, Made]:
    """Returns the server's certificate, and one that others made."""
    folder = tmp_path_factory.mktemp("certificates")
    return make(folder, "server"), make(folder, "another")


@pytest.fixture(scope="module")
def server(made: tuple[Made, Made]) -> Iterator[Postgresql]:
    with postgresql(certificate=made[0]) as server:
        yield server


def options(server: Postgresql, folder: Path, host: str, trusts: Made) -> StoreOptions:
    url = f"postgresql://postgres@{host}:{server.port}/postgres"
    url += f"?sslmode=verify-full&sslrootcert={trusts.certificate}"
    return StoreOptions(database_url=url, blobs_url=f"file:{folder}/blobs")


async def test_a_server_with_the_right_name_by_the_right_authority_is_used(
    server: Postgresql, made: tuple[Made, Made], tmp_path: Path
) -> None:
    async with open_store(options(server, tmp_path, "127.0.0.1", made[0]), [KEY]) as store:
        await store.check()
        used = (
            "SELECT DISTINCT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE usename IS NOT NULL"
        )
        async with server.admin() as driver:
            others = await driver.fetch(f"{used} AND pid <> pg_backend_pid()")
        assert [row[0] for row in others] == [True]


@pytest.mark.parametrize(("host", "number"), [("localhost", 0), ("127.0.0.1", 1)], ids=["name", "authority"])
async def test_a_server_with_another_name_or_by_another_authority_is_refused(
    server: Postgresql, made: tuple[Made, Made], tmp_path: Path, host: str, number: int
) -> None:
    with pytest.raises(StoreError, match="MICHIQ_DATABASE_URL"):
        async with open_store(options(server, tmp_path, host, made[number]), [KEY]):
            pass
