"""The log of this process, captured: what `setup` changes belongs to the process and is given back."""

import logging
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO

import pytest
import structlog

from proxy.observe.logs import setup


@contextmanager
def restored_logging() -> Iterator[None]:
    """Restores logging, whatever the block does to it."""
    root, ours = logging.getLogger(), logging.getLogger("proxy")
    before = list(root.handlers), root.level, ours.level
    with pytest.MonkeyPatch.context() as patch:
        for owner, name in [
            (sys, "excepthook"),
            (sys, "unraisablehook"),
            (threading, "excepthook"),
            (logging, "raiseExceptions"),
            (warnings, "showwarning"),
        ]:
            patch.setattr(owner, name, getattr(owner, name))
        try:
            yield
        finally:
            root.handlers[:], root.level, ours.level = before
            structlog.reset_defaults()


@contextmanager
def captured_log() -> Iterator[StringIO]:
    """Captures everything that the process logs, as JSON lines."""
    with restored_logging():
        stream = StringIO()
        setup(stream, pretty=False)
        yield stream
