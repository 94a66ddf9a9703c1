"""The settings of a process: MICHIQ_* variables, read once, validated together, frozen."""

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from ipaddress import IPv4Network, IPv6Network, ip_network
from itertools import combinations, product
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, SecretStr, ValidationError, model_validator

from proxy.addresses import (
    Address,
    host_of,
    is_loopback,
    is_plain,
    may_be_private,
    overlap,
    parse_address,
    parse_addresses,
    parse_any_url,
    parse_base_url,
    parse_url,
)
from proxy.addresses.s3 import SCHEME, parse_s3_address
from proxy.environment import (
    ADMIN_LISTEN,
    FILE,
    PREFIX,
    Unreadable,
    is_service_link,
    read_env_file,
    read_secret_files,
)
from proxy.outbound_proxy import NoProxy, OutboundProxy, parse_no_proxy, parse_outbound_proxy
from proxy.postgresql_url import is_postgresql, parse_postgresql_url

Network: TypeAlias = IPv4Network | IPv6Network
Pooler: TypeAlias = Literal["none", "transaction"]
Migrate: TypeAlias = Literal["start", "never"]
Switch: TypeAlias = Literal["on", "off"]

KEY_COMMAND: Final = (
    'python3 -c "import base64, secrets; print(base64.urlsafe_b64encode(secrets.token_bytes(32)).decode())"'
)
SQLITE: Final = "sqlite:///"
_READ: Final = ":read"  # behind the token of an operator who changes nothing
# API host and web host, public and through the VPN (llamalitica-integration, "Initial Setup").
HOST_PAIRS: Final = (
    ("api.llamalitica.com", "llamalitica.com"),
    ("api.private.llamalitica.com", "private.llamalitica.com"),
)
# Settings that may be in a file of their own: Docker, Kubernetes and systemd pass secrets so.
IN_FILES: Final = (
    "database_url",
    "secret_keys",
    "llamachat_api_key",
    "tester_secret",
    "admin_tokens",
    "webhook_secrets",
    "outbound_proxy",
    "alert_secret",
)

# Variables of a command, and no settings: they may be set while other commands run.
TO_DATABASE_URL: Final = f"{PREFIX}TO_DATABASE_URL"
TO_BLOBS_URL: Final = f"{PREFIX}TO_BLOBS_URL"
_OF_COMMANDS: Final = frozenset({TO_DATABASE_URL, TO_DATABASE_URL + FILE, TO_BLOBS_URL})


class SettingsError(Exception):
    """Settings that can't be used; each of `problems` names a setting and its remedy, never a value."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


def _database_url(text: str) -> SecretStr:
    """Checks the database's URL, and hides it as a whole: it may hold a password."""
    if is_postgresql(text):
        parse_postgresql_url(text)
    elif not text.startswith(SQLITE) or text == SQLITE:
        raise ValueError(f"needs {SQLITE}PATH or postgresql://USER:PASSWORD@HOST/DATABASE")
    return SecretStr(text)


def _blobs_url(text: str) -> str:
    if text.startswith(SCHEME):
        parse_s3_address(text)
    elif not text.startswith("file:") or text == "file:":
        raise ValueError("needs file:PATH, or s3://bucket/prefix for an S3 store")
    return text


def _whole(least: int, most: int = 99999) -> Callable[[str], int]:
    def check(text: str) -> int:
        if re.fullmatch(r"[0-9]{1,5}", text) is None or not least <= int(text) <= most:
            raise ValueError(f"needs a whole number from {least} to {most}")
        return int(text)

    return check


def _one_of(*words: str) -> Callable[[str], str]:
    def check(text: str) -> str:
        if text not in words:
            raise ValueError(f"needs {' or '.join(words)}")
        return text

    return check


def _yes_or_no(text: str) -> bool:
    if text not in ("yes", "no"):
        raise ValueError("needs yes or no")
    return text == "yes"


def _legacy_url(text: str) -> str:
    """Reads the URL; `_plain_legacy_is_meant_and_near` decides whether plain http is allowed."""
    return parse_any_url(text).rstrip("/")


def _secret(text: str) -> SecretStr:
    if re.fullmatch(r"[\x21-\x7e]+", text) is None:
        raise ValueError("needs ASCII letters, digits and punctuation, without spaces, and none may be empty")
    return SecretStr(text)


def _secrets(text: str) -> tuple[SecretStr, ...]:
    return tuple(_secret(entry.strip()) for entry in text.split(","))


