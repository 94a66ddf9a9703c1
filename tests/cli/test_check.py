"""`check`: settings and mapping files against each other, warnings apart from errors, and `--online`."""

import asyncio
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.seaweedfs import CREDENTIALS, SeaweedFS

from .filled import Site, nothing, said, site

ORGANIZATION = '[organizations."Clínica Norte"]\nsend_as = "norte"\n'
WHOLE = {
    "LLAMACHAT_URL": "https://127.0.0.1:1",
    "LLAMACHAT_API_KEY": "k" * 20,
    "WEBHOOK_SECRETS": "s" * 20,
    "LLAMALITICA_API_URL": "https://127.0.0.1:1",
    "LLAMALITICA_WEB_URL": "https://127.0.0.1:1",
}


@pytest.fixture
def here(tmp_path: Path, secret_key: str, monkeypatch: pytest.MonkeyPatch) -> Site:
    """Returns a site whose settings miss nothing."""
    made = site(tmp_path, secret_key, monkeypatch)
    for name, value in WHOLE.items():
        monkeypatch.setenv(f"MICHIQ_{name}", value)
    return made


def judged(here: Site, *options: str) -> Any:
    return json.loads(here.call("check", "--json", *options).stdout)


def test_whole_settings_with_whole_files_are_all_good(here: Site) -> None:
    result = here.call("check")
    assert (result.exit_code, result.output) == (0, "mappings: 7 routes, all good\n")


@pytest.mark.parametrize("mode", ["legacy", "shadow", "canary"])
def test_a_mode_that_needs_the_legacy_server_is_an_error_without_one(
    here: Site, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    here.edit("query.toml", 'mode = "new"', f'mode = "{mode}"')
    result = here.call("check")
    assert (result.exit_code, f"mode: {mode} needs MICHIQ_LEGACY_URL" in said(result)) == (1, True)
    monkeypatch.setenv("MICHIQ_LEGACY_URL", "https://127.0.0.1:1")
    assert here.call("check").exit_code == 0


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("new_case.toml", "", '\n[organizations."Clinica Norte".templates]\n"1" = "agent"\n'),
        ("query.toml", "", '\n[canary]\nallow = ["Clinica Norte"]\n'),
        ("doc.toml", "", '\n[canary]\ndeny = ["Clinica Norte"]\n'),
    ],
    ids=["templates", "allow", "deny"],
)
def test_an_organization_that_no_file_knows_is_a_warning_with_its_place_and_the_one_meant(
    here: Site, file: str, old: str, new: str
) -> None:
    here.edit("organizations.toml", "", ORGANIZATION)
    here.edit(file, old, new)
    found = judged(here)
    assert (found["ok"], found["complaints"]) == (True, [])
    (warning,) = found["warnings"]
    lines = (here.folder / "mappings" / file).read_text("utf-8").splitlines()
    assert (warning["file"], "Clinica Norte" in lines[warning["line"] - 1]) == (file, True)
    assert warning["reason"].endswith("does not name Clinica Norte; did you mean Clínica Norte?")


