"""The house (DESIGN): imports go down only. Read from the source of every module, nothing is imported."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parent.parent
LAYERS: Final = {
    "proxy": 0,
    "proxy.charsets": 0,
    "proxy.values": 0,
    "proxy.errors": 0,
    "proxy.getters": 0,
    "proxy.packed": 0,
    "proxy.shipped": 0,
    "proxy.times": 0,
    "proxy.addresses": 1,
    "proxy.codings": 1,
    "proxy.audio": 1,
    "proxy.desk": 1,
    "proxy.environment": 1,
    "proxy.fields": 1,
    "proxy.headers": 1,
    "proxy.ids": 1,
    "proxy.isolated": 1,
    "proxy.jsons": 1,
    "proxy.later": 1,
    "proxy.line": 1,
    "proxy.locks": 1,
    "proxy.outbound_proxy": 1,
    "proxy.overrides": 1,
    "proxy.shape": 1,
    "proxy.spool": 1,
    "proxy.tasks": 1,
    "proxy.text": 1,
    "proxy.compare": 2,
    "proxy.inbound": 2,
    "proxy.mapping": 2,
    "proxy.settings": 2,
    "proxy.structure": 2,
    "proxy.observe": 3,
    "proxy.store": 3,
    "proxy.upstream": 3,
    "proxy.workers": 3,
    "proxy.flows": 4,
    "proxy.dispatch": 5,
    "proxy.web": 6,
    "proxy.sandbox": 6,
    "proxy.contract": 6,
    "proxy.cli": 7,
    "proxy.__main__": 8,
}
# Lower than their own layer would allow.
CEILINGS: Final = {
    "proxy.compare": 1,
    "proxy.contract": 1,
    "proxy.sandbox": 1,
    "proxy.structure": 1,
    "proxy.workers": 1,
}
FLOWS: Final = frozenset(
    {
        "new_case",
        "doc",
        "encounters",
        "query",
        "upload_audio",
        "speech_to_text",
        "encounter_page",
        "report_event",
    }
)
SERVERS: Final = frozenset({"proxy.web", "proxy.sandbox"})


def unit(module: str) -> str:
    """Returns the entry of LAYERS that a module belongs to: its package, or itself if it is in none."""
    return module if module == "proxy" else ".".join(module.split(".")[:2])


def flow(module: str) -> str | None:
    names = module.split(".")
    return names[2] if names[:2] == ["proxy", "flows"] and len(names) > 2 and names[2] in FLOWS else None


def imported(module: str, source: str) -> Iterator[str]:
    """Yields every module that is imported, anywhere in the file; for `from a import b` both a and a.b."""
    package = module.split(".")[:-1]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            near = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*near, *([node.module] if node.module else [])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def problems(module: str, source: str) -> Iterator[str]:
    """Yields each fault of a module's imports, as a sentence."""
    if unit(module) not in LAYERS:
        yield f"{module} stands in no layer: add it to the table"
        return
    for target in sorted(set(imported(module, source))):
        if target.startswith("aiohttp.web") and unit(module) not in SERVERS:
            yield f"{module} imports {target}: only web and sandbox serve"
        if target.startswith("proxy."):
            yield from _upward(module, target)
            yield from _sideways(module, target)
    if unit(module) == "proxy.dispatch":
        yield from _named_routes(module, source)


def _upward(module: str, target: str) -> Iterator[str]:
    here, there = unit(module), unit(target)
    if there == here or there not in LAYERS:  # a name of proxy/__init__.py is no module
        return
    ceiling = CEILINGS.get(here, LAYERS[here] - 1)
    if LAYERS[there] > max(ceiling, 0):
        yield f"{module} imports {target}: layer {LAYERS[there]} is not below {ceiling + 1}"


def _sideways(module: str, target: str) -> Iterator[str]:
    if flow(module) and flow(target) and flow(module) != flow(target):
        yield f"{module} imports {target}: flows never import each other"
    if unit(module) == "proxy.dispatch" and flow(target):
        yield f"{module} imports {target}: dispatch knows no route by name"


def _named_routes(module: str, source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in FLOWS:
            yield f"{module} says {node.value!r}: dispatch knows no route by name"


def modules() -> list[tuple[str, str]]:
    found = []
    for path in sorted((ROOT / "proxy").rglob("*.py")):
        names = path.relative_to(ROOT).with_suffix("").parts
        # A package is named with its __init__, so that a relative import counts from the right folder.
        found.append(
            (".".join(names) if len(names) > 2 or names[-1] != "__init__" else "proxy", path.read_text())
        )
    return found


def test_imports_go_down_only() -> None:
    assert [problem for module, source in modules() for problem in problems(module, source)] == []


def test_no_row_of_the_table_outlives_its_module() -> None:
    assert set(LAYERS) - {unit(module) for module, _ in modules()} == set()


@pytest.mark.parametrize(
    ("module", "source", "said"),
    [
        ("proxy.flows.doc", "from proxy.web import app", "layer 6 is not below 4"),
        ("proxy.flows.doc", "def f():\n    import proxy.web.app", "layer 6 is not below 4"),
        ("proxy.flows.doc", "from ..web import app", "layer 6 is not below 4"),
        ("proxy.flows.__init__", "from .doc import f\nfrom ..web import app", "layer 6 is not below 4"),
        ("proxy.flows.doc", "from proxy import web", "layer 6 is not below 4"),
        ("proxy.store.cases", "from proxy.upstream.client import Upstream", "layer 3 is not below 3"),
        ("proxy.upstream.client", "import proxy.store", "layer 3 is not below 3"),
        ("proxy.sandbox.run", "from proxy.settings import Settings", "layer 2 is not below 2"),
        ("proxy.workers", "from proxy.mapping import table", "layer 2 is not below 2"),
        ("proxy.errors", "from proxy.jsons import load", "layer 1 is not below"),
        ("proxy.flows.doc", "from proxy.flows.query import run", "flows never import each other"),
        ("proxy.flows.doc", "from proxy.flows import query", "flows never import each other"),
        ("proxy.flows.doc", "from . import query", "flows never import each other"),
        ("proxy.flows.doc", "from aiohttp import web", "only web and sandbox serve"),
        ("proxy.cli.serve", "import aiohttp.web_app", "only web and sandbox serve"),
        ("proxy.dispatch.decide", "from proxy.flows import doc", "dispatch knows no route by name"),
        ("proxy.dispatch.decide", "if route == 'new_case': pass", "dispatch knows no route by name"),
        ("proxy.novelty", "", "stands in no layer"),
    ],
)
def test_a_module_that_breaks_the_house_is_named(module: str, source: str, said: str) -> None:
    found = list(problems(module, source))
    assert found
    assert all(module in each and said in each for each in found)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("proxy.flows.doc", "from proxy.flows.deps import Deps\nfrom proxy import __version__"),
        ("proxy.web.flows", "from proxy.flows import doc, query\nfrom aiohttp import web"),
        ("proxy.values", "from proxy.errors import Refusal"),
        ("proxy.store.cases", "from .database import Database"),
    ],
)
def test_a_module_that_keeps_the_house_passes(module: str, source: str) -> None:
    assert list(problems(module, source)) == []
