"""PostgreSQL's URL: what an operator may write, what is refused, and that its password is never shown."""

from pathlib import Path
from typing import Final

import pytest

from proxy.postgresql_url import Server, is_postgresql, parse_postgresql_url, without_password

CANARY: Final = "CANARY-7f3a"
FAR: Final = "postgresql://ana:secret@db.example.com/michiq"


@pytest.mark.parametrize(
    ("url", "servers"),
    [
        ("postgresql://db.example.com/michiq", [Server("db.example.com")]),
        ("postgres://db_1:5433/michiq", [Server("db_1", 5433)]),
        (
            "postgresql://a:1,10.0.0.2,[fd00::1]:3/michiq",
            [Server("a", 1), Server("10.0.0.2"), Server("fd00::1", 3)],
        ),
        ("postgresql://[::1]/michiq", [Server("::1")]),
        ("postgresql://%2Frun%2Fpostgresql:5433/michiq", [Server("/run/postgresql", 5433)]),
        ("postgresql:///michiq?host=/run/postgresql", [Server("/run/postgresql")]),
        ("postgresql://ana@/michiq?host=%2Ftmp&port=5433", [Server("/tmp", 5433)]),
    ],
)
def test_a_url_names_its_servers(url: str, servers: list[Server]) -> None:
    assert [*parse_postgresql_url(url).servers] == servers


def test_user_password_and_database_are_read_as_they_are_meant() -> None:
    url = parse_postgresql_url("postgresql://a%40b:p%2Fw%3A%3F+%25@db.example.com/mi%20ch")
    assert (url.user, url.password, url.database) == ("a@b", "p/w:?+%", "mi ch")


@pytest.mark.parametrize(("url", "password"), [("postgresql://u@h/d", None), ("postgresql://u:@h/d", "")])
def test_no_password_is_another_thing_than_an_empty_one(url: str, password: str | None) -> None:
    assert parse_postgresql_url(url).password == password


@pytest.mark.parametrize(
    ("hosts", "near", "default", "also"),
    [
        ("localhost", True, "prefer", ["disable", "verify-full"]),
        ("127.0.0.9,[::1]", True, "prefer", ["disable"]),
        ("LocalHost", True, "prefer", []),
        ("%2Frun%2Fpostgresql", True, "disable", ["prefer"]),
        ("%2Frun%2Fpostgresql,localhost", True, "prefer", []),
        ("db.example.com", False, "verify-full", []),
        ("10.0.0.1", False, "verify-full", []),
        ("localhost,10.0.0.1", False, "verify-full", []),
        ("localhost.example.com", False, "verify-full", []),
    ],
)
def test_tls_with_a_verified_name_is_a_must_once_a_server_is_on_another_machine(
    hosts: str, near: bool, default: str, also: list[str]
) -> None:
    url = parse_postgresql_url(f"postgresql://{hosts}/michiq")
    assert (url.is_near, url.sslmode) == (near, default)
    for mode in (default, *also):
        assert parse_postgresql_url(f"postgresql://{hosts}/michiq?sslmode={mode}").sslmode == mode


@pytest.mark.parametrize("mode", ["disable", "allow", "prefer", "require", "verify-ca", "VERIFY-FULL"])
def test_any_other_mode_of_tls_is_refused_off_this_machine(mode: str) -> None:
    with pytest.raises(ValueError, match="needs sslmode=verify-full"):
        parse_postgresql_url(f"{FAR}?sslmode={mode}")


@pytest.mark.parametrize(
    ("hosts", "given", "wanted"),
    [
        ("a", "", "any"),
        ("a,b", "", "primary"),
        ("a", "?target_session_attrs=any", "any"),
        ("a,b", "?target_session_attrs=read-write", "read-write"),
        ("a", "?target_session_attrs=primary", "primary"),
    ],
)
def test_of_several_servers_the_one_that_takes_writes_is_wanted(hosts: str, given: str, wanted: str) -> None:
    assert parse_postgresql_url(f"postgresql://{hosts}/d{given}").target_session_attrs == wanted


