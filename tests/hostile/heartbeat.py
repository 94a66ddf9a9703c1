"""`python -m tests.hostile.heartbeat PORT`: asks the admin listener's /healthz all the time.

A line for each time: when it was asked, by the machine's clock, and how many seconds the answer took.
"""

import socket
import sys
import time
from pathlib import Path
from typing import Final

_SECONDS: Final = 0.02
_REQUEST: Final = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"


def beats(listing: Path) -> list[tuple[float, float]]:
    lines = listing.read_text().splitlines()
    return [(float(at), float(took)) for at, _, took in (line.partition(" ") for line in lines) if took]


def main() -> None:
    with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as line:
        while True:
            asked = time.monotonic()
            line.sendall(_REQUEST)
            if not line.recv(4096):
                return
            took = time.monotonic() - asked
            sys.stdout.write(f"{asked:.6f} {took:.6f}\n")
            sys.stdout.flush()
            time.sleep(max(0.0, _SECONDS - took))


if __name__ == "__main__":
    main()
