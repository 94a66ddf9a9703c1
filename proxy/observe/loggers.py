"""The two doors into the log: structlog's loggers for the package, logging's handler for libraries."""

import logging
from typing import Any, Final

import structlog

from proxy.observe.lines import Event, Render, completed
from proxy.observe.writer import Sink

_LEVELS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}
_URGENT: Final = frozenset({"warning", "error", "critical"})


class Log:
    """Where both doors lead: events become lines, and lines go to the sink."""

    def __init__(self, sink: Sink, render: Render) -> None:
        self.sink = sink
        self.render = render

    def put(self, event: Event, level: str) -> None:
        self.sink.put(self.render(completed(event, level)), urgent=level in _URGENT)


class Logger(structlog.BoundLoggerBase):
    """A logger of the package. What it gets goes through structlog's processors, of which `setup` has none:
    they are for tests that capture events."""

    def debug(self, event: str, **fields: Any) -> None:
        self._say("debug", event, fields)

    def info(self, event: str, **fields: Any) -> None:
        self._say("info", event, fields)

    def warning(self, event: str, **fields: Any) -> None:
        self._say("warning", event, fields)

    def error(self, event: str, **fields: Any) -> None:
        self._say("error", event, fields)

    def critical(self, event: str, **fields: Any) -> None:
        self._say("critical", event, fields)

    def exception(self, event: str, **fields: Any) -> None:
        """For an `except` block."""
        self._say("error", event, {"exc_info": True, **fields})

    def _say(self, level: str, event: str, fields: Event) -> None:
        if self._context:
            fields = {**self._context, **fields}
        fields["event"] = event
        try:
            for processor in self._processors:
                processor(self._logger, level, fields)
        except structlog.DropEvent:
            return
        self._logger.put(fields, level)


def use(log: Log, level: str) -> None:
    """Every structlog logger leads to `log` from now on, and is deaf below this level.

    structlog makes a logger anew for each line; all of them are one here.
    """
    deaf = [name for name, number in _LEVELS.items() if number < _LEVELS[level]]
    processors: list[structlog.typing.Processor] = []
    logger = type("Logger", (Logger,), dict.fromkeys(deaf, _hear_nothing))(log, processors, {})
    structlog.configure(
        processors=processors,
        logger_factory=lambda *_names: log,
        # A function in the place of a class: structlog only calls it.
        wrapper_class=lambda *_, context, **__: logger.bind(**context) if context else logger,  # type: ignore[arg-type]
    )


def _hear_nothing(*_: object, **__: object) -> None:
    pass


class FromLibraries(logging.Handler):
    """Of a library's record nothing is kept but the logger, the line that wrote it and its exception."""

    def __init__(self, log: Log) -> None:
        super().__init__()
        self.log = log

    def emit(self, record: logging.LogRecord) -> None:
        place = {"logger": record.name, "at": f"{record.module}:{record.lineno}"}
        self.log.put(
            {"event": "library_message", **place, "exc_info": record.exc_info}, record.levelname.lower()
        )
