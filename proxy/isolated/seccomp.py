"""Denies system calls to this process by a seccomp filter, a program of classic BPF (seccomp(2)).

It is a list of denied calls. A list of allowed calls would lose files whenever a new libc, Python or FFmpeg
makes one more harmless call; and Landlock guards paths, the only other use of such a list. Calls newer than
this list don't exist for the process, so a kernel's update opens nothing.
"""

import ctypes
import errno
import os
import struct
from collections.abc import Iterable, Iterator
from typing import Final, TypeAlias

from proxy.isolated import syscalls

Instruction: TypeAlias = tuple[int, int, int, int]  # code, jump if true, jump if false, operand

_LOAD, _EQUAL, _GREATER_EQUAL, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _FIRST, _SECOND = 0, 4, 16, 24  # offsets in struct seccomp_data, low words
_ALLOW: Final = 0x7FFF0000
_FAIL: Final = 0x00050000  # with the error's number in its low bits
_KILL: Final = 0x80000000
_CLONE_THREAD: Final = 0x00010000
_OWNERSHIP: Final = (8, 10, 15)  # F_SETOWN, F_SETSIG, F_SETOWN_EX: signals to others by a descriptor

_PR_GET_SECCOMP, _PR_SET_SECCOMP, _FILTER = 21, 22, 2


def available() -> bool:
    """Returns whether this kernel accepts filters, and this machine's call numbers are in the tables."""
    if syscalls.machine() is None:
        return False
    try:
        syscalls.prctl(_PR_GET_SECCOMP)
    except OSError:
        return False
    return True


def restrict() -> None:
    """Puts this process under the filter, for good; it must have no new privileges. Raises OSError."""
    architecture, column = syscalls.machine() or (0, 0)
    instructions = list(program(architecture, column, os.getpid()))
    packed = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *each) for each in instructions))
    header = struct.pack("@HP", len(instructions), ctypes.addressof(packed))
    whole = ctypes.create_string_buffer(header)
    syscalls.prctl(_PR_SET_SECCOMP, _FILTER, ctypes.addressof(whole))


def program(architecture: int, column: int, pid: int) -> Iterator[Instruction]:
    """Yields the filter for a machine and a process."""
    yield _LOAD, 0, 0, _ARCHITECTURE
    yield _EQUAL, 1, 0, architecture
    yield _RETURN, 0, 0, _KILL
    yield _LOAD, 0, 0, _NUMBER
    yield from _when(_GREATER_EQUAL, syscalls.NEWEST, _failing(errno.ENOSYS))
    # clone3's flags are in memory, which a filter can't read; libc falls back to clone.
    yield from _when(_EQUAL, syscalls.CLONE3[column], _failing(errno.ENOSYS))
    yield from _when(_EQUAL, syscalls.CLONE[column], list(_unless(_FIRST, [(_ANY_BIT, _CLONE_THREAD)])))
    yield from _when(_EQUAL, syscalls.FCNTL[column], list(_if(_SECOND, _OWNERSHIP)))
    for numbers in syscalls.ON_ITSELF.values():
        yield from _when(_EQUAL, numbers[column], list(_unless(_FIRST, [(_EQUAL, pid)])))
    for numbers in syscalls.ON_ITSELF_OR_0.values():
        yield from _when(_EQUAL, numbers[column], list(_unless(_FIRST, [(_EQUAL, pid), (_EQUAL, 0)])))
    for table in syscalls.DENIED:
        for numbers in table.values():
            if numbers[column] >= 0:
                yield from _when(_EQUAL, numbers[column], _failing(errno.EPERM))
    yield _RETURN, 0, 0, _ALLOW


def _when(test: int, operand: int, then: list[Instruction]) -> Iterator[Instruction]:
    yield test, 0, len(then), operand
    yield from then


def _failing(error: int) -> list[Instruction]:
    return [(_RETURN, 0, 0, _FAIL | error)]


def _unless(argument: int, allowed: list[tuple[int, int]]) -> Iterator[Instruction]:
    """Yields a check of an argument: the call is allowed if one of the tests holds."""
    yield _LOAD, 0, 0, argument
    for test, operand in allowed:
        yield from _when(test, operand, [(_RETURN, 0, 0, _ALLOW)])
    yield from _failing(errno.EPERM)


def _if(argument: int, denied: Iterable[int]) -> Iterator[Instruction]:
    yield _LOAD, 0, 0, argument
    for operand in denied:
        yield from _when(_EQUAL, operand, _failing(errno.EPERM))
    yield _RETURN, 0, 0, _ALLOW
