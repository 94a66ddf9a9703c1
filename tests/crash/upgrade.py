"""The point within a migration: a database of the first release, killed on its way to this one."""

import asyncio
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, event, insert

import proxy.store.sql.migrate
from proxy.compressed import Compressed
from proxy.store.records.cases import case_rows
from proxy.store.records.sessions import session_rows, token_hash
from proxy.store.sealing.contexts import Context
from proxy.store.sealing.sealer import Sealer
from proxy.store.sql.engines import migration_engine
from proxy.store.sql.tables import api_keys, case_files, cases, journal, meta, sessions
from proxy.values import Case, CaseFile, Identity, Session, Tokens
from tests.conftest import bearer
from tests.crash.client import FILES
from tests.crash.judge import asked, halves
from tests.crash.points import MIGRATION
from tests.crash.site import Site
from tests.store.older import FernetSealer

_TOKEN: Final = "token-of-the-first-release"
_CASE: Final = "case-of-the-first-release"
_NOWHERE: Final = Context(b"")  # Fernet binds a value to nothing


async def killed_within(site: Site, statement: int) -> list[str]:
    """Kills the first start on an old database after so many statements, and starts again: what is wrong."""
    await asyncio.to_thread(make_old, site.database, site.key)
    site.arm(f"{MIGRATION}:{statement}")
    assert not await site.start(), "it was not killed"
    await site.gone()
    assert await site.start(plain=True), site.log.read_text()[-2000:]
    faults = [*halves(site), *await _lost(site)]
    site.kill()
    await site.gone()
    return faults


def statements(folder: Path, key: str) -> int:
    """Returns the number of statements of the upgrade. Blocks."""
    path, count = folder / "counted.db", 0
    make_old(path, key)

    def counted(*_: object) -> None:
        nonlocal count
        count += 1

    def engine(path: Path) -> Engine:
        made = migration_engine(path)
        event.listen(made, "after_cursor_execute", counted)
        return made

    with _instead(engine):
        proxy.store.sql.migrate.migrate(path)
    return count


@contextmanager
def _instead(engine: object) -> Iterator[None]:
    module = proxy.store.sql.migrate
    before = vars(module)["migration_engine"]
    setattr(module, "migration_engine", engine)  # noqa: B010  mypy: not exported
    try:
        yield
    finally:
        setattr(module, "migration_engine", before)  # noqa: B010


def make_old(path: Path, key: str) -> None:
    """A database as the first release left it, with a case in it. Blocks."""
    engine, config = migration_engine(path), Config()
    config.set_main_option("script_location", "proxy.store.sql:migrations")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        _fill(connection, FernetSealer(key, b"p" * 32))
    engine.dispose()


def _fill(connection: Connection, sealer: Sealer) -> None:
    now = datetime.now(UTC)
    session = Session(
        identity=Identity("sandbox-api-key", "ana@clinica.example", "Clínica Norte"),
        organization="Clínica Norte",
        owner=sealer.owner("ana@clinica.example", "Clínica Norte"),
        access_token="access",
        access_expires_at=now + timedelta(hours=1),
        expires_at=now + timedelta(hours=1),
    )
    told, of_case = session_rows(sealer, _TOKEN, session), case_rows(sealer, _case(session.owner, now))
    content = sealer.open_json(of_case.case.pop("content"), _NOWHERE) | {"ehr": {"nhc": "4711"}}
    row = {name: value for name, value in of_case.case.items() if name not in ("ehr", "spelling")}
    text = sealer.seal(zlib.compress(b"tos"), _NOWHERE)
    who = {name: value for name, value in told.who.items() if name != "side"}
    answered = {
        "id": "intent",
        "owner": session.owner,
        "kind": "new_case",
        "body_digest": "",
        "created_at": now,
    }
    connection.execute(insert(meta).values(name="pepper", value=sealer.seal(b"p" * 32, _NOWHERE)))
    connection.execute(insert(api_keys).values(ref=who["key_ref"], api_key=told.sealed_key))
    connection.execute(insert(sessions).values(token_hash=token_hash(_TOKEN), **who, **told.access))
    connection.execute(insert(cases).values({**row, "content": sealer.seal_json(content, _NOWHERE)}))
    connection.execute(insert(case_files), [{**file, "text": text} for file in of_case.files])
    connection.execute(
        insert(journal).values(
            **answered, state="recorded", case_id=_CASE, answer=sealer.seal(b"{}", _NOWHERE)
        )
    )


def _case(owner: str, at: datetime) -> Case:
    return Case(
        id=_CASE,
        owner=owner,
        user="ana@clinica.example",
        organization="Clínica Norte",
        patient_id="p-1",
        patient_name="Ana",
        title="Ana",
        created_at=at,
        runtime_ms=1,
        template=None,
        agent=None,
        tokens=Tokens(1, 1, 1),
        ehr=None,
        conversation="Hola.",
        files=(CaseFile("nota.txt", "text/plain", 3, "0" * 64, Compressed.from_text("tos")),) * FILES,
    )


async def _lost(site: Site) -> list[str]:
    url = f"{site.url}/michiQ/doc/{_CASE}"
    async with site.http.get(url, headers=bearer(_TOKEN)) as response:
        told = await response.text()
        kept = response.status == 200 and all(each in told for each in ("Hola.", '{"nhc":"4711"}', '"tos"'))
    faults = [] if kept else ["the old release's case is gone"]
    if asked(site.database, "SELECT version_num FROM alembic_version") == ["0001"]:
        faults.append("the database was not migrated")
    return faults
