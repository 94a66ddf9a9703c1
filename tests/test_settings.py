"""Settings: what an operator may write, and what is said when it can't be served with."""

import re
import shlex
import subprocess
from pathlib import Path
from typing import Final

import pytest
from pydantic import ValidationError

from proxy.settings import (
    IN_FILES,
    KEY_COMMAND,
    Settings,
    SettingsError,
    load_settings,
    settings_table,
    without_files,
)
from proxy.store.blobs.opening import Surroundings
from proxy.store.options import StoreOptions, store_options

KEY: Final = "k" * 43 + "="
CANARY: Final = "CANARY-7f3a"
PATHS: Final = {"mappings", "ca_file"}  # any text names a file or a folder
PRIVATE: Final = {
    "LLAMALITICA_API_URL": "https://api.private.llamalitica.com",
    "LLAMALITICA_WEB_URL": "https://private.llamalitica.com",
}


def load(env_file: Path | None = None, /, **values: str) -> Settings:
    """Loads a valid key and these settings, given without their prefix."""
    return load_settings({f"MICHIQ_{n}": v for n, v in {"SECRET_KEYS": KEY, **values}.items()}, env_file)


def problems(env_file: Path | None = None, /, **values: str) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as caught:
        load(env_file, **values)
    assert caught.value.__cause__ is None, "pydantic's error, which holds the values, must not be chained"
    return caught.value.problems


def test_the_defaults_are_enough_but_for_the_key() -> None:
    settings = load()
    assert [*map(str, (*settings.listen, settings.admin_listen))] == ["127.0.0.1:8080", "127.0.0.1:9090"]
    assert (settings.drain_seconds, settings.content_days, settings.audio_days) == (30, 90, 30)
    assert (settings.mappings, settings.llamachat_url, settings.webhook_secrets) == (None, None, ())


def test_a_missing_key_is_answered_with_a_command_that_makes_a_valid_one() -> None:
    [problem] = problems(SECRET_KEYS="")
    assert problem == f"MICHIQ_SECRET_KEYS is required; make one: {KEY_COMMAND}"
    made = subprocess.run(shlex.split(KEY_COMMAND), capture_output=True, text=True, check=True, timeout=30)
    assert load(SECRET_KEYS=made.stdout.strip()).secret_keys[0].get_secret_value() == made.stdout.strip()


def test_several_keys_keep_their_order() -> None:
    older = "j" * 43 + "="
    settings = load(SECRET_KEYS=f"{KEY}, {older}")
    assert [key.get_secret_value() for key in settings.secret_keys] == [KEY, older]


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [("0.0.0.0:80", "0.0.0.0", 80), ("[::1]:8080", "::1", 8080), ("localhost:0", "localhost", 0)],
)
def test_an_address_to_listen_on_is_read_and_shown_alike(text: str, host: str, port: int) -> None:
    [listen] = load(LISTEN=text).listen
    assert (listen.host, listen.port, str(listen)) == (host, port, text)


@pytest.mark.parametrize(
    ("listen", "admin"),
    [
        ("127.0.0.1:8080", "127.0.0.1:8080"),
        ("0.0.0.0:8080", "127.0.0.1:8080"),
        ("10.0.0.1:8080", "0.0.0.0:8080"),
        ("[::]:8080", "127.0.0.1:8080"),
        ("0.0.0.0:8080", "[::]:8080"),
        ("[::]:8080", "[::1]:8080"),
        ("[0:0::1]:8080", "[::1]:8080"),
        ("localhost:8080", "127.0.0.1:8080"),
        ("[::1]:8080", "localhost:8080"),
        ("proxy.example:8080", "Proxy.Example.:8080"),
        ("0.0.0.0:8080", "proxy.example:8080"),
        ("127.0.0.1:9090", ""),
        ("127.0.0.1:8080,[::1]:9090", "[::]:9090"),
    ],
)
def test_settings_34_two_listeners_on_one_port_are_refused(listen: str, admin: str) -> None:
    assert problems(LISTEN=listen, ADMIN_LISTEN=admin) == (
        "MICHIQ_LISTEN and MICHIQ_ADMIN_LISTEN are on one port: give each its own port",
    )


