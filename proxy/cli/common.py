"""What several commands need: settings and mappings, or a clear word about what is wrong with them."""

import asyncio
import gc
import os
import signal
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, Final

import click
import uvloop

import proxy
from proxy.mapping.loader import MappingError, load_table
from proxy.mapping.table import Table
from proxy.settings import Settings, SettingsError, load_settings, without_files
from proxy.store import StoreError
from proxy.upstream.trust import BadAuthorities
from proxy.web.flows import SPECS
from proxy.web.listening import CantListen
from proxy.web.tls import BadCertificate

# Where the default mappings are: in the wheel inside the package, in a checkout beside it.
_PACKAGE: Final = Path(proxy.__file__).parent
_BUILT_IN: Final = (_PACKAGE / "default_mappings", _PACKAGE.parent / "mappings")

ENV_FILE: Final = Path(".env")


class Failure(click.ClickException):
    """Ends a command with a sentence for a person, and an exit code for a program."""

    exit_code = 1


class Misuse(Failure):
    """What was asked for can't be done as it was asked: a wrong setting, a folder that isn't there."""

    exit_code = 2


def read_settings(**fixed: str) -> Settings:
    """The settings of the environment and `.env`; `fixed` ones are the command's own."""
    try:
        return load_settings({**os.environ, **without_files(fixed)}, ENV_FILE)
    except SettingsError as error:
        raise Misuse(str(error)) from None


def mappings_folder(given: Path | None) -> Path:
    """The folder that was named, else `mappings` here, else the built-in one."""
    if given is not None:
        if not given.is_dir():
            raise Misuse(f"MICHIQ_MAPPINGS: there is no folder {given}")
        return given
    here = Path("mappings")
    return here if here.is_dir() else built_in_mappings()


def built_in_mappings() -> Path:
    return next(folder for folder in _BUILT_IN if folder.is_dir())


def read_table(folder: Path, *, has_legacy: bool = True) -> Table:
    try:
        return load_table(folder, SPECS, has_legacy=has_legacy)
    except MappingError as error:
        raise Failure(f"{folder} can't be served:\n{error}") from None


def organizations_known(settings: Settings) -> set[str]:
    """The legacy names that organizations.toml has; none where the mapping files can't be read."""
    try:
        return {*read_table(mappings_folder(settings.mappings)).organizations.known}
    except Failure:
        return set()


class Stop(asyncio.Event):
    """Set by the first SIGINT or SIGTERM; the next one ends the process at once, whatever is under way."""

    def __init__(self) -> None:
        super().__init__()
        self.at_once: Callable[[], None] = lambda: None  # what has to be done even then
        self._signalled = False

    def told(self, number: signal.Signals) -> None:
        # Not by whether it is set: who signals a whole group stops a worker twice, by its parent too.
        if self._signalled:
            self.at_once()
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        self._signalled = True
        self.set()


def run_until_stopped(work: Callable[[Stop], Coroutine[Any, Any, None]]) -> None:
    """Runs a server that ends when its event is set, as SIGINT and SIGTERM do."""

    async def main() -> None:
        _rest_collector()
        stop = Stop()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.told, number)
        await _told(work(stop))

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())


def _rest_collector() -> None:
    """The garbage collector holds everybody while it walks; that a large JSON text comes in makes it walk
    again and again. What is there from the start is left out, and it begins later."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(2_000, 10, 20)


def reload_on_hangup(reload: Callable[[], None]) -> None:
    """SIGHUP reads the mapping files again; call it inside the loop."""
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reload)


async def _told(work: Awaitable[None]) -> None:
    """Start-up errors in a sentence instead of a traceback."""
    try:
        await work
    except (StoreError, BadCertificate, BadAuthorities) as error:
        raise Misuse(str(error)) from None
    except CantListen as error:
        raise Failure(str(error)) from None
    except OSError as error:
        raise Failure(f"can't start: {error.strerror or error}") from None
