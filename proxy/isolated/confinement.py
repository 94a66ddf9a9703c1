"""Takes from this process everything that it no longer needs, before it gets the first hostile byte."""

import os
import resource
import signal
from collections.abc import Sequence
from typing import Final

from proxy.isolated import landlock, seccomp, syscalls

_MEMORY: Final = 1536 * 1024 * 1024
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 1, 4, 38
_FIRST_FREE: Final = 4  # 0, 1 and 2 are /dev/null, 3 is the channel


def missing() -> list[str]:
    """Returns the means of confinement that this kernel lacks."""
    found = {"landlock": landlock.version() > 0, "seccomp": seccomp.available()}
    return [name for name, there in found.items() if not there]


def confine(channel: int, readable: Sequence[str]) -> None:
    """Leaves this process only its memory, `channel` as descriptor 3, and files in `readable` for reading.

    The process must have one thread. Raises OSError if the kernel has a means and refuses it.
    """
    _be_silent(channel)
    _limit()
    lacking = missing()
    if len(lacking) < 2:
        syscalls.prctl(_PR_SET_NO_NEW_PRIVS, 1)
    if "landlock" not in lacking:
        landlock.restrict(readable)
    if "seccomp" not in lacking:
        seccomp.restrict()


def _be_silent(channel: int) -> None:
    """Closes all descriptors but the channel: libraries quote files in their warnings."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nowhere, number)
    os.dup2(channel, 3)
    os.closerange(_FIRST_FREE, os.sysconf("SC_OPEN_MAX"))


def _limit() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    # A core dump would hold a patient's data. If dumps are piped to a program, the limit alone has no effect.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if syscalls.is_linux():
        syscalls.prctl(_PR_SET_DUMPABLE, 0)
        # Nothing else kills a process that hangs.
        syscalls.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
