"""The log: one event a line, JSON for programs, coloured for people; other libraries only by place and type.

aiohttp, asyncio and the parsers quote what they choke on: of their records nothing is kept but
the logger, the line that wrote it and the exception's types and frames.
"""

import logging
import sys
import threading
import warnings
from pathlib import Path
from typing import Any, Final, Literal, TextIO

import structlog
from structlog.typing import EventDict, Processor

from proxy.observe.failures import describe

Level = Literal["debug", "info", "warning", "error"]

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_PLAIN: Final = (str, int, float, bool, type(None))
_log: Final = structlog.get_logger("proxy.observe.logs")


def setup(stream: TextIO, *, pretty: bool, level: Level = "info") -> None:
    """Send every event of this process to `stream`: structlog's, logging's, warnings and uncaught exceptions.

    `level` counts for the package; libraries are heard from warning upwards.
    """
    ours: list[Processor] = [structlog.contextvars.merge_contextvars, _without_objects, *_finish()]
    structlog.configure(
        processors=[*ours, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=_logger,
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[_only_place, structlog.contextvars.merge_contextvars, *_finish()],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _renderer(pretty=pretty)],
            use_get_message=False,
        )
    )
    logging.getLogger().handlers[:] = [handler]
    logging.getLogger().setLevel(logging.WARNING)
    logging.getLogger("proxy").setLevel(level.upper())
    # A log that can't be written (full disk, closed pipe) must neither fail a request nor print the record.
    logging.raiseExceptions = False
    _catch_the_rest()


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
    """Write the one line of a request by its template; its id, and who called, are in the context."""
    line = {
        "route": route,
        "method": method if method in _METHODS else "other",  # any token is a method to HTTP, a secret too
        "status": status,
        "bytes_in": bytes_in,
        "bytes_out": bytes_out,
        "ms": milliseconds,
        "cause": cause,
        "side": side,
    }
    _log.info("request", **{key: value for key, value in line.items() if value is not None})


def _logger(*_names: str) -> logging.Logger:
    return logging.getLogger("proxy")


def _finish() -> list[Processor]:
    return [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="timestamp"),
        _with_failure,
    ]


def _renderer(*, pretty: bool) -> Processor:
    return structlog.dev.ConsoleRenderer() if pretty else structlog.processors.JSONRenderer()


def _without_objects(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """An object passed by mistake, an exception or a record of ours, shows its type, not its repr."""
    return {key: value if key == "exc_info" else _plain(value) for key, value in event.items()}


def _plain(value: object) -> object:
    if isinstance(value, _PLAIN):
        return value
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else type(value).__name__


def _only_place(_logger: Any, _method: str, event: EventDict) -> EventDict:
    record: logging.LogRecord = event["_record"]
    kept = {key: event[key] for key in ("_record", "_from_structlog", "exc_info") if key in event}
    place = {"logger": record.name, "at": f"{record.module}:{record.lineno}"}
    return {"event": "library_message", **place, **kept}


def _with_failure(_logger: Any, _method: str, event: EventDict) -> EventDict:
    info = event.pop("exc_info", None)
    if isinstance(info, tuple):
        info = info[1]
    elif info is True:
        info = sys.exc_info()[1]
    if isinstance(info, BaseException):
        event["raised"] = describe(info)
    return event


def _catch_the_rest() -> None:
    """Whatever Python would print with its text: warnings, and exceptions that nobody caught."""
    warnings.showwarning = _warned  # type: ignore[assignment]  # Python calls it by position
    sys.excepthook = lambda _kind, error, _frames: _uncaught(error)
    threading.excepthook = lambda args: _uncaught(args.exc_value)
    sys.unraisablehook = lambda args: _uncaught(args.exc_value)


def _warned(_message: object, category: type[Warning], filename: str, lineno: int, *_: object) -> None:
    _log.warning("python_warning", category=category.__name__, at=f"{Path(filename).stem}:{lineno}")


def _uncaught(error: BaseException | None) -> None:
    _log.critical("uncaught_exception", exc_info=error)