def test_settings_34_the_listener_for_probes_is_on_a_port_of_its_own() -> None:
    assert load().status_listen is None
    assert str(load(STATUS_LISTEN="0.0.0.0:8081").status_listen) == "0.0.0.0:8081"
    for other in ("LISTEN", "ADMIN_LISTEN"):
        assert problems(STATUS_LISTEN="0.0.0.0:8081", **{other: "127.0.0.1:8081"}) == (
            f"MICHIQ_{other} and MICHIQ_STATUS_LISTEN are on one port: give each its own port",
        )


def test_settings_30_several_addresses_are_listened_on() -> None:
    listen = load(LISTEN="10.0.0.1:80, [fd00::1]:80,proxy.example:8080").listen
    assert [*map(str, listen)] == ["10.0.0.1:80", "[fd00::1]:80", "proxy.example:8080"]
    assert [*map(str, load(LISTEN="0.0.0.0:80,[::]:80").listen)] == ["0.0.0.0:80", "[::]:80"]


@pytest.mark.parametrize(
    "twice",
    ["10.0.0.1:80,10.0.0.1:80", "10.0.0.1:80,0.0.0.0:80", "[::]:80,127.0.0.1:80", "[::]:80,[::]:80"],
)
def test_settings_30_an_address_that_is_named_twice_is_refused(twice: str) -> None:
    assert problems(LISTEN=twice) == ("MICHIQ_LISTEN names one port of an address twice",)


@pytest.mark.parametrize("wrong", ["10.0.0.1:80,", "10.0.0.1:80;10.0.0.2:80", ",", "10.0.0.1:80,8080"])
def test_settings_30_a_list_with_anything_but_addresses_is_refused(wrong: str) -> None:
    [problem] = problems(LISTEN=wrong)
    assert problem.startswith("MICHIQ_LISTEN needs host:port")


