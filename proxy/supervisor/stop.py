"""Notes that the process was told to stop, and stops it at once when it is told twice."""

import asyncio
import os
import signal
from collections.abc import Callable

from proxy.observe.logs import flush


class Stop(asyncio.Event):
    """An event that the first SIGINT or SIGTERM sets; the second one ends the process at once."""

    def __init__(self) -> None:
        super().__init__()
        self.at_once: Callable[[], None] = lambda: None  # what has to be done even then
        self._signalled = False

    def on_signal(self, number: signal.Signals) -> None:
        # Not by `is_set()`: a signal to the whole group also reaches a worker through its parent.
        if self._signalled:
            self.at_once()
            flush()
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        self._signalled = True
        self.set()
