"""`python -m tests.crash.serve FILE`: `michiq-proxy serve`, killed at the point that FILE names by then."""

import sys
from pathlib import Path

from proxy.cli import main
from tests.crash.points import lay_all

if __name__ == "__main__":
    lay_all(Path(sys.argv[1]))
    main(["serve"])