@pytest.mark.parametrize(
    ("listen", "admin"),
    [
        ("127.0.0.1:0", "127.0.0.1:0"),
        ("0.0.0.0:8080", "0.0.0.0:9090"),
        ("127.0.0.1:8080", "127.0.0.2:8080"),
        ("10.0.0.1:8080", "127.0.0.1:8080"),
        ("127.0.0.1:8080", "[::1]:8080"),
        ("0.0.0.0:8080", "[::1]:8080"),
    ],
)
def test_settings_34_listeners_on_addresses_or_ports_of_their_own_are_served(listen: str, admin: str) -> None:
    assert str(load(LISTEN=listen, ADMIN_LISTEN=admin).admin_listen) == admin


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        *[
            ("LISTEN", bad, "needs host:port")
            for bad in ("8080", ":8080", "::1:80", "a:65536", "a:x", "a b:1")
        ],
        ("ADMIN_LISTEN", "[::g]:1", "needs host:port"),
        ("ADMIN_LISTEN", "[1::2::3]:1", "no valid IPv6"),
        *[
            ("DATABASE_URL", bad, "needs sqlite:///PATH or postgresql://")
            for bad in ("sqlite:///", "mysql://a/b")
        ],
        ("DATABASE_URL", "postgresql://db.example.com", "needs postgresql://USER"),
        ("DATABASE_URL", "postgresql://db.example.com/a?sslmode=require", "needs sslmode=verify-full"),
        *[("BLOBS_URL", bad, "needs file:PATH, or s3://bucket") for bad in ("file:", "var/blobs")],
        *[("DATABASE_POOL", bad, "whole number from 1 to 100") for bad in ("0", "101", "many")],
        ("DATABASE_POOLER", "session", "needs none or transaction"),
        ("MIGRATE", "always", "needs start or never"),
        ("BLOBS_URL", "https://bucket/prefix", "needs file:PATH, or s3://bucket/prefix"),
        ("BLOBS_URL", "s3://key:secret@bucket", "the credentials belong into AWS_ACCESS_KEY_ID"),
        ("BLOBS_URL", "s3://bucket?endpoint=http://s3.example", "the endpoint needs https"),
        *[("DRAIN_SECONDS", bad, "whole number from 0") for bad in ("-1", "1.5", "soon", "100000", "٣")],
        *[("WORKERS", bad, "whole number from 1 to 64") for bad in ("0", "65", "two")],
        *[("LEGACY_INSECURE", bad, "needs yes or no") for bad in ("true", "1", "YES")],
        ("LEGACY_URL", "michiq.hospital.local", "needs an address"),
        ("CONTENT_DAYS", "0", "whole number from 1"),
        ("AUDIO_DAYS", "0", "whole number from 1"),
        *[("SECRET_KEYS", bad, "make one: python3") for bad in ("short", KEY[:-1], f"{KEY},{'+' * 43}=")],
        ("SECRET_KEYS", f"{KEY},", "none may be empty"),
        ("WEBHOOK_SECRETS", "one,,two", "none may be empty"),
        ("WEBHOOK_SECRETS", "ñandú", "needs ASCII"),
    ],
)
def test_a_wrong_value_is_answered_with_the_setting_and_the_mend(name: str, value: str, said: str) -> None:
    [problem] = problems(**{name: value})
    assert problem.startswith(f"MICHIQ_{name} ")
    assert said in problem


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://chat.example.com", "needs https"),
        ("http://127.0.0.1.example.com", "needs https"),
        ("http://10.0.0.1", "needs https"),
        ("https://user:secret@chat.example.com", "no user name"),
        ("https://chat.example.com?a=b", "query"),
        ("https://chat.example.com#a", "fragment"),
        ("chat.example.com", "needs an address"),
        ("ftp://chat.example.com", "needs an address"),
        ("https://", "needs an address"),
        ("https://chat.example.com:99999", "needs an address"),
        ("https://[chat]", "needs an address"),
        ("https://chat\\.example.com", "needs an address"),
        ("https://chat.example .com", "needs an address"),
    ],
)
@pytest.mark.parametrize("name", ["LLAMACHAT_URL", "LLAMALITICA_API_URL", "LLAMALITICA_WEB_URL", "TEE_URL"])
def test_settings_X01_a_url_that_is_not_safe_to_call_is_refused(name: str, url: str, said: str) -> None:
    [problem] = problems(LLAMACHAT_API_KEY="key", **{"LLAMACHAT_URL": "https://chat.example.com", name: url})
    assert problem.startswith(f"MICHIQ_{name} ")
    assert said in problem


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8102", "http://127.8.9.1", "http://[::1]:1", "http://localhost:81/v1"]
)
def test_settings_X01_http_is_allowed_to_this_machine_itself(url: str) -> None:
    assert load(LLAMACHAT_URL=url + "/", LLAMACHAT_API_KEY="key").llamachat_url == url


@pytest.mark.parametrize(
    "host",
    [
        "10.0.0.1",
        "172.31.9.9",
        "192.168.1.2",
        "169.254.1.1",
        "100.64.0.1",
        "[fd00::1]",
        "[fe80::1]",
        "127.0.0.1",
        "[::ffff:10.0.0.1]",
        "michiq.hospital.local",
    ],
)
def test_settings_X01_plain_http_to_an_old_server_nearby_is_allowed_where_it_is_asked_for(host: str) -> None:
    url = f"http://{host}:8080/old"
    assert load(LEGACY_URL=url + "/", LEGACY_INSECURE="yes").legacy_url == url


