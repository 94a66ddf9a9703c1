"""The rights of the role that serves: what it needs, and nothing that changes the audit."""

import pytest

from proxy.store.sql.postgresql.grants import statements, tables_of_the_store


def made(role: str = "michiq", **more: list[str]) -> list[str]:
    return [*statements("public", role, more.get("tables", ["cases"]), more.get("sequences", []))]


@pytest.mark.parametrize(
    ("table", "rights"),
    [
        ("cases", "SELECT, INSERT, UPDATE, DELETE"),
        ("tickets", "SELECT, INSERT, UPDATE, DELETE"),
        ("audit", "SELECT, INSERT"),
        ("overrides", "SELECT, INSERT"),
        ("alembic_version", "SELECT"),
    ],
)
def test_a_table_loses_all_rights_first_and_gets_those_to_serve(table: str, rights: str) -> None:
    assert made(tables=[table])[2:] == [
        f'REVOKE ALL ON TABLE "public"."{table}" FROM PUBLIC, "michiq"',
        f'GRANT {rights} ON TABLE "public"."{table}" TO "michiq"',
    ]


def test_the_role_may_use_the_schema_and_make_nothing_in_it() -> None:
    assert made()[:2] == [
        'REVOKE ALL ON SCHEMA "public" FROM "michiq"',
        'GRANT USAGE ON SCHEMA "public" TO "michiq"',
    ]


def test_a_sequence_is_counted_up_and_never_set() -> None:
    assert made(tables=[], sequences=["audit_id_seq"])[2:] == [
        'REVOKE ALL ON SEQUENCE "public"."audit_id_seq" FROM PUBLIC, "michiq"',
        'GRANT USAGE ON SEQUENCE "public"."audit_id_seq" TO "michiq"',
    ]


@pytest.mark.parametrize(
    ("role", "quoted"),
    [
        ("Michiq", '"Michiq"'),
        ('a"; DROP TABLE audit; --', '"a""; DROP TABLE audit; --"'),
        ("public", '"public"'),
        ("ana.león", '"ana.león"'),
    ],
)
def test_a_role_is_named_as_it_is_and_is_never_read_as_sql(role: str, quoted: str) -> None:
    assert all(each.endswith(quoted) for each in made(role))


def test_every_table_of_the_store_gets_its_rights() -> None:
    assert {"audit", "overrides", "cases", "members", "tickets", "jobs", "alembic_version"} <= {
        *tables_of_the_store()
    }
