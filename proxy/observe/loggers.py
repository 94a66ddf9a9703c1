"""The two ways into the log: structlog's loggers for the package, logging's handler for libraries."""

import logging
from typing import Any, Final

import structlog

from proxy.observe.lines import Event, Render, completed
from proxy.observe.writer import Sink

_LEVELS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}
_URGENT: Final = frozenset({"warning", "error", "critical"})


class Log:
    """The common end of both ways: renders events as lines, and passes them to the sink."""

    def __init__(self, sink: Sink, render: Render) -> None:
        self.sink = sink
        self.render = render

    def put(self, event: Event, level: str) -> None:
        self.sink.put(self.render(completed(event, level)), urgent=level in _URGENT)


class Logger(structlog.BoundLoggerBase):
    """A logger of the package.

    Its events pass structlog's processors, of which `setup` has none: they are for tests that capture events.
    """

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
        """Logs an error with its exception, in an `except` block."""
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
    """Makes every structlog logger write to `log`; levels below this one are ignored.

    structlog makes a new logger for each line; here all of them are one.
    """
    deaf = [name for name, number in _LEVELS.items() if number < _LEVELS[level]]
    processors: list[structlog.typing.Processor] = []
    logger = type("Logger", (Logger,), dict.fromkeys(deaf, _hear_nothing))(log, processors, {})
    structlog.configure(
        processors=processors,
        logger_factory=lambda *_names: log,
        # A function instead of a class: structlog only calls it.
        wrapper_class=lambda *_, context, **__: logger.bind(**context) if context else logger,  # type: ignore[arg-type]
    )


def _hear_nothing(*_: object, **__: object) -> None:
    pass


class FromLibraries(logging.Handler):
    """Logs a library's record without its text: the logger, the line that wrote it and its exception."""

    def __init__(self, log: Log) -> None:
        super().__init__()
        self.log = log

    def emit(self, record: logging.LogRecord) -> None:
        place = {"logger": record.name, "at": f"{record.module}:{record.lineno}"}
        self.log.put(
            {"event": "library_message", **place, "exc_info": record.exc_info}, record.levelname.lower()
        )