@pytest.mark.parametrize("host", ["10.0.0.1", "michiq.hospital.local", "203.0.113.9"])
@pytest.mark.parametrize("given", [{}, {"LEGACY_INSECURE": "no"}], ids=["unset", "no"])
def test_settings_X01_plain_http_to_an_old_server_is_refused_unasked(
    host: str, given: dict[str, str]
) -> None:
    assert problems(LEGACY_URL=f"http://{host}", **given) == (
        "MICHIQ_LEGACY_URL needs https, or MICHIQ_LEGACY_INSECURE=yes in a closed network",
    )


@pytest.mark.parametrize(
    "host",
    [
        "203.0.113.9",
        "172.32.0.1",
        "100.128.0.1",
        "192.169.0.1",
        "11.0.0.1",
        "0.0.0.0",
        "[2001:db8::1]",
        "[::ffff:8.8.8.8]",
        "[::]",
        "[64:ff9b::a00:1]",
    ],
)
def test_settings_X01_plain_http_to_a_public_address_is_refused_even_when_asked_for(host: str) -> None:
    assert problems(LEGACY_URL=f"http://{host}", LEGACY_INSECURE="yes") == (
        "MICHIQ_LEGACY_URL needs https: its address is not a private one",
    )


def test_settings_X01_the_word_for_the_old_server_allows_no_other_plain_http() -> None:
    for name in ("LLAMALITICA_API_URL", "LLAMALITICA_WEB_URL", "LLAMACHAT_URL", "TEE_URL", "ALERT_URL"):
        given = {"LLAMACHAT_URL": "https://chat.example.com", name: "http://10.0.0.1"}
        [problem] = problems(LEGACY_INSECURE="yes", LLAMACHAT_API_KEY="key", **given)
        assert problem.startswith(f"MICHIQ_{name} needs https")


def test_settings_W04_the_path_of_a_consumer_is_kept_as_it_is() -> None:
    assert load().tee_url is None
    assert load(TEE_URL="https://own.example.com/hooks/").tee_url == "https://own.example.com/hooks/"


@pytest.mark.parametrize(
    "pair",
    [
        {},
        PRIVATE,
        {"LLAMALITICA_API_URL": "http://127.0.0.1:8101", "LLAMALITICA_WEB_URL": "http://127.0.0.1:8101"},
        {
            "LLAMALITICA_API_URL": "https://API.Llamalitica.com",
            "LLAMALITICA_WEB_URL": "https://llamalitica.com.",
        },
        {"LLAMALITICA_API_URL": "https://a.example.com", "LLAMALITICA_WEB_URL": "https://notllamalitica.com"},
    ],
)
def test_settings_X01_a_pair_of_hosts_is_served(pair: dict[str, str]) -> None:
    assert load(**pair).llamalitica_api_url.lower().startswith("http")


@pytest.mark.parametrize(
    "pair",
    [
        {"LLAMALITICA_API_URL": PRIVATE["LLAMALITICA_API_URL"]},
        {"LLAMALITICA_WEB_URL": PRIVATE["LLAMALITICA_WEB_URL"]},
        {
            "LLAMALITICA_API_URL": "https://llamalitica.com",
            "LLAMALITICA_WEB_URL": "https://api.llamalitica.com",
        },
        {"LLAMALITICA_API_URL": "https://api.llamalitica.com."}
        | {"LLAMALITICA_WEB_URL": "https://a.example.com"},
        {"LLAMALITICA_API_URL": "https://api2.llamalitica.com"},
        {"LLAMALITICA_API_URL": "http://localhost:8101"},
    ],
)
def test_settings_X01_hosts_that_are_no_pair_are_refused(pair: dict[str, str]) -> None:
    [problem] = problems(**pair)
    assert "MICHIQ_LLAMALITICA_API_URL and MICHIQ_LLAMALITICA_WEB_URL" in problem
    assert "https://api.private.llamalitica.com with https://private.llamalitica.com" in problem


