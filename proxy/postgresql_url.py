"""Reads a PostgreSQL URL as libpq writes it, and says what of it may be shown: never the password."""

import ipaddress
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, TypeAlias
from urllib.parse import quote, unquote

SslMode: TypeAlias = Literal["disable", "prefer", "verify-full"]
Wanted: TypeAlias = Literal["any", "primary", "read-write"]

_SCHEME: Final = re.compile(r"postgres(?:ql)?://")
_HOST: Final = re.compile(r"[A-Za-z0-9._-]+")
_BAD_PERCENT: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_PORT: Final = 5432
_PARAMETERS: Final = (
    *("host", "port", "target_session_attrs", "sslmode", "sslrootcert", "sslcert", "sslkey"),
    "application_name",
)
_FORM: Final = "postgresql://USER:PASSWORD@HOST/DATABASE"
_PERCENT: Final = "write special characters of user, password and database as %XX, such as %40 for @"


@dataclass(frozen=True, slots=True)
class Server:
    """A server of a URL; `host` is a name, an address, or the folder of a Unix socket."""

    host: str
    port: int = _PORT

    @property
    def is_socket(self) -> bool:
        """Returns whether the server is reached through a Unix socket."""
        return self.host.startswith("/")

    @property
    def is_near(self) -> bool:
        """Returns whether no byte leaves this machine on the way to the server."""
        return self.is_socket or _is_loopback(self.host.lower())

    def __str__(self) -> str:
        host = quote(self.host, safe="") if self.is_socket else self.host
        shown = f"[{host}]" if ":" in host else host
        return shown if self.port == _PORT else f"{shown}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresqlUrl:
    """A PostgreSQL database: where it is, and how a connection is made. `str` leaves the password out.

    `sslrootcert` None stands for the system's authorities and those of MICHIQ_CA_FILE.
    """

    servers: tuple[Server, ...]
    database: str
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    sslmode: SslMode
    sslrootcert: Path | None = None
    sslcert: Path | None = None
    sslkey: Path | None = None
    target_session_attrs: Wanted
    application_name: str = "michiq-proxy"

    @property
    def is_near(self) -> bool:
        """Returns whether every server is on this machine."""
        return all(server.is_near for server in self.servers)

    def __str__(self) -> str:
        user = f"{quote(self.user, safe='')}@" if self.user is not None else ""
        servers = ",".join(map(str, self.servers))
        return f"postgresql://{user}{servers}/{quote(self.database, safe='')}"


def is_postgresql(url: str) -> bool:
    """Returns whether a database URL is one of PostgreSQL, right or wrong."""
    return _SCHEME.match(url) is not None


def without_password(url: str) -> str:
    """Returns a database URL as it may be shown."""
    return str(parse_postgresql_url(url)) if is_postgresql(url) else url


def parse_postgresql_url(url: str) -> PostgresqlUrl:
    """Reads a URL (PostgreSQL, "Connection URIs"). Raises ValueError with the remedy, never a part of it."""
    authority, database, query = _parts(url)
    identity, _, hosts = authority.rpartition("@")
    user, colon, password = identity.partition(":")
    given = _parameters(query)
    servers = _servers(hosts, given)
    near = all(server.is_near for server in servers)
    return PostgresqlUrl(
        servers=servers,
        database=_plain(database),
        user=_plain(user) or None,
        password=_plain(password) if colon else None,
        sslmode=_sslmode(given.get("sslmode"), servers, near=near),
        target_session_attrs=_wanted(given.get("target_session_attrs"), servers),
        application_name=given.get("application_name", "michiq-proxy"),
        **_certificates(given),
    )


def _parts(url: str) -> tuple[str, str, str]:
    """Returns what stands before the path, the path, and what stands after it."""
    rest, _, query = _SCHEME.sub("", url, count=1).partition("?")
    authority, _, database = rest.partition("/")
    if authority.count("@") > 1 or authority.rpartition("@")[0].count(":") > 1:
        raise ValueError(_PERCENT)
    if not is_postgresql(url) or not database:
        raise ValueError(f"needs {_FORM}")
    if any(sign in database for sign in "/@:#") or "#" in url or _BAD_PERCENT.search(url):
        raise ValueError(_PERCENT)
    return authority, database, query


