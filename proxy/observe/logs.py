"""Sets the log up: one event a line, JSON for programs, coloured for people.

aiohttp, asyncio and the parsers quote bad input: of their records only the logger, the line that wrote it and
the exception's types and frames are logged.
"""

import atexit
import logging
import sys
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal, TextIO

import structlog

from proxy.observe.lines import Event, completed, for_people, for_programs
from proxy.observe.loggers import FromLibraries, Log, use
from proxy.observe.writer import Sink, Unbuffered, Writer

Level = Literal["debug", "info", "warning", "error"]

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_log: Final = structlog.get_logger("proxy.observe.logs")


def setup(stream: TextIO, *, pretty: bool, level: Level = "info", shared: bool = False) -> None:
    """Sends every event of this process to `stream`: structlog's, logging's, warnings, uncaught exceptions.

    `level` is for the package; libraries are logged from warning upwards. `shared` marks a stream that other
    processes write to as well. A process has one log: the one before it is closed.
    """
    for before in _handlers():
        _close(before.log.sink)
    render = for_people(stream.encoding or "utf-8") if pretty else for_programs
    log = Log(_sink(stream, lambda lines: render(_dropped(lines)), shared=shared), render)
    use(log, level)
    logging.getLogger().handlers[:] = [FromLibraries(log)]
    logging.getLogger().setLevel(logging.WARNING)
    logging.getLogger("proxy").setLevel(level.upper())
    # A log that can't be written (full disk, closed pipe) must neither fail a request nor print the record.
    logging.raiseExceptions = False
    _catch_the_rest()


def flush() -> None:
    """Writes everything that was logged, for a process that is about to end itself."""
    for each in _handlers():
        each.log.sink.flush()


def dropped() -> int:
    """Counts the lines that were lost since the start, because the reader was too slow."""
    return sum(each.log.sink.dropped for each in _handlers())


def access(
    *,
    route: str,
    method: str,
    status: int,
    bytes_in: int,
    bytes_out: int,
    milliseconds: int,
    cause: str | None = None,
    side: str | None = None,
) -> None:
    """Writes the one line of a request, by its template; its id and its caller are in the context."""
    more: dict[str, str] = {}
    if cause is not None:
        more["cause"] = cause
    if side is not None:
        more["side"] = side
    _log.info(
        "request",
        route=route,
        method=method if method in _METHODS else "other",  # HTTP allows any token as a method, also a secret
        status=status,
        bytes_in=bytes_in,
        bytes_out=bytes_out,
        ms=milliseconds,
        **more,
    )


def _handlers() -> list[FromLibraries]:
    """Returns the log of this process, if it has been set up."""
    return [each for each in logging.getLogger().handlers if isinstance(each, FromLibraries)]


def _sink(stream: TextIO, told: Callable[[int], bytes], *, shared: bool) -> Sink:
    try:
        file = stream.fileno()
    except (OSError, ValueError):
        return Unbuffered(stream)
    stream.flush()
    writer = Writer(file, told, shared=shared)
    atexit.register(writer.close)
    return writer


def _close(sink: Sink) -> None:
    sink.close()
    atexit.unregister(sink.close)


def _dropped(lines: int) -> Event:
    return completed({"event": "log_lines_dropped", "lines": lines}, "warning")


def _catch_the_rest() -> None:
    """Catches what Python would print with its text: warnings, and uncaught exceptions."""
    warnings.showwarning = _warned  # type: ignore[assignment]  # Python calls it by position
    sys.excepthook = lambda _kind, error, _frames: _uncaught(error)
    threading.excepthook = lambda args: _uncaught(args.exc_value)
    sys.unraisablehook = lambda args: _uncaught(args.exc_value)


def _warned(_message: object, category: type[Warning], filename: str, lineno: int, *_: object) -> None:
    _log.warning("python_warning", category=category.__name__, at=f"{Path(filename).stem}:{lineno}")


def _uncaught(error: BaseException | None) -> None:
    _log.critical("uncaught_exception", exc_info=error)