@pytest.mark.parametrize(
    "given", [{"LLAMACHAT_URL": "https://chat.example.com"}, {"LLAMACHAT_API_KEY": "key"}]
)
def test_llamachat_is_set_whole_or_not_at_all(given: dict[str, str]) -> None:
    assert problems(**given) == ("MICHIQ_LLAMACHAT_URL and MICHIQ_LLAMACHAT_API_KEY go together: set both",)


@pytest.mark.parametrize("given", [{"TLS_CERT": "proxy.crt"}, {"TLS_KEY": "proxy.key"}])
def test_a_certificate_is_set_with_its_key_or_not_at_all(given: dict[str, str]) -> None:
    assert problems(**given) == ("MICHIQ_TLS_CERT and MICHIQ_TLS_KEY go together: set both",)


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("MICHIQ_LISTN", "MICHIQ_LISTEN"),
        ("michiq_listen", "MICHIQ_LISTEN"),
        ("MICHIQ_KEYS", "MICHIQ_SECRET_KEYS"),
    ],
)
@pytest.mark.parametrize("where", ["environment", "file"])
def test_an_unknown_name_is_refused_with_the_nearest_one(
    name: str, nearest: str, where: str, tmp_path: Path
) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text(f"{name}=x\n" if where == "file" else "")
    environ = {"MICHIQ_SECRET_KEYS": KEY} | ({name: "x"} if where == "environment" else {})
    with pytest.raises(SettingsError) as caught:
        load_settings(environ, env_file)
    assert caught.value.problems == (f"{name} is not a setting; the nearest one is {nearest}",)


@pytest.mark.parametrize("service", ["", "_PROXY", "_PROXY_2", "_SERVICE", "_LISTEN"])
def test_settings_26_what_kubernetes_makes_of_a_service_is_no_misspelt_setting(service: str) -> None:
    """Uses the names in its documentation, for a Service called michiq, michiq-proxy and so on."""
    url, name = "tcp://10.0.0.11:8080", f"MICHIQ{service}"
    made = {
        f"{name}_SERVICE_HOST": "10.0.0.11",
        f"{name}_SERVICE_PORT": "8080",
        f"{name}_SERVICE_PORT_HTTP": "8080",
        f"{name}_SERVICE_PORT_HTTP_ADMIN_2": "9090",
        f"{name}_PORT": url,
        f"{name}_PORT_8080_TCP": url,
        f"{name}_PORT_8080_TCP_PROTO": "tcp",
        f"{name}_PORT_8080_TCP_PORT": "8080",
        f"{name}_PORT_8080_TCP_ADDR": "10.0.0.11",
        f"{name}_PORT_53_UDP": "udp://10.0.0.11:53",
        f"{name}_PORT_53_UDP_ADDR": "10.0.0.11",
        f"{name}_PORT_9_SCTP_PROTO": "sctp",
    }
    assert load_settings({"MICHIQ_SECRET_KEYS": KEY, **made}, None) == load()


def test_settings_26_what_a_docker_link_makes_of_a_container_is_no_misspelt_setting() -> None:
    made = {
        "MICHIQ_NAME": "/web/michiq",
        "MICHIQ_PORT": "tcp://172.17.0.5:8080",
        "MICHIQ_ENV_PYTHON_VERSION": "3.11",
        "MICHIQ_ENV_MICHIQ_LISTEN": "0.0.0.0:8080",
    }
    assert load_settings({"MICHIQ_SECRET_KEYS": KEY, **made}, None) == load()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "8080"),
        ("ADMIN_PORT", "9090"),
        ("LISTEN_PORT", "8080"),
        ("NAME", "proxy"),
        ("SERVICE", "10.0.0.11"),
        ("SERVICE_HOSTS", "10.0.0.11"),
        ("PORT_8080", "tcp://10.0.0.11:8080"),
        ("PORT_8080_TCP_ADDRESS", "10.0.0.11"),
        ("PORT_HTTP_TCP_ADDR", "10.0.0.11"),
    ],
)
def test_settings_26_what_only_looks_like_a_service_stays_a_mistake(name: str, value: str) -> None:
    [problem] = problems(**{name: value})
    assert problem.startswith(f"MICHIQ_{name} is not a setting; ")


