"""`michiq-proxy copy-store`: what an operator types, sees, and never sees."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from proxy.cli.copy_store.run import progress_sentence, reporter, seconds_left, sentences
from proxy.store.audit.chain import AuditVerdict
from proxy.store.copy_note import UNFINISHED_COPY
from proxy.store.upkeep.copying import Copied, Progress
from tests.conftest import ROOT
from tests.postgresql import Postgresql
from tests.store.examples import KEY
from tests.store.filled import expected, fill, found

from .filled import Site, said, site

SECRET: Final = "CANARY-7f3a"
UNFINISHED: Final = "a copy into this store is not finished"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    made = site(tmp_path, KEY, monkeypatch)
    made.fill(fill)
    return made


@pytest.fixture
def database(postgresql_server: Postgresql) -> Iterator[str]:
    """Yields the URL of an empty database, with a password."""
    name = asyncio.run(postgresql_server.new(template="template0"))
    yield postgresql_server.url(name).replace("postgres@", f"postgres:{SECRET}@")
    asyncio.run(postgresql_server.drop(name))


def command(folder: Path, *arguments: str, **environ: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "proxy", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environ},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_store_is_copied_and_served_there_and_the_password_shows_nowhere(
    here: Site, database: str, s3_url: str
) -> None:
    (here.folder / "to").write_text(database + "\n")
    done = command(
        here.folder, "copy-store", "--to-blobs", s3_url, "--json", MICHIQ_TO_DATABASE_URL_FILE="to"
    )
    assert done.returncode == 0, done.stderr
    counts = json.loads(done.stdout)
    assert (counts["blobs"], counts["lacking_in_source"], counts["audit_first_bad"]) == (2, 1, None)
    assert done.stderr.splitlines()[-1].startswith("store: postgresql://postgres@127.0.0.1:")
    assert SECRET not in done.stdout + done.stderr
    served = command(here.folder, "audit", "verify", MICHIQ_DATABASE_URL=database, MICHIQ_BLOBS_URL=s3_url)
    assert (served.returncode, "3 rows" in served.stdout) == (0, True), served.stderr


def test_it_says_what_it_copied_and_that_the_target_can_be_served(here: Site) -> None:
    result = here.call("copy-store", *_back())
    assert (result.exit_code, "the target can be served" in result.stdout) == (0, True), result.output
    assert "1 chunk of a recording was missing in the source already" in result.stdout
    assert result.stderr.endswith(f"store: {here.folder}/back/michiq.db\n")


def _back(folder: str = "back") -> tuple[str, ...]:
    return ("--to-database", f"sqlite:///{folder}/michiq.db", "--to-blobs", f"file:{folder}/blobs")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((), "--to-database is missing, and so is MICHIQ_TO_DATABASE_URL"),
        (("--to-database", "sqlite:///b.db"), "--to-blobs is missing, and so is MICHIQ_TO_BLOBS_URL"),
        (
            ("--to-database", f"postgresql://ana:{SECRET}@db.example.com", "--to-blobs", "file:b"),
            "--to-database needs postgresql://USER:PASSWORD@HOST/DATABASE",
        ),
        (
            ("--to-database", f"mysql://{SECRET}", "--to-blobs", "file:b"),
            "--to-database needs sqlite:///PATH",
        ),
        (("--to-database", "sqlite:///b.db", "--to-blobs", f"http://{SECRET}"), "--to-blobs needs file:PATH"),
        (("--to-database", "sqlite:///var/michiq.db", "--to-blobs", "file:b"), "that is to be copied"),
    ],
)
def test_addresses_that_can_not_be_meant_are_misuse(
    here: Site, arguments: tuple[str, ...], text: str
) -> None:
    result = here.call("copy-store", *arguments)
    assert (result.exit_code, text in said(result)) == (2, True), result.output
    assert SECRET not in result.output


def test_both_addresses_can_come_from_the_environment_which_disturbs_no_other_command(
    here: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MICHIQ_TO_DATABASE_URL", "sqlite:///back/michiq.db")
    monkeypatch.setenv("MICHIQ_TO_BLOBS_URL", "file:back/blobs")
    assert here.call("copy-store").exit_code == 0
    assert here.call("mode").exit_code == 0
    again = here.call("copy-store")
    assert (again.exit_code, "the target is not empty" in again.stderr) == (1, True)


def test_a_folder_without_a_store_is_said_so(here: Site) -> None:
    (here.folder / "var" / "michiq.db").unlink()
    result = here.call("copy-store", *_back())
    assert (result.exit_code, "there is no store at" in result.stderr) == (1, True)


def test_a_copy_is_what_was_copied(here: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    assert here.call("copy-store", *_back("var2")).exit_code == 0
    (here.folder / "var").rename(here.folder / "old")
    (here.folder / "var2").rename(here.folder / "var")

    async def compared(store: object) -> None:
        assert await found(store) == expected(store)  # type: ignore[arg-type]

    here.fill(compared)


def test_progress_comes_at_most_once_a_second_with_the_time_that_is_left(
    capsys: pytest.CaptureFixture[str],
) -> None:
    times = iter([0.0, 0.5, 0.9, 1.5, 2.0, 9.5])
    report = reporter(lambda: next(times))
    for done in (100, 200, 300, 400):
        report(Progress(0, done, 1100))
    report(Progress(1, 1, 3, 1_000_000, 5_000_000))
    assert capsys.readouterr().err.splitlines() == [
        "step 1 of 4, rows copied: 300 of 1,100, 4 s left in this step",
        "step 2 of 4, recordings copied: 1 of 3 (1 of 5 MB)",
    ]


@pytest.mark.parametrize(
    ("first", "now", "left"),
    [
        (Progress(0, 0, 100), Progress(0, 25, 100), 30.0),
        (Progress(1, 0, 10, 0, 100), Progress(1, 5, 10, 10, 100), 90.0),
        (Progress(1, 0, 10, 0, 100), Progress(1, 1, 10, 90, 100), 90.0),
        (Progress(1, 3, 10, 0, 0), Progress(1, 3, 10, 0, 0), None),
    ],
)
def test_the_time_left_follows_what_goes_slower(first: Progress, now: Progress, left: float | None) -> None:
    assert seconds_left(10.0, first, now) == left


@pytest.mark.parametrize(("left", "text"), [(119, "119 s"), (180, "3 min"), (9000, "2 h 30 min")])
def test_a_long_time_is_said_in_minutes_and_hours(left: float, text: str) -> None:
    sentence = progress_sentence(Progress(2, 1, 2), left)
    assert sentence == f"step 3 of 4, rows compared: 1 of 2, {text} left in this step"


def test_the_page_about_several_machines_shows_what_is_printed() -> None:
    page = (ROOT / "docs" / "scale.md").read_text("utf-8")
    copied = Copied(200_033, 3_002, 659_400_031, 0, AuditVerdict(11, 11, ""))
    assert page.count(f"\n{sentences(copied)}\n") == 2
    assert f"\n{progress_sentence(Progress(0, 21_000, 200_033), 18.2)}\n" in page
    assert UNFINISHED_COPY.startswith(UNFINISHED)
    assert f'"{UNFINISHED}"' in page