def _plain(text: str) -> str:
    """Returns the text that is meant by a percent-encoded one."""
    try:
        plain = unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise ValueError(_PERCENT) from None
    if not plain.isprintable():
        raise ValueError("takes no control characters")
    return plain


def _parameters(query: str) -> dict[str, str]:
    pairs = [pair.partition("=") for pair in query.split("&")] if query else []
    names = [name for name, _, _ in pairs]
    if not {*names} <= {*_PARAMETERS}:
        # After an unescaped ? or & of a password, its rest looks like parameters: no name is repeated here.
        raise ValueError(f"takes no other parameters than {', '.join(_PARAMETERS)}; {_PERCENT}")
    if len(set(names)) < len(names):
        raise ValueError("has a parameter twice")
    given = {name: _plain(value) for name, _, value in pairs}
    if empty := [name for name, value in given.items() if not value]:
        raise ValueError(f"needs a value for {empty[0]}")
    return given


def _servers(hosts: str, given: dict[str, str]) -> tuple[Server, ...]:
    if "host" in given or "port" in given:
        if hosts or not given.get("host", "").startswith("/"):
            raise ValueError("takes host=FOLDER and port= only for a Unix socket, and then no other host")
        return (Server(given["host"], _port(given.get("port", ""))),)
    if not hosts:
        raise ValueError(f"needs a host: {_FORM}, or ?host=/run/postgresql for a Unix socket")
    return tuple(_server(entry) for entry in hosts.split(","))


def _server(entry: str) -> Server:
    host, port = entry, ""
    if entry.startswith("["):
        host, bracket, port = entry[1:].partition("]")
        if not bracket or not _is_ipv6(host) or (port and not port.startswith(":")):
            raise ValueError("has no valid IPv6 address between its brackets")
        return Server(host, _port(port.removeprefix(":")))
    host, _, port = entry.partition(":")
    plain = _plain(host)
    if not plain.startswith("/") and _HOST.fullmatch(plain) is None:
        raise ValueError("needs hosts such as db.example.com:5432, commas between them")
    return Server(plain, _port(port))


def _is_ipv6(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).version == 6
    except ValueError:
        return False


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _port(text: str) -> int:
    if not text:
        return _PORT
    if re.fullmatch(r"[0-9]{1,5}", text) is None or not 0 < int(text) < 65536:
        raise ValueError("needs ports from 1 to 65535")
    return int(text)


def _sslmode(given: str | None, servers: tuple[Server, ...], *, near: bool) -> SslMode:
    """Returns how TLS is used. A password or a text must not cross a network that anybody could read."""
    if not near:
        if given not in (None, "verify-full"):
            raise ValueError("needs sslmode=verify-full, or none: the database is not on this machine")
        return "verify-full"
    match given:
        case None:
            return "disable" if all(server.is_socket for server in servers) else "prefer"
        case "disable" | "prefer" | "verify-full":
            return given
    raise ValueError("needs sslmode=disable, prefer or verify-full")


def _wanted(given: str | None, servers: tuple[Server, ...]) -> Wanted:
    """Returns which server of several is used; a standby would refuse every write."""
    one = len(servers) == 1
    match given:
        case None:
            return "any" if one else "primary"
        case "any" if one:
            return "any"
        case "primary" | "read-write":
            return given
    raise ValueError("needs target_session_attrs=primary or read-write: the proxy writes")


def _certificates(given: dict[str, str]) -> dict[str, Path | None]:
    if ("sslcert" in given) != ("sslkey" in given):
        raise ValueError("needs sslcert and sslkey together")
    root = given.get("sslrootcert")
    named = {
        "sslrootcert": None if root in (None, "system") else root,
        "sslcert": given.get("sslcert"),
        "sslkey": given.get("sslkey"),
    }
    return {name: Path(path) if path is not None else None for name, path in named.items()}