def test_all_problems_are_told_at_once() -> None:
    found = problems(LISTEN="x", DRAIN_SECONDS="x", UNKNOWN="x")
    assert [line.split()[0] for line in found] == ["MICHIQ_UNKNOWN", "MICHIQ_LISTEN", "MICHIQ_DRAIN_SECONDS"]


def test_the_environment_goes_before_the_file_and_empty_means_unset(tmp_path: Path) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text(
        "# settings\nexport MICHIQ_AUDIO_DAYS=7\nMICHIQ_CONTENT_DAYS=8\nMICHIQ_DRAIN_SECONDS=9\n"
        "MICHIQ_WEBHOOK_SECRETS='a$b,c'\nOTHER=1\n"
    )
    settings = load(env_file, CONTENT_DAYS="10", DRAIN_SECONDS="")
    assert (settings.audio_days, settings.content_days, settings.drain_seconds) == (7, 10, 30)
    assert [secret.get_secret_value() for secret in settings.webhook_secrets] == ["a$b", "c"]


@pytest.mark.parametrize(
    "database", ["sqlite:////data/michiq.db", "postgresql://ana:pw@db.example.com/michiq"]
)
@pytest.mark.parametrize("blobs", ["file:/data/blobs", "s3://bucket/prefix"])
def test_either_database_goes_with_either_store_of_recordings(database: str, blobs: str) -> None:
    settings = load(DATABASE_URL=database, BLOBS_URL=blobs)
    assert (settings.database_url.get_secret_value(), settings.blobs_url) == (database, blobs)


def test_settings_G10_the_password_of_the_database_is_never_shown() -> None:
    settings = load(DATABASE_URL=f"postgresql://ana:{CANARY}@db.example.com/michiq")
    assert CANARY not in f"{settings!r} {settings} {store_options(settings, {})!r}"


def test_the_options_of_the_store_are_those_of_the_settings() -> None:
    url = "postgresql://ana:pw@db.example.com/michiq"
    more = {"DATABASE_POOL": "3", "DATABASE_POOLER": "transaction", "MIGRATE": "never", "CA_FILE": "ca.pem"}
    assert store_options(load(DATABASE_URL=url, BLOBS_URL="s3://bucket", **more), {}) == StoreOptions(
        database_url=url,
        blobs_url="s3://bucket",
        pool=3,
        pooler="transaction",
        migrate="never",
        here=Surroundings({}, Path("ca.pem")),
    )
    assert store_options(load(), {}) == StoreOptions(
        database_url="sqlite:///var/michiq.db", blobs_url="file:var/blobs"
    )


def test_the_options_say_where_postgresql_is() -> None:
    far = store_options(load(DATABASE_URL="postgresql://db.example.com/michiq"), {}).postgresql
    assert (str(far), store_options(load(), {}).postgresql) == ("postgresql://db.example.com/michiq", None)


SECRETS: Final = {
    "SECRET_KEYS": KEY,
    "LLAMACHAT_API_KEY": "chat-key",
    "TESTER_SECRET": "tester",
    "ADMIN_TOKENS": "ana:0123456789abcdef",
    "WEBHOOK_SECRETS": "one,two",
    "DATABASE_URL": "sqlite:///elsewhere.db",
    "OUTBOUND_PROXY": "http://ana:secret@proxy.example:3128",
    "ALERT_SECRET": "alert",
}
# The settings that go with secrets.
WITH: Final = {
    "LLAMACHAT_URL": "https://chat.example.com",
    "ALERT_URL": "https://alerts.example.com/michiq",
}


def test_settings_31_every_secret_and_the_database_can_stand_in_a_file() -> None:
    secret = [
        name
        for name, field in Settings.model_fields.items()
        if re.search("SecretStr|OperatorToken", repr(field.annotation))
    ]
    assert {each.lower() for each in SECRETS} == {*secret, "database_url"} == set(IN_FILES)