@dataclass(frozen=True, slots=True)
class OperatorToken:
    """An operator's token; one that `reads_only` sees everything and changes nothing."""

    secret: SecretStr
    reads_only: bool = False


def _tokens(text: str) -> Mapping[str, OperatorToken]:
    """Reads names and tokens; a token has at least 16 characters, since nothing else protects the modes."""
    entries = [entry.strip().partition(":") for entry in text.split(",")]
    pairs = [(name, text.removesuffix(_READ), text.endswith(_READ)) for name, _, text in entries]
    if not all(re.fullmatch(r"[A-Za-z0-9._@-]{1,64}", name) and len(token) >= 16 for name, token, _ in pairs):
        raise ValueError(
            "needs name:token or name:token:read, comma between them; each token has at least 16 characters"
        )
    if len({name for name, *_ in pairs}) < len(pairs) or len({token for _, token, _ in pairs}) < len(pairs):
        raise ValueError("has a name or a token twice")
    if "proxy" in (name for name, *_ in pairs):
        raise ValueError("has the name proxy: the audit uses it for the process itself")
    return {name: OperatorToken(_secret(token), reads_only) for name, token, reads_only in pairs}


def _outbound_proxy(text: str) -> SecretStr:
    """Checks the proxy's URL, and hides it as a whole: it may hold a password."""
    parse_outbound_proxy(text)
    return SecretStr(text)


def _networks(text: str) -> tuple[Network, ...]:
    try:
        return tuple(ip_network(entry.strip()) for entry in text.split(","))
    except ValueError:
        raise ValueError("needs IP addresses or networks such as 10.0.0.0/24, comma between them") from None


def _hosts(text: str) -> tuple[str, ...]:
    hosts = [entry.strip().lower() for entry in text.split(",")]
    if not all(re.fullmatch(r"[a-z0-9.:_-]+", host) for host in hosts):
        raise ValueError("needs hosts such as api.example.com, comma between them, without scheme and path")
    return tuple(hosts)


def _fernet_keys(text: str) -> tuple[SecretStr, ...]:
    keys = _secrets(text)
    if not all(re.fullmatch(r"[A-Za-z0-9_-]{43}=", key.get_secret_value()) for key in keys):
        raise ValueError(f"needs url-safe base64 of 32 bytes each, comma between; make one: {KEY_COMMAND}")
    return keys


def _default(text: str, description: str) -> Any:
    """Returns a field whose default is written, and validated, as an operator would write it."""
    return Field(default=text, validate_default=True, description=description)


