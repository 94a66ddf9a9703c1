"""Denies files and networks to this process by Landlock (landlock(7)), as far as the kernel supports it."""

import ctypes
import os
import struct
from collections.abc import Sequence
from typing import Final

from proxy.isolated import syscalls

_VERSION: Final = 1  # the flag that asks for the version
_BENEATH: Final = 1
_READ_FILE: Final = 1 << 2
# Kinds of access, by the version that introduced them: 13 for files, then one each.
_FILES: Final = ((1, (1 << 13) - 1), (2, 1 << 13), (3, 1 << 14), (5, 1 << 15))
_NETWORK: Final = ((4, 0b11),)  # to bind and to connect by TCP
_SCOPES: Final = ((6, 0b11),)  # abstract sockets and signals of processes outside


def version() -> int:
    """Returns the version of Landlock's interface; 0 if there is none, or it is switched off."""
    if not syscalls.is_linux():
        return 0
    try:
        return syscalls.call(syscalls.LANDLOCK_CREATE_RULESET, None, ctypes.c_size_t(0), _VERSION)
    except OSError:
        return 0


def restrict(readable: Sequence[str]) -> None:
    """Denies this thread all files but those in `readable` folders, for reading. Raises OSError.

    The thread must have no new privileges. Descriptors that are already open still work.
    """
    attributes = struct.pack("=QQQ", *(_handled(table) for table in (_FILES, _NETWORK, _SCOPES)))
    # A kernel accepts a structure longer than its own if the fields that it does not know are 0.
    ruleset = syscalls.call(syscalls.LANDLOCK_CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), 0)
    try:
        for folder in readable:
            _allow(ruleset, folder)
        syscalls.call(syscalls.LANDLOCK_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)


def _handled(table: Sequence[tuple[int, int]]) -> int:
    newest = version()
    return sum(bits for since, bits in table if since <= newest)


def _allow(ruleset: int, folder: str) -> None:
    directory = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        rule = struct.pack("=Qi", _READ_FILE, directory)
        syscalls.call(syscalls.LANDLOCK_ADD_RULE, ruleset, _BENEATH, rule, 0)
    finally:
        os.close(directory)
