"""Tools that a test needs but pip does not bring."""

import os
import shutil

import pytest


def tool(name: str) -> str:
    """The path of a program. Without it the test is skipped; where CI=true, it fails instead."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if found is not None:
        return found
    reason = f"{name} is not installed (.ci/run installs it)"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