class Settings(BaseModel):
    """Every MICHIQ_* setting of this release, under its name in lower case without the prefix.

    `mappings` is None for the default folder; URLs come without a trailing slash. Sources: DESIGN, "Names
    fixed for everyone"; CONTRACT X01 for the hosts.
    """

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    listen: Annotated[tuple[Address, ...], PlainValidator(parse_addresses)] = _default(
        "127.0.0.1:8080",
        "address of the legacy routes and webhooks; several with commas between them; `[::]` means IPv4, too",
    )
    admin_listen: Annotated[Address, PlainValidator(parse_address)] = _default(
        ADMIN_LISTEN, "address of the admin API, /livez, /readyz, /healthz and /metrics"
    )
    status_listen: Annotated[Address | None, PlainValidator(parse_address)] = Field(
        default=None,
        description="one more address of /livez, /readyz, /healthz and /metrics, without the admin API; "
        "always plain http",
    )
    mappings: Path | None = Field(
        default=None, description="folder of the mapping files; unset: `mappings`, else the built-in files"
    )
    database_url: Annotated[SecretStr, PlainValidator(_database_url)] = _default(
        "sqlite:///var/michiq.db",
        "the database: `sqlite:///PATH`, or `postgresql://USER:PASSWORD@HOST/DATABASE` for several machines",
    )
    database_pool: Annotated[int, PlainValidator(_whole(1, 100))] = _default(
        "8", "most connections to PostgreSQL, per worker"
    )
    database_pooler: Annotated[Pooler, PlainValidator(_one_of("none", "transaction"))] = _default(
        "none", "`transaction` if PgBouncer or the like stands before PostgreSQL, in transaction mode"
    )
    migrate: Annotated[Migrate, PlainValidator(_one_of("start", "never"))] = _default(
        "start",
        "who changes the database's tables for a new release: each `start`, or `never` the proxy, but only "
        "`michiq-proxy migrate`",
    )
    blobs_url: Annotated[str, PlainValidator(_blobs_url)] = _default(
        "file:var/blobs",
        "the recordings, encrypted: `file:PATH`, a folder that all processes share, or a bucket of an S3 "
        "store, `s3://bucket/prefix?endpoint=…&region=…` (docs/scale.md)",
    )
    secret_keys: Annotated[tuple[SecretStr, ...], PlainValidator(_fernet_keys)] = Field(
        description="keys that encrypt the store, newest first, commas between them; `demo` makes its own"
    )
    llamalitica_api_url: Annotated[str, PlainValidator(parse_base_url)] = _default(
        "https://api.llamalitica.com",
        "Llamalitica's API; goes with MICHIQ_LLAMALITICA_WEB_URL: both public or both private",
    )
    llamalitica_web_url: Annotated[str, PlainValidator(parse_base_url)] = _default(
        "https://llamalitica.com", "Llamalitica's pages"
    )
    llamachat_url: Annotated[str | None, PlainValidator(parse_base_url)] = Field(
        default=None, description="LlamaChat; query and speechToText need it"
    )
    llamachat_api_key: Annotated[SecretStr | None, PlainValidator(_secret)] = Field(
        default=None, description="LlamaChat's consumer key; set it together with MICHIQ_LLAMACHAT_URL"
    )
    legacy_url: Annotated[str | None, PlainValidator(_legacy_url)] = Field(
        default=None,
        description="the old michiQ server; the modes legacy, shadow and canary and merged lists need it",
    )
    legacy_insecure: Annotated[bool, PlainValidator(_yes_or_no)] = _default(
        "no",
        "`yes` allows http:// to an old server at a private address; that network can then read what passes",
    )
    tester_secret: Annotated[SecretStr | None, PlainValidator(_secret)] = Field(
        default=None,
        description="lets testers choose a side by `X-Michiq-Tester: new SECRET`; unset: no tester can",
    )
    admin_tokens: Annotated[Mapping[str, OperatorToken], PlainValidator(_tokens)] = Field(
        default={},
        description="`name:token,name:token` of those who may use the admin API and the operator's page; the "
        "audit shows the name; `name:token:read` changes nothing; unset: both are closed",
    )
    ui: Annotated[Switch, PlainValidator(_one_of("on", "off"))] = _default(
        "on", "`off` closes the operator's page on MICHIQ_ADMIN_LISTEN, and leaves the admin API"
    )
    webhook_secrets: Annotated[tuple[SecretStr, ...], PlainValidator(_secrets)] = Field(
        default=(), description="secrets of Llamalitica's webhooks, commas between them; each is valid"
    )
    tee_url: Annotated[str | None, PlainValidator(parse_url)] = Field(
        default=None, description="a consumer of your own; authentic webhooks are sent on to it"
    )
    alert_url: Annotated[str | None, PlainValidator(parse_url)] = Field(
        default=None,
        description="a receiver of your own; signed alerts are posted to it (docs/operate.md)",
    )
    alert_secret: Annotated[SecretStr | None, PlainValidator(_secret)] = Field(
        default=None, description="secret that signs the alerts; goes with MICHIQ_ALERT_URL"
    )
    ca_file: Path | None = Field(
        default=None,
        description="PEM file of certificate authorities; https calls and PostgreSQL trust them beside the "
        "system's",
    )
    outbound_proxy: Annotated[SecretStr | None, PlainValidator(_outbound_proxy)] = Field(
        default=None,
        description="`http://host:port` or `http://user:password@host:port` of your proxy to the internet; "
        "every https call goes through it, by CONNECT; plain http goes directly",
    )
    trace_to: Annotated[tuple[str, ...], PlainValidator(_hosts)] = Field(
        default=(),
        description="hosts of upstreams that are sent `traceparent`, commas between them; unset: none "
        "(docs/operate.md)",
    )
    no_proxy: Annotated[NoProxy, PlainValidator(parse_no_proxy)] = _default(
        "localhost,127.0.0.0/8,::1",
        "what is called without MICHIQ_OUTBOUND_PROXY, commas between them: names (with all names below "
        "them), addresses and networks",
    )
    workers: Annotated[int, PlainValidator(_whole(1, 64))] = _default(
        "1", "serving processes (workers), all on the same sockets"
    )
    tls_cert: Path | None = Field(
        default=None,
        description="file of the certificate with its chain, to serve https, also on an MICHIQ_ADMIN_LISTEN "
        "that other machines reach; unset: plain http",
    )
    tls_key: Path | None = Field(
        default=None,
        description="file of the certificate's key; goes with MICHIQ_TLS_CERT; SIGHUP reads both again",
    )
    max_connections: Annotated[int, PlainValidator(_whole(1))] = _default(
        "2000",
        "most connections at a time, per worker; fewer if its limit of open files is too low; further ones "
        "are answered 503",
    )
    max_connections_per_address: Annotated[int, PlainValidator(_whole(0))] = _default(
        "0",
        "most connections from one client address, per worker; 0: no limit; keep 0 behind a load balancer "
        "unless MICHIQ_FORWARDERS is set",
    )
    forwarders: Annotated[tuple[Network, ...], PlainValidator(_networks)] = Field(
        default=(),
        description="addresses or networks of your own load balancers, commas between them; the last address "
        "in their `X-Forwarded-For` counts as the client's, and its requests under way are limited",
    )
    drain_seconds: Annotated[int, PlainValidator(_whole(0))] = _default(
        "30", "most seconds from SIGTERM to the end of the process"
    )
    content_days: Annotated[int, PlainValidator(_whole(1))] = _default("90", "retention of texts, in days")
    audio_days: Annotated[int, PlainValidator(_whole(1))] = _default("30", "retention of audio, in days")

    @property
    def listeners(self) -> dict[str, tuple[Address, ...]]:
        """Returns the addresses of each listener, by the name of its setting."""
        found = {"MICHIQ_LISTEN": self.listen, "MICHIQ_ADMIN_LISTEN": (self.admin_listen,)}
        if self.status_listen is not None:
            found["MICHIQ_STATUS_LISTEN"] = (self.status_listen,)
        return found

    @property
    def admin_has_tls(self) -> bool:
        """Returns whether operators get https: within this machine nobody else can read what they send."""
        return self.tls_cert is not None and not is_loopback(self.admin_listen.host)

    @property
    def upstream_hosts(self) -> dict[str, str]:
        """Returns the host of each upstream that is set, by the upstream's name in the cause codes."""
        urls = {
            "llamalitica": self.llamalitica_api_url,
            "llamachat": self.llamachat_url,
            "legacy": self.legacy_url,
        }
        return {name: host_of(url) for name, url in urls.items() if url is not None}

    @property
    def outbound(self) -> OutboundProxy | None:
        """Returns the outbound proxy, with the hosts that are called without it."""
        if self.outbound_proxy is None:
            return None
        found = parse_outbound_proxy(self.outbound_proxy.get_secret_value())
        return replace(found, unless=self.no_proxy)

    @model_validator(mode="after")
    def _hosts_are_a_pair(self) -> Self:
        """Requires that the two hosts are a documented pair, or neither is Llamalitica's (CONTRACT X01)."""
        pair = (host_of(self.llamalitica_api_url), host_of(self.llamalitica_web_url))
        llamalitica = any(f".{host}".endswith(".llamalitica.com") for host in pair)
        if llamalitica and pair not in HOST_PAIRS:
            pairs = ", or ".join(f"https://{api} with https://{web}" for api, web in HOST_PAIRS)
            raise ValueError(
                f"MICHIQ_LLAMALITICA_API_URL and MICHIQ_LLAMALITICA_WEB_URL are no pair: set {pairs}"
            )
        return self

    @model_validator(mode="after")
    def _listeners_are_apart(self) -> Self:
        """Refuses two listeners on one port: both look alive, and one of them never gets a request."""
        for (one, addresses), (other, more) in combinations(self.listeners.items(), 2):
            if any(overlap(*pair) for pair in product(addresses, more)):
                raise ValueError(f"{one} and {other} are on one port: give each its own port")
        return self

    @model_validator(mode="after")
    def _plain_legacy_is_meant_and_near(self) -> Self:
        """Allows plain http only if the operator asked for it, and to a private address (CONTRACT X01)."""
        if self.legacy_url is None or not is_plain(self.legacy_url):
            return self
        if not self.legacy_insecure:
            raise ValueError(
                "MICHIQ_LEGACY_URL needs https, or MICHIQ_LEGACY_INSECURE=yes in a closed network"
            )
        if not may_be_private(host_of(self.legacy_url)):
            raise ValueError("MICHIQ_LEGACY_URL needs https: its address is not a private one")
        return self

    @model_validator(mode="after")
    def _llamachat_is_whole(self) -> Self:
        if (self.llamachat_url is None) != (self.llamachat_api_key is None):
            raise ValueError("MICHIQ_LLAMACHAT_URL and MICHIQ_LLAMACHAT_API_KEY go together: set both")
        return self

    @model_validator(mode="after")
    def _alerts_are_whole(self) -> Self:
        if (self.alert_url is None) != (self.alert_secret is None):
            raise ValueError("MICHIQ_ALERT_URL and MICHIQ_ALERT_SECRET go together: set both")
        return self

    @model_validator(mode="after")
    def _traces_go_to_upstreams(self) -> Self:
        if not {*self.trace_to} <= {*self.upstream_hosts.values()}:
            raise ValueError(
                "MICHIQ_TRACE_TO names a host that none of MICHIQ_LLAMALITICA_API_URL, MICHIQ_LLAMACHAT_URL "
                "and MICHIQ_LEGACY_URL has"
            )
        return self

    @model_validator(mode="after")
    def _tls_is_whole(self) -> Self:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("MICHIQ_TLS_CERT and MICHIQ_TLS_KEY go together: set both")
        return self


