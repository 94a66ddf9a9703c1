"""Writes var/demo.env: what a shell needs to run the commands against a running demo."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from proxy.cli.demo.case import API_KEY, ORGANIZATION, OTHER_USER, USER
from proxy.settings import Settings, without_files
from proxy.store.locations import blobs_folder, database_path
from proxy.web.service import Running

_HEAD: Final = """\
# Made by `michiq-proxy demo` for the commands that look at it. In a shell:
#   set -a; . {path}; set +a
# It holds the demo's keys. Nobody else may read it.
"""


def demo_environment(
    fixed: Mapping[str, str], settings: Settings, folder: Path, proxy: Running
) -> dict[str, str]:
    """Returns the variables for a shell in any folder; `fixed` are the settings that the demo itself made.

    The CONTRACT_ ones are for `michiq-proxy contract`.
    """
    made = {
        **fixed,
        "MICHIQ_DATABASE_URL": f"sqlite:///{database_path(settings.database_url).absolute()}",
        "MICHIQ_BLOBS_URL": f"file:{blobs_folder(settings.blobs_url).absolute()}",
        "MICHIQ_MAPPINGS": str(folder.absolute()),
        "MICHIQ_ADMIN_LISTEN": urlsplit(proxy.admin_url).netloc,
        "CONTRACT_TARGET": proxy.url,
        "CONTRACT_API_KEY": API_KEY,
        "CONTRACT_ORGANIZATION": ORGANIZATION,
        "CONTRACT_USER": USER,
        "CONTRACT_OTHER_USER": OTHER_USER,
    }
    return without_files(made)


def write_environment(path: Path, environment: Mapping[str, str]) -> None:
    """Writes the variables as a shell reads them, into a file of mode 0600, in one step."""
    lines = "".join(f"{name}={shlex.quote(value)}\n" for name, value in environment.items())
    unfinished = path.with_suffix(".new")
    unfinished.unlink(missing_ok=True)
    unfinished.touch(mode=0o600, exist_ok=False)
    unfinished.write_text(_HEAD.format(path=path) + lines, "utf-8")
    unfinished.replace(path)