@pytest.mark.parametrize("end", ["", "\n", "\r\n"], ids=["no end", "LF", "CRLF"])
@pytest.mark.parametrize("where", ["environment", "file"])
def test_settings_31_a_secret_is_its_files_content_without_the_last_line_end(
    tmp_path: Path, end: str, where: str
) -> None:
    files = {f"MICHIQ_{name}_FILE": str(tmp_path / name) for name in SECRETS}
    for name, value in SECRETS.items():
        (tmp_path / name).write_bytes(value.encode() + end.encode())
    env_file = tmp_path / ".env"
    env_file.write_text("".join(f"{n}={v}\n" for n, v in files.items()) if where == "file" else "")
    environ = {**{f"MICHIQ_{n}": v for n, v in WITH.items()}, **(files if where == "environment" else {})}
    assert load_settings(environ, env_file) == load(**SECRETS, **WITH)


def test_settings_31_only_the_last_line_end_is_none_of_the_secret(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("one\n\n")
    assert problems(TESTER_SECRET_FILE=str(tmp_path / "secret")) == (
        "MICHIQ_TESTER_SECRET needs ASCII letters, digits and punctuation, without spaces, and none may be "
        "empty",
    )


@pytest.mark.parametrize("name", SECRETS)
def test_settings_31_a_secret_that_is_given_twice_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "secret").write_text(SECRETS[name])
    given = {
        **WITH,
        "LLAMACHAT_API_KEY": "key",
        "ALERT_SECRET": "alert",
        name: SECRETS[name],
        f"{name}_FILE": str(tmp_path / "secret"),
    }
    assert problems(**given) == (
        f"MICHIQ_{name} and MICHIQ_{name}_FILE are both set: keep one, set the other to nothing",
    )
    assert load(**given | {name: ""}) == load(**given | {f"{name}_FILE": ""})


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "names a file that can't be read: No such file or directory"),
        (b"", "names an empty file"),
        (b"\n", "names an empty file"),
        (CANARY.encode() + b"\xff", "names a file that is not UTF-8 text"),
    ],
    ids=["no file", "nothing", "a line end", "bytes"],
)
def test_settings_31_a_file_without_a_secret_is_refused_by_the_settings_name(
    tmp_path: Path, content: bytes | None, said: str
) -> None:
    """Never shows the file's own name: a secret that was pasted there by mistake must not get into a log."""
    path = tmp_path / CANARY
    if content is not None:
        path.write_bytes(content)
    found = problems(SECRET_KEYS="", SECRET_KEYS_FILE=str(path))
    assert found == (f"MICHIQ_SECRET_KEYS_FILE {said}",)


def test_settings_31_a_setting_that_is_no_secret_has_no_file() -> None:
    assert problems(LISTEN_FILE="x") == (
        "MICHIQ_LISTEN_FILE is not a setting; the nearest one is MICHIQ_LISTEN",
    )


def test_settings_31_a_commands_own_secret_goes_over_one_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("no key")
    environ = {"MICHIQ_SECRET_KEYS_FILE": str(tmp_path / "key"), **without_files({"MICHIQ_SECRET_KEYS": KEY})}
    assert load_settings(environ, None) == load()


def test_a_file_that_is_not_there_sets_nothing(tmp_path: Path) -> None:
    assert load(tmp_path / ".env") == load()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"MICHIQ_LISTEN\n", ".env, line 1: not NAME=value"),
        (b"OTHER=1\n='" + CANARY.encode() + b"\n", ".env, line 2: not NAME=value"),
        (b"MICHIQ_LISTEN=\xff\n", ".env can't be read: it must be a UTF-8 text file"),
    ],
)
def test_a_broken_file_is_refused_by_name_and_line(content: bytes, said: str, tmp_path: Path) -> None:
    env_file = tmp_path / ".env"
    env_file.write_bytes(content)
    assert problems(env_file) == (said,)


