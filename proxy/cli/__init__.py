"""The command line: one small package per command.

Its `command.py` declares arguments, options and help, and imports what it runs when it runs: `--help` and
shells that complete need nothing of it.
"""

import os
import sys
from contextlib import suppress
from importlib import import_module
from io import TextIOWrapper
from typing import Any, Final

import click

from proxy import __version__
from proxy.cli.help_texts import SUMMARIES, epilog

# Commands of one file; each other one is a package.
_FILES: Final = frozenset({"completion", "healthcheck"})


class _Optimized(click.ClickException):
    """The complaint about `python -O`: the proxy and its libraries use asserts as checks."""

    exit_code = 2

    def __init__(self) -> None:
        super().__init__("python -O (PYTHONOPTIMIZE) removes checks; start michiq-proxy without it")


def _give_up_printing() -> None:
    """Sends the rest of stdout nowhere: at exit, the buffer would fail once more, with a traceback."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class _Commands(click.Group):
    """A group that imports a command when it is called: workers import this module, and need no command."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Runs the command, and ends with a sentence when nothing can be printed.

        Neither a terminal without some letters nor a full disk needs a traceback.
        """
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, TextIOWrapper):
                stream.reconfigure(errors="replace")
        try:
            return super().main(*args, **kwargs)
        except OSError as error:
            _give_up_printing()
            said = f"Error: {error.filename or 'the output'} can't be written or read: {error.strerror}"
            click.echo(said, err=True)
            sys.exit(click.ClickException.exit_code)

    def list_commands(self, _: click.Context) -> list[str]:
        return list(SUMMARIES)

    def get_command(self, _: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in SUMMARIES:
            return None
        if not __debug__:
            raise _Optimized
        name = cmd_name.replace("-", "_")
        module = f"proxy.cli.{name}" if name in _FILES else f"proxy.cli.{name}.command"
        command: click.Command = getattr(import_module(module), name)
        command.epilog = epilog(cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes each command with its first sentence, whole, without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, SUMMARIES[name]) for name in self.list_commands(ctx)])


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
@click.option(
    "-C",
    "folder",
    metavar="FOLDER",
    type=click.Path(exists=True, file_okay=False),
    help="Work in FOLDER, with its .env, mappings and store.",
)
def main(folder: str | None) -> None:
    """Answers the obsolete michiQ API from Llamalitica's new API and LlamaChat."""
    if folder is not None:
        os.chdir(folder)