def load_settings(environ: Mapping[str, str], env_file: Path | None) -> Settings:
    """Reads the settings from `environ` and, below it, from `env_file` if there is such a file.

    An empty variable counts as unset; variables that Kubernetes and Docker set for a Service's name are
    ignored.
    Raises SettingsError with every problem found.
    """
    try:
        given = {**(read_env_file(env_file) if env_file else {}), **environ}
    except Unreadable as error:
        raise SettingsError(error.problems) from None
    stripped = {name: value.strip() for name, value in given.items() if _is_ours(name)}
    named, unread = read_secret_files(stripped, _from_files())
    fields = _fields()
    unknown = [name for name in sorted(named) if name not in fields]
    problems = [_unknown(name) for name in unknown if not is_service_link(name, named[name])]
    problems += unread.values()
    try:
        settings = Settings.model_validate({fields[n]: v for n, v in named.items() if v and n in fields})
    except ValidationError as error:
        # The error is not chained: pydantic's holds the values, keys among them.
        wrong = [each for each in _complaints(error) if each.split()[0] not in unread]
        raise SettingsError(problems + wrong) from None
    if problems:
        raise SettingsError(problems)
    return settings


def _is_ours(name: str) -> bool:
    return name.upper().startswith(PREFIX) and name not in _OF_COMMANDS


