"""The numbers of the system calls that an isolated process is denied, and a way to make one from Python."""

import ctypes
import os
import platform
from collections.abc import Mapping
from typing import Final

# By machine: AUDIT_ARCH of <linux/audit.h>, and the column of the tables below.
ARCHITECTURES: Final[Mapping[str, tuple[int, int]]] = {
    "x86_64": (0xC000003E, 0),
    "aarch64": (0xC00000B7, 1),
}
NEWEST: Final = 471  # later calls, and all of x32, fail as on an old kernel

_NONE: Final = -1  # the machine has no such call

LANDLOCK_CREATE_RULESET: Final = 444  # these numbers are the same on both machines
LANDLOCK_ADD_RULE: Final = 445
LANDLOCK_RESTRICT_SELF: Final = 446
CLONE3: Final = (435, 435)
CLONE: Final = (56, 220)
FCNTL: Final = (72, 25)

# Communication: sockets, shared memory, queues, and the kernel's own rings.
_NETWORK: Final = {
    "socket": (41, 198),
    "socketpair": (53, 199),
    "connect": (42, 203),
    "bind": (49, 200),
    "listen": (50, 201),
    "accept": (43, 202),
    "accept4": (288, 242),
    "shmget": (29, 194),
    "shmat": (30, 196),
    "semget": (64, 190),
    "msgget": (68, 186),
    "mq_open": (240, 180),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
}
# Running programs, and reading other processes.
_PROCESSES: Final = {
    "execve": (59, 221),
    "execveat": (322, 281),
    "fork": (57, _NONE),
    "vfork": (58, _NONE),
    "ptrace": (101, 117),
    "kcmp": (312, 272),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "process_mrelease": (448, 448),
    "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438),
    "pidfd_send_signal": (424, 424),
    "tkill": (200, 130),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "setpriority": (141, 140),
    "sched_setaffinity": (203, 122),
    "sched_setscheduler": (144, 119),
    "sched_setparam": (142, 118),
    "sched_setattr": (314, 274),
    "ioprio_set": (251, 30),
    "migrate_pages": (256, 238),
    "move_pages": (279, 239),
}
# Changing files, also in ways that Landlock doesn't cover, or reaching them without a path.
_FILES: Final = {
    "creat": (85, _NONE),
    "truncate": (76, 45),
    "ftruncate": (77, 46),
    "fallocate": (285, 47),
    "rename": (82, _NONE),
    "renameat": (264, 38),
    "renameat2": (316, 276),
    "mkdir": (83, _NONE),
    "mkdirat": (258, 34),
    "rmdir": (84, _NONE),
    "unlink": (87, _NONE),
    "unlinkat": (263, 35),
    "link": (86, _NONE),
    "linkat": (265, 37),
    "symlink": (88, _NONE),
    "symlinkat": (266, 36),
    "mknod": (133, _NONE),
    "mknodat": (259, 33),
    "chmod": (90, _NONE),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "fchmodat2": (452, 452),
    "chown": (92, _NONE),
    "lchown": (94, _NONE),
    "fchown": (93, 55),
    "fchownat": (260, 54),
    "utime": (132, _NONE),
    "utimes": (235, _NONE),
    "futimesat": (261, _NONE),
    "utimensat": (280, 88),
    "setxattr": (188, 5),
    "lsetxattr": (189, 6),
    "fsetxattr": (190, 7),
    "removexattr": (197, 14),
    "lremovexattr": (198, 15),
    "fremovexattr": (199, 16),
    "setxattrat": (463, 463),
    "removexattrat": (466, 466),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "fanotify_init": (300, 262),
    "inotify_init": (253, _NONE),
    "inotify_init1": (294, 26),
}
# Calls that no parser of files needs, and in which kernels have had security holes.
_KERNEL: Final = {
    "bpf": (321, 280),
    "userfaultfd": (323, 282),
    "perf_event_open": (298, 241),
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "unshare": (272, 97),
    "setns": (308, 268),
    "chroot": (161, 51),
    "pivot_root": (155, 41),
    "mount": (165, 40),
    "umount2": (166, 39),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "open_tree_attr": (467, 467),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "acct": (163, 89),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "reboot": (169, 142),
    "syslog": (103, 116),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
}
DENIED: Final = (_NETWORK, _PROCESSES, _FILES, _KERNEL)

# Allowed only on the process itself, which is the first argument. 0 is the process itself for prlimit64, a
# group for kill.
ON_ITSELF: Final = {"kill": (62, 129), "tgkill": (234, 131)}
ON_ITSELF_OR_0: Final = {"prlimit64": (302, 261)}


def machine() -> tuple[int, int] | None:
    """Returns this machine's AUDIT_ARCH and its column of the tables; None if they have none."""
    return ARCHITECTURES.get(platform.machine()) if is_linux() else None


def is_linux() -> bool:
    return platform.system() == "Linux"


def call(number: int, *arguments: object) -> int:
    """Makes a system call that Python has no function for; raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    result = libc.syscall(ctypes.c_long(number), *arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return int(result)


def prctl(option: int, *arguments: int) -> int:
    """Calls prctl(2); raises OSError. Missing arguments are 0, as newer options require."""
    libc = ctypes.CDLL(None, use_errno=True)
    padded = (*arguments, 0, 0, 0, 0)[:4]
    result = libc.prctl(ctypes.c_int(option), *map(ctypes.c_ulong, padded))
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return int(result)
