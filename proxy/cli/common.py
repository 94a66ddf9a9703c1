"""Reads settings and mappings for the commands, and complains clearly when something is wrong with them."""

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from proxy import shipped

# Every command imports this module. The functions import the application: it takes most of a second, and not
# every command needs it.
if TYPE_CHECKING:
    from proxy.mapping.table import Table
    from proxy.settings import Settings

ENV_FILE: Final = Path(".env")


class Failure(click.ClickException):
    """Ends a command with a sentence for a person, and an exit code for a program."""

    exit_code = 1


class Misuse(Failure):
    """Ends a command that can't be done as it was asked: a setting is wrong, or a folder is missing."""

    exit_code = 2


@contextmanager
def no_collections() -> Iterator[None]:
    """Switches the garbage collector off: it finds nothing in modules, and takes a sixth of their imports."""
    on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if on:
            gc.enable()


def read_settings(**fixed: str) -> "Settings":
    """Returns the settings of the environment and `.env`; `fixed` ones are the command's own.

    Raises Misuse when a setting is wrong.
    """
    from proxy.settings import SettingsError, load_settings, without_files

    try:
        return load_settings({**os.environ, **without_files(fixed)}, ENV_FILE)
    except SettingsError as error:
        raise Misuse(str(error)) from None


def mappings_folder(given: Path | None) -> Path:
    """Returns the folder that was named, else `mappings` here, else the built-in one.

    Raises Misuse when the named folder doesn't exist.
    """
    if given is not None:
        if not given.is_dir():
            raise Misuse(f"MICHIQ_MAPPINGS: there is no folder {given}")
        return given
    here = Path("mappings")
    return here if here.is_dir() else shipped.mappings()


def read_table(folder: Path, *, has_legacy: bool = True) -> "Table":
    from proxy.flows.registry import SPECS
    from proxy.mapping.loader import MappingError, load_table

    try:
        return load_table(folder, SPECS, has_legacy=has_legacy)
    except MappingError as error:
        raise Failure(f"{folder} can't be served:\n{error}") from None


def named_organizations(settings: "Settings") -> set[str]:
    """Returns the legacy names in organizations.toml; none when the mapping files can't be read."""
    try:
        return {*read_table(mappings_folder(settings.mappings)).organizations.known}
    except Failure:
        return set()