def without_files(fixed: Mapping[str, str]) -> dict[str, str]:
    """Returns settings that a command makes itself; a file of the same setting is unset."""
    return {**fixed, **{name + FILE: "" for name in _from_files() & fixed.keys()}}


def meaning(field: str) -> str:
    """Returns the meaning of a setting, for operators."""
    name, description = PREFIX + field.upper(), Settings.model_fields[field].description or ""
    return f"{description} (from a file: `{name}{FILE}`)" if name in _from_files() else description


def settings_table() -> str:
    """Returns the table of docs/settings.md, in Markdown."""
    rows = ["| name | default | meaning |", "|---|---|---|"]
    for name, field in _fields().items():
        about = Settings.model_fields[field]
        default = "required" if about.is_required() else f"`{about.default}`" if about.default else "none"
        rows.append(f"| `{name}` | {default} | {meaning(field)} |")
    return "\n".join(rows) + "\n"


def _fields() -> dict[str, str]:
    return {PREFIX + field.upper(): field for field in Settings.model_fields}


def _from_files() -> set[str]:
    return {PREFIX + field.upper() for field in IN_FILES}


def _unknown(name: str) -> str:
    names = [*_fields(), *(each + FILE for each in _from_files())]

    def likeness(one: str) -> tuple[int, float]:
        shared = {*name.upper().split("_")} & {*one.split("_")}
        return len(shared), difflib.SequenceMatcher(None, name.upper(), one).ratio()

    return f"{name} is not a setting; the nearest one is {max(names, key=likeness)}"


def _complaints(error: ValidationError) -> list[str]:
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return [_complaint(".".join(map(str, one["loc"])), one["type"], one["msg"]) for one in found]


def _complaint(field: str, kind: str, message: str) -> str:
    if kind == "missing":
        message = f"is required; make one: {KEY_COMMAND}"  # only secret_keys has no default
    named = f"{PREFIX}{field.upper()} " if field else ""
    return named + message.removeprefix("Value error, ")
