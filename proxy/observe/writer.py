"""Writes the log from a thread, in batches, so that no reader of it delays a request."""

import os
import select
import stat
import threading
from collections.abc import Callable, Iterable, Iterator
from queue import Empty, SimpleQueue
from typing import Final, Literal, Protocol, TextIO, TypeAlias

# Lines are gathered; a process that is killed loses at most those of the last 100 ms.
_GATHER_SECONDS: Final = 0.05
# A warning waits this long until it is written, once: after that a blocked reader delays nothing any more.
_PATIENCE_SECONDS: Final = 0.1
# At the end of the process, for a slow reader; less time if the process must end at once.
_FLUSH_SECONDS: Final = 1.0
_END_SECONDS: Final = 5.0
_MOST_BYTES: Final = 8 * 1024 * 1024
_PIECE_BYTES: Final = 64 * 1024

Wake: TypeAlias = Literal["now", "soon"]


class Sink(Protocol):
    """The end of the lines' way; `dropped` counts those that were lost since the start."""

    dropped: int

    def put(self, line: bytes, *, urgent: bool) -> None:
        """Takes a line; an urgent one is written at once, with everything before it."""

    def flush(self) -> None:
        """Returns when everything is written, or the reader doesn't read."""

    def close(self) -> None:
        """Writes the rest, and ends."""


class Unbuffered:
    """Writes each line at once, to a stream that is not a file of the system."""

    def __init__(self, stream: TextIO) -> None:
        self.dropped = 0
        self._stream = stream

    def put(self, line: bytes, *, urgent: bool) -> None:  # noqa: ARG002  all lines are urgent
        try:
            self._stream.write(line.decode())
        except (OSError, ValueError):  # a closed stream
            self.dropped += 1

    def flush(self) -> None:
        pass

    def close(self) -> None:
        pass


class Writer:
    """Writes to an open file from a thread of its own; the thread sleeps while there is nothing to write.

    `told` makes the line about dropped lines. `shared` marks a file that other processes write to as
    well. Code
    that logs may interrupt any line of Python, also in the garbage collector's finalizers: so no method
    here takes
    a lock that its own thread may hold already.
    """

    def __init__(
        self,
        file: int,
        told: Callable[[int], bytes],
        *,
        shared: bool = False,
        most: int = _MOST_BYTES,
        patience: float = _PATIENCE_SECONDS,
    ) -> None:
        self.dropped = 0
        # A descriptor of its own: if the stream is closed, its number may become another file's. It stays
        # open: Python may still log after the end.
        self._file = os.dup(file)
        self._told = told
        self._most = most
        self._patience = patience
        self._piece = select.PIPE_BUF if shared and not _is_regular(file) else _PIECE_BYTES
        self._lock = threading.RLock()
        self._lines: list[bytes] = []
        self._held = 0  # bytes, including those that are being written
        self._untold = 0
        self._waiting: list[SimpleQueue[None]] = []
        self._stuck = self._closed = False
        self._wake: SimpleQueue[Wake] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def put(self, line: bytes, *, urgent: bool) -> None:
        if self._closed:
            self._write_last(line)
        elif self._take(line, urgent=urgent) and urgent and not self._stuck:
            self._stuck = not self._written(self._patience)

    def flush(self) -> None:
        self._written(_FLUSH_SECONDS)

    def close(self) -> None:
        self._stuck = not self._written(_END_SECONDS)
        self._closed = True
        self._wake.put("now")
        self._thread.join(self._patience)

    def _take(self, line: bytes, *, urgent: bool) -> bool:
        """Returns whether there was room; the first line wakes the thread, and each urgent one does."""
        with self._lock:
            if self._held + len(line) > self._most:
                self._lose(1)
                return False
            self._held += len(line)
            self._lines.append(line)
            if urgent or len(self._lines) == 1:
                self._wake.put("now" if urgent else "soon")
            return True

    def _write_last(self, line: bytes) -> None:
        """Writes a line that is logged after the end, while Python shuts its modules down."""
        if self._stuck or not self._write(line):
            self._lose(1)

    def _written(self, seconds: float) -> bool:
        """Returns whether everything until now is written within these seconds."""
        if threading.current_thread() is self._thread:
            return True
        done: SimpleQueue[None] = SimpleQueue()
        with self._lock:
            self._waiting.append(done)
        self._wake.put("now")
        try:
            done.get(timeout=seconds)
        except Empty:
            return False
        return True

    def _run(self) -> None:
        while not self._closed:
            if self._wake.get() == "soon":
                self._gather()
            self._write_out()
        self._write_out()

    def _gather(self) -> None:
        try:
            while self._wake.get(timeout=_GATHER_SECONDS) == "soon":
                pass
        except Empty:
            pass

    def _write_out(self) -> None:
        """Writes all lines, and wakes the callers that wait for that."""
        with self._lock:
            lines, self._lines = self._lines, []
            waiting, self._waiting = self._waiting, []
            untold, self._untold = self._untold, 0
        for piece, count in _pieces(lines, self._piece):
            if not self._write(piece):
                self._lose(count)
            with self._lock:
                self._held -= len(piece)
        if untold and not self._write(self._told(untold)):
            with self._lock:
                self._untold += untold
        self._stuck = False
        for done in waiting:
            done.put(None)

    def _lose(self, count: int) -> None:
        with self._lock:
            self.dropped += count
            self._untold += count

    def _write(self, piece: bytes) -> bool:
        """Returns False for a file that can't be written: a full disk, a pipe without a reader."""
        rest = memoryview(piece)
        while rest:
            try:
                rest = rest[os.write(self._file, rest) :]
            except BlockingIOError:
                _wait_until_writable(self._file)
            except OSError:
                return False
        return True


def _pieces(lines: Iterable[bytes], most: int) -> Iterator[tuple[bytes, int]]:
    """Yields whole lines, joined up to this size, and their number.

    Other writers to the same pipe come between two writes, and into one that is longer than PIPE_BUF.
    """
    together: list[bytes] = []
    size = 0
    for line in lines:
        if together and size + len(line) > most:
            yield b"".join(together), len(together)
            together, size = [], 0
        together.append(line)
        size += len(line)
    if together:
        yield b"".join(together), len(together)


def _is_regular(file: int) -> bool:
    return stat.S_ISREG(os.fstat(file).st_mode)


def _wait_until_writable(file: int) -> None:
    """Waits for a file that is not ready: the parent process may have made it non-blocking."""
    waiting = select.poll()
    waiting.register(file, select.POLLOUT)
    waiting.poll()
