"""`python -m tests.crash.serve FILE`: `michiq-proxy serve`, killed at the point that FILE names by then."""

import sys
from pathlib import Path

if __name__ == "__main__":
    # In here: the proxy's worker processes import this module too, and need none of it.
    from proxy.cli import main
    from tests.crash.points import lay_all

    lay_all(Path(sys.argv[1]))
    main(["serve"])
