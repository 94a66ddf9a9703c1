"""aiohttp's private names stand in one module, and the start says which one a release has lost."""

import re
from typing import Final

import pytest
from aiohttp import web

from proxy.server.aiohttp_private import NAMES, UnfitAiohttp, check_names
from tests.conftest import ROOT

# Our own classes have attributes of these names, too.
_COMMON: Final = frozenset({"_loop", "_messages", "_state", "_message", "_start", "_cache"})


def test_the_installed_release_has_every_name() -> None:
    check_names()


def test_a_name_that_is_gone_is_said_with_its_class() -> None:
    with pytest.raises(UnfitAiohttp, match=r"it has no Server\._gone, Application\._away; install"):
        check_names({web.Server: ("_loop", "_gone"), web.Application: ("_away",)})


def test_no_other_module_uses_them() -> None:
    names = {name for own in NAMES.values() for name in own} - _COMMON
    used = re.compile(rf"\b(?:{'|'.join(sorted(names))})\b")
    modules = [path for path in sorted((ROOT / "proxy").rglob("*.py")) if path.stem != "aiohttp_private"]
    assert [path.name for path in modules if used.search(path.read_text("utf-8"))] == []