def test_certificates_and_a_name_for_the_servers_lists_are_taken() -> None:
    url = parse_postgresql_url(
        f"{FAR}?sslrootcert=/a/b.pem&sslcert=c.pem&sslkey=d%20e.pem&application_name=x"
    )
    assert (url.sslrootcert, url.sslcert, url.sslkey) == (Path("/a/b.pem"), Path("c.pem"), Path("d e.pem"))
    assert url.application_name == "x"
    assert parse_postgresql_url(f"{FAR}?sslrootcert=system").sslrootcert is None


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://", "needs postgresql://"),
        ("postgresql://h", "needs postgresql://"),
        ("postgresql://h/", "needs postgresql://"),
        ("mysql://u:CANARY-7f3a@h/d", "needs postgresql://"),
        ("postgresql:///d", "needs a host"),
        ("postgresql://u:CANARY-7f3a@/d", "needs a host"),
        ("postgresql://h,/d", "needs hosts"),
        ("postgresql://h h/d", "needs hosts"),
        ("postgresql://h:0/d", "needs ports"),
        ("postgresql://h:65536/d", "needs ports"),
        ("postgresql://h:x/d", "needs ports"),
        ("postgresql://[::g]/d", "no valid IPv6"),
        ("postgresql://[1.2.3.4]/d", "no valid IPv6"),
        ("postgresql://[::1]5/d", "no valid IPv6"),
        ("postgresql://u:CANARY@-7f3a@h/d", "as %XX"),
        ("postgresql://u:CANARY-7f3a:@h/d", "as %XX"),
        ("postgresql://u:CANARY/7f3a@h/d", "as %XX"),
        ("postgresql://u:%CANARY-7f3a@h/d", "as %XX"),
        ("postgresql://u:%ff@h/d", "as %XX"),
        ("postgresql://u:CANARY-7f3a#@h/d", "as %XX"),
        ("postgresql://u:CANARY?7f3a@h/d", "needs postgresql://"),
        ("postgresql://u:CANARY-7f3a%00@h/d", "no control characters"),
        ("postgresql://u:CANARY-7f3a@h/d%0a", "no control characters"),
        (f"{FAR}?password=CANARY-7f3a", "no other parameters than host"),
        (f"{FAR}?options=-c%20fsync=off", "no other parameters than host"),
        (f"{FAR}?CANARY-7f3a", "no other parameters than host"),
        (f"{FAR}?sslmode", "needs a value for sslmode"),
        (f"{FAR}?sslmode=verify-full&sslmode=verify-full", "twice"),
        (f"{FAR}?host=/tmp", "only for a Unix socket"),
        ("postgresql:///d?host=CANARY-7f3a", "only for a Unix socket"),
        ("postgresql:///d?port=5433", "only for a Unix socket"),
        (f"{FAR}?target_session_attrs=standby", "the proxy writes"),
        ("postgresql://a,b/d?target_session_attrs=any", "the proxy writes"),
        (f"{FAR}?sslcert=c.pem", "sslcert and sslkey together"),
        ("postgresql://localhost/d?sslmode=require", "needs sslmode=disable"),
    ],
)
def test_a_url_that_can_not_be_meant_is_refused_with_the_remedy_and_without_its_text(
    url: str, said: str
) -> None:
    with pytest.raises(ValueError, match=said.replace("?", r"\?")) as caught:
        parse_postgresql_url(url)
    assert "CANARY" not in str(caught.value)
    assert "7f3a" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (f"postgresql://ana:{CANARY}@a:1,b/d?sslmode=verify-full", "postgresql://ana@a:1,b/d"),
        (f"postgres://a%40b:{CANARY}@[::1]:9/d", "postgresql://a%40b@[::1]:9/d"),
        (f"postgresql://u:{CANARY}@/d?host=/run/pg", "postgresql://u@%2Frun%2Fpg/d"),
        ("postgresql://localhost/d", "postgresql://localhost/d"),
        ("sqlite:///var/michiq.db", "sqlite:///var/michiq.db"),
    ],
)
def test_a_url_is_shown_without_its_password(url: str, shown: str) -> None:
    assert without_password(url) == shown


def test_no_repr_has_the_password() -> None:
    url = parse_postgresql_url(f"postgresql://ana:{CANARY}@db.example.com/michiq")
    assert CANARY not in f"{url!r} {url}"
    assert url.password == CANARY


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("postgresql://h/d", True),
        ("postgres://", True),
        ("sqlite:///postgresql://", False),
        ("postgresql:h", False),
    ],
)
def test_the_scheme_alone_says_whether_a_url_is_one_of_postgresql(url: str, found: bool) -> None:
    assert is_postgresql(url) is found
