"""`python -m tests.crash.births FOLDER`: forks a `serve` at each line that it reads.

It prints the child's number, and its exit code once it has ended. Each child has a session of its own; its
output goes to the folder's `log`.
"""

import os
import sys
from pathlib import Path


def say(number: int) -> None:
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


def move_out(folder: Path) -> None:
    """Detaches the child: a session of its own, and the log as its output."""
    os.setsid()
    log = os.open(folder / "log", os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for old, new in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(old, new)


if __name__ == "__main__":
    # In here: the proxy's worker processes import this module too, and need none of it.
    import proxy.cli.serve.run  # noqa: F401  what costs the time
    from proxy.cli import main
    from tests.crash.points import lay_all

    place = Path(sys.argv[1])
    lay_all(place / "trap")
    for _ in sys.stdin:
        child = os.fork()
        if child == 0:
            move_out(place)
            main(["serve"])
        say(child)
        say(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