@pytest.mark.parametrize(
    ("missing", "modes"), [("LLAMACHAT", ("query", "speech_to_text")), ("WEBHOOK_SECRETS", ("new_case",))]
)
def test_what_a_route_on_the_new_side_needs_is_warned_of_only_there(
    here: Site, missing: str, modes: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in WHOLE:
        if name.startswith(missing):
            monkeypatch.delenv(f"MICHIQ_{name}")
    result = here.call("check")
    assert (result.exit_code, f"warning: MICHIQ_{missing}" in said(result)) == (0, True)
    for route in modes:
        here.edit(f"{route}.toml", 'mode = "new"', 'mode = "off"')
    assert judged(here)["warnings"] == []


def test_a_wrong_setting_is_an_error_beside_those_of_the_files(
    here: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MICHIQ_LISTNE", "x")
    here.edit("query.toml", 'mode = "new"', 'mode = "nwe"')
    result = here.call("check")
    assert (result.exit_code, result.stdout) == (1, "2 errors\n")
    assert "MICHIQ_LISTNE is not a setting; the nearest one is MICHIQ_LISTEN" in said(result)


def test_a_certificate_that_can_not_be_served_is_an_error(
    here: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MICHIQ_TLS_CERT", str(tmp_path / "none.pem"))
    monkeypatch.setenv("MICHIQ_TLS_KEY", str(tmp_path / "none.pem"))
    assert "MICHIQ_TLS_CERT" in said(here.call("check"))


@pytest.fixture
def silent() -> Iterator[str]:
    """Yields the URL of a server that accepts connections, and sends nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def test_online_names_a_host_that_is_not_known_one_that_is_not_there_and_a_missing_store(
    here: Site, silent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LLAMALITICA_API_URL", "LLAMALITICA_WEB_URL"):
        monkeypatch.setenv(f"MICHIQ_{name}", silent)
    monkeypatch.setenv("MICHIQ_LEGACY_URL", "https://michiq.invalid")
    told = [each["reason"] for each in judged(here, "--online")["complaints"]]
    assert [each.split(":")[0] for each in told[:2]] == ["MICHIQ_LLAMACHAT_URL", "MICHIQ_LEGACY_URL"]
    assert "no connection to 127.0.0.1:1" in told[0]
    assert "michiq.invalid can't be resolved here" in told[1]
    assert "there is no store at" in told[2]
    here.fill(nothing)
    assert len(judged(here, "--online")["complaints"]) == 2


VERSIONED: Final = (
    b'<VersioningConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
    b"<Status>Enabled</Status></VersioningConfiguration>"
)


@pytest.fixture
def in_s3(here: Site, seaweedfs: SeaweedFS, monkeypatch: pytest.MonkeyPatch, silent: str) -> Site:
    """Returns a site with a store, whose settings name no bucket yet, and whose upstreams are there."""
    here.fill(nothing)
    for name in ("LLAMALITICA_API_URL", "LLAMALITICA_WEB_URL", "LLAMACHAT_URL"):
        monkeypatch.setenv(f"MICHIQ_{name}", silent)
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    return here


async def make_bucket(server: SeaweedFS, name: str, *, versioned: bool = False, locked: bool = False) -> None:
    async with server.client(name) as raw:
        await raw.call("PUT", headers={"x-amz-bucket-object-lock-enabled": "true"} if locked else {})
        if versioned:
            await raw.call("PUT", "", VERSIONED, {"versioning": ""})


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ({}, []),
        ({"versioned": True}, ["the bucket is versioned"]),
        ({"locked": True}, ["the bucket is versioned", "the bucket has object lock"]),
    ],
    ids=["plain", "versioned", "locked"],
)
def test_online_warns_of_a_bucket_that_stores_what_was_deleted(
    in_s3: Site,
    seaweedfs: SeaweedFS,
    monkeypatch: pytest.MonkeyPatch,
    kind: dict[str, bool],
    words: list[str],
) -> None:
    bucket = f"check-{'-'.join(kind) or 'plain'}"
    asyncio.run(make_bucket(seaweedfs, bucket, **kind))
    monkeypatch.setenv("MICHIQ_BLOBS_URL", seaweedfs.url("x", bucket))
    found = judged(in_s3, "--online")
    reasons = [each["reason"] for each in found["warnings"]]
    assert (found["ok"], found["complaints"]) == (True, [])
    assert [word in reason for word, reason in zip(words, reasons, strict=True)] == [True for _ in words]


def test_online_names_a_missing_bucket_once(
    in_s3: Site, seaweedfs: SeaweedFS, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MICHIQ_BLOBS_URL", seaweedfs.url("x", "missing"))
    (complaint,) = judged(in_s3, "--online")["complaints"]
    assert "there is no such bucket" in complaint["reason"]


@pytest.mark.parametrize("options", [(), ("--online",)], ids=["offline", "online"])
def test_missing_credentials_of_a_bucket_are_named_once(
    in_s3: Site, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    monkeypatch.setenv("MICHIQ_BLOBS_URL", "s3://audio")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    (complaint,) = judged(in_s3, *options)["complaints"]
    assert "set AWS_SECRET_ACCESS_KEY in the environment" in complaint["reason"]