def test_settings_G10_no_value_of_a_secret_is_ever_shown() -> None:
    settings = load(
        LLAMACHAT_URL="https://chat.example.com", LLAMACHAT_API_KEY=CANARY, WEBHOOK_SECRETS=f"{CANARY},b"
    )
    shown = f"{settings!r} {settings}"
    assert CANARY not in shown
    assert KEY not in shown


@pytest.mark.parametrize("name", sorted(set(Settings.model_fields) - PATHS))
def test_settings_G10_no_complaint_repeats_the_value(name: str) -> None:
    """Protects a key that was pasted into the wrong line: it must not end in a terminal or a ticket."""
    assert CANARY not in " ".join(problems(**{name.upper(): f"{CANARY} é"}))


def test_settings_do_not_change_once_read() -> None:
    with pytest.raises(ValidationError):
        load().drain_seconds = 1


def test_the_table_of_the_page_has_a_row_for_every_setting() -> None:
    rows = settings_table().splitlines()[2:]
    assert [row.split("`")[1].removeprefix("MICHIQ_").lower() for row in rows] == list(Settings.model_fields)
    assert "| `MICHIQ_CONTENT_DAYS` | `90` | retention of texts, in days |" in rows


def test_admin_tokens_are_named_and_told_to_nobody() -> None:
    settings = load(ADMIN_TOKENS="ana:0123456789abcdef, noche:fedcba9876543210:read, eva:a:read:with:colons")
    tokens = settings.admin_tokens.items()
    assert {name: (each.secret.get_secret_value(), each.reads_only) for name, each in tokens} == {
        "ana": ("0123456789abcdef", False),
        "noche": ("fedcba9876543210", True),
        "eva": ("a:read:with:colons", False),
    }
    assert "0123456789abcdef" not in repr(settings)


@pytest.mark.parametrize(
    ("tokens", "said"),
    [
        ("ana", "needs name:token"),
        ("ana:short", "at least 16 characters"),
        ("ana:elevenchars:read", "at least 16 characters"),
        ("ana:0123456789abcdef,eva:0123456789abcdef:read", "twice"),
        (":0123456789abcdef", "needs name:token"),
        ("ana:0123456789abcdef,ana:fedcba9876543210", "twice"),
        ("ana:0123456789abcdef,eva:0123456789abcdef", "twice"),
        ("proxy:0123456789abcdef", "the audit uses it for the process itself"),
    ],
)
def test_admin_tokens_that_could_be_mistaken_are_refused(tokens: str, said: str) -> None:
    [problem] = problems(ADMIN_TOKENS=tokens)
    assert problem.startswith("MICHIQ_ADMIN_TOKENS ")
    assert said in problem
    assert "0123456789abcdef" not in problem


def test_the_hosts_that_get_traces_are_those_of_upstreams() -> None:
    urls = {"LLAMACHAT_URL": "https://Chat.example.com:8443/v1", "LLAMACHAT_API_KEY": "key"}
    trace_to = load(**urls, TRACE_TO="chat.Example.com, api.llamalitica.com").trace_to
    assert trace_to == ("chat.example.com", "api.llamalitica.com")
    assert load().trace_to == ()


@pytest.mark.parametrize(
    ("hosts", "said"),
    [
        ("https://api.llamalitica.com", "MICHIQ_TRACE_TO needs hosts such as api.example.com"),
        ("api.llamalitica.com,", "MICHIQ_TRACE_TO needs hosts such as api.example.com"),
        ("api.llamalitica.com,llamalitica.com", "MICHIQ_TRACE_TO names a host that none of"),
        ("api.llamalitica.com:443", "MICHIQ_TRACE_TO names a host that none of"),
    ],
)
def test_a_host_that_is_no_upstreams_is_refused(hosts: str, said: str) -> None:
    [problem] = problems(TRACE_TO=hosts)
    assert problem.startswith(said)
