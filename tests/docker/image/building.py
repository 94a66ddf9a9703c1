"""Builds docker/Dockerfile by buildah without an image registry, and runs the image as an engine would."""

import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from tests.conftest import ROOT

HERE: Final = Path(__file__).parent
LOCKS: Final = ("requirements-scale.lock", "requirements-build.lock")
_CACHE: Final = Path(os.environ.get("XDG_CACHE_HOME") or "/var/cache") / "michiq-proxy"
_TAG: Final = "michiq-proxy"


def output(*command: str | Path, cwd: Path | None = None, environ: Mapping[str, str] | None = None) -> str:
    """Returns what a program wrote to stdout. Raises AssertionError with all that it wrote if it failed."""
    ran = subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, **(environ or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert ran.returncode == 0, f"{command[0]} ended with {ran.returncode}:\n{ran.stdout}\n{ran.stderr}"
    return ran.stdout


@dataclass(frozen=True, slots=True)
class Image:
    """A built image: its files, and what an engine is to do with them."""

    root: Path
    config: dict[str, Any]

    @property
    def command(self) -> list[str]:
        """Returns the command line that the image starts with."""
        found: list[str] = self.config["Entrypoint"] + self.config["Cmd"]
        return found

    @property
    def healthcheck(self) -> list[str]:
        """Returns the command line that says whether a container is healthy."""
        form: str
        command: list[str]
        form, *command = self.config["Healthcheck"]["Test"]
        assert form == "CMD"
        return command

    def environ(self, **more: str) -> dict[str, str]:
        """Returns the image's own environment and `more`; nothing of this process's."""
        return {**dict(entry.split("=", 1) for entry in self.config["Env"]), **more}

    def started(self, command: Sequence[str]) -> list[str]:
        """Returns the command line that runs a command in the image."""
        uid, gid = self.config["User"].split(":")
        separate = ("unshare", "--mount", "--pid", "--fork", "--kill-child")
        return [*separate, "sh", str(HERE / "run.sh"), str(self.root), uid, gid, *command]


@contextmanager
def built(folder: Path, context: Path) -> Iterator[Image]:
    """Builds the image of `context` with all state in `folder`, and yields it with its files unpacked."""
    # vfs and chroot ask the least of the machine that builds.
    where = ("buildah", "--root", folder / "store", "--runroot", folder / "run", "--storage-driver", "vfs")
    try:
        yield _built(where, folder, context)
    finally:
        shutil.rmtree(folder)


def _built(where: tuple[str | Path, ...], folder: Path, context: Path) -> Image:
    base = _base()
    home = folder / "home"
    (home / ".config/pip").mkdir(parents=True)
    (home / ".config/pip/pip.conf").write_text("[global]\nno-index = true\nfind-links = /mnt\n")
    wheels = _wheels(folder / "wheels")
    build = (*where, "bud", "--isolation", "chroot", "--format", "docker", "--quiet")
    (folder / "Dockerfile").write_text(f"FROM scratch\nADD {base.name} /\n")
    output(*build, "--tag", "base", "--file", folder / "Dockerfile", base.parent)
    # Over folders that the base has, for the time of the build alone: nothing of them is in a layer.
    mounts = ("--volume", f"{home}:/root:ro", "--volume", f"{wheels}:/mnt:ro")
    stand_in = ("--build-arg", "BASE=localhost/base")
    output(*build, *mounts, *stand_in, "--tag", _TAG, "--file", context / "docker/Dockerfile", context)
    config = json.loads(output(*where, "inspect", "--type", "image", _TAG))["Docker"]["config"]
    container = output(*where, "from", "--pull-never", _TAG).strip()
    return Image(Path(output(*where, "mount", container).strip()), config)


def committed(context: Path) -> None:
    """Copies the files of the repository: those that are committed, and new ones."""
    listed = output("git", "-c", f"safe.directory={ROOT}", "ls-files", "-co", "--exclude-standard", cwd=ROOT)
    for name in listed.splitlines():
        if (ROOT / name).is_file():
            (context / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, context / name)


def _base() -> Path:
    """Returns the stand-in for the base image; it is made once, and stays in the system's cache."""
    suite = platform.freedesktop_os_release()["VERSION_CODENAME"]
    found = _CACHE / f"base-{suite}-{platform.machine()}.tar"
    if not found.exists():
        found.parent.mkdir(parents=True, exist_ok=True)
        pip = find_spec("pip")
        assert pip is not None
        assert pip.origin is not None
        folder = Path(pip.origin).parent.parent
        made = ("sh", HERE / "base.sh", suite, _mirror(suite), folder, found)
        output(*made, environ=_apt_proxy())
    return found


def _mirror(suite: str) -> str:
    """Returns the mirror from which apt gets the system's own release here."""
    form = "$(REPO_URI) $(RELEASE) $(CODENAME)"  # such as stable and bookworm
    targets = output("apt-get", "indextargets", "--format", form, "Created-By: Packages")
    mirrors = [uri for uri, *names in map(str.split, targets.splitlines()) if suite in names]
    assert mirrors, f"apt has no source of {suite}"
    return mirrors[0]


def _apt_proxy() -> dict[str, str]:
    """Returns the proxy that apt is told to use, as debootstrap's own download reads it."""
    proxy = output("apt-config", "dump", "--format", "%v", "Acquire::http::Proxy")
    return {"http_proxy": proxy} if proxy else {}


def _wheels(folder: Path) -> Path:
    """Downloads what the image's locks name, by this machine's configuration of pip, which stays outside."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "download"]
    locks = [part for lock in LOCKS for part in ("--requirement", str(ROOT / lock))]
    output(*pip, "--require-hashes", "--only-binary", ":all:", "--no-deps", "--dest", str(folder), *locks)
    return folder
