"""The house (DESIGN): imports go down only. Read from the source of every module, nothing is imported."""

import ast
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parent.parent
# A row a folder, or a module that stands alone. The tens are the layers: one folder of proxy/ imports another
# one only from a layer below. Within a folder of proxy/ the units order its own folders.
LAYERS: Final = {
    "proxy": 0,
    "proxy.charsets": 0,
    "proxy.compressed": 0,
    "proxy.errors": 0,
    "proxy.shipped": 0,
    "proxy.times": 0,
    "proxy.values": 0,
    "proxy.addresses": 10,
    "proxy.audio": 10,
    "proxy.concurrency": 10,
    "proxy.environment": 10,
    "proxy.headers": 10,
    "proxy.jsons": 10,
    "proxy.modes": 10,
    "proxy.outbound_proxy": 10,
    "proxy.postgresql_url": 10,
    "proxy.spool": 10,
    "proxy.text": 10,
    "proxy.trust": 10,
    "proxy.compare": 20,
    "proxy.inbound": 20,
    "proxy.isolated": 20,
    "proxy.mapping": 20,
    "proxy.raw_headers": 20,
    "proxy.settings": 20,
    "proxy.observe": 30,
    "proxy.server": 30,
    "proxy.store.errors": 30,
    "proxy.store.locations": 30,
    "proxy.store.presence": 30,
    "proxy.store.sql": 31,
    "proxy.store.sql.postgresql": 31,
    "proxy.store.cluster": 32,
    "proxy.store.copy_note": 32,
    "proxy.store.stillness": 32,
    "proxy.store.sealing": 32,
    "proxy.store.blobs": 32,
    "proxy.store.audit": 33,
    "proxy.store.records": 34,
    "proxy.store.rollout": 35,
    "proxy.store.upkeep": 36,
    "proxy.store": 37,
    "proxy.upstream": 30,
    "proxy.upstream.http1": 30,
    "proxy.upstream.legacy": 30,
    "proxy.flows.shared": 40,
    "proxy.flows.new_case": 40,
    "proxy.flows.query": 40,
    "proxy.flows.speech_to_text": 40,
    "proxy.flows": 40,
    "proxy.rollout": 50,
    "proxy.rollout.evidence": 50,
    "proxy.rollout.operations": 50,
    "proxy.rollout.preview": 50,
    "proxy.rollout.shadow": 50,
    "proxy.rollout.shadow.openapi": 50,
    "proxy.rollout.explain": 50,
    "proxy.web": 60,
    "proxy.web.admin": 60,
    "proxy.web.admin.records": 60,
    "proxy.web.legacy": 60,
    "proxy.web.page": 60,
    "proxy.web.stream": 60,
    "proxy.web.page.views": 60,
    "proxy.web.state": 60,
    "proxy.sandbox": 60,
    "proxy.contract": 60,
    "proxy.supervisor": 70,
    "proxy.cli": 80,
    "proxy.__main__": 90,
}
# Lower than their own layer would allow.
CEILINGS: Final = {
    "proxy.compare": 10,
    "proxy.contract": 10,
    "proxy.isolated": 10,
    "proxy.sandbox": 10,
    "proxy.server": 20,
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
# A module that serves one sibling alone stands inside it, unless both together would be longer than this.
LONGEST: Final = 150
# Or unless a pattern of "module <- its only importer" is here, with the reason.
EXCEPTIONS: Final = {
    "proxy.cli.* <- proxy.cli.*.command": "It is imported only when the command runs, so --help stays quick.",
    "proxy.contract.* <- proxy.contract.catalogue": "The catalogue lists a module for each route.",
    "proxy.flows.* <- proxy.flows.registry": "The registry lists a module for each route.",
    "proxy.web.admin.* <- proxy.web.admin.api": "The API's table lists a module for each resource.",
    "proxy.isolated.* <- proxy.isolated.confinement": "A means of the kernel is looked for by its own name.",
}
SERVERS: Final = frozenset({"proxy.server", "proxy.web", "proxy.sandbox"})


def unit(module: str) -> str:
    """Returns the row of LAYERS that a module belongs to: the nearest folder's, or its own."""
    names = module.split(".")
    rows = [".".join(names[:end]) for end in range(len(names), 1, -1)]
    return next((row for row in rows if row in LAYERS), ".".join(names[:2]))


def folder(module: str) -> str:
    """Returns the folder of proxy/ that a module is in."""
    return ".".join(module.split(".")[:2])


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
        if target.startswith("aiohttp.web") and folder(module) not in SERVERS:
            yield f"{module} imports {target}: only server, web and sandbox serve"
        if target.startswith("proxy."):
            yield from _upward(module, target)
            yield from _sideways(module, target)
    if folder(module) == "proxy.rollout":
        yield from _named_routes(module, source)


def _upward(module: str, target: str) -> Iterator[str]:
    here, there = unit(module), unit(target)
    if there == here or there not in LAYERS:  # a name of proxy/__init__.py is no module
        return
    if folder(module) == folder(target):
        if LAYERS[there] > LAYERS[here]:
            yield f"{module} imports {target}: {LAYERS[there]} is above {LAYERS[here]}"
        return
    ceiling = CEILINGS.get(folder(module), LAYERS[here] // 10 * 10 - 10)
    if LAYERS[there] // 10 * 10 > max(ceiling, 0):
        yield f"{module} imports {target}: layer {LAYERS[there] // 10} is not below {ceiling // 10 + 1}"


def _sideways(module: str, target: str) -> Iterator[str]:
    if flow(module) and flow(target) and flow(module) != flow(target):
        yield f"{module} imports {target}: flows never import each other"
    if folder(module) == "proxy.rollout" and flow(target):
        yield f"{module} imports {target}: rollout knows no route by name"


def _named_routes(module: str, source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in FLOWS:
            yield f"{module} says {node.value!r}: rollout knows no route by name"


def serving_one(sources: Mapping[str, str]) -> dict[str, int]:
    """Returns `module <- importer` for each module that only one module of its own folder imports.

    The number is the lines of both together. A package's __init__ is its door and counts as no importer.
    """
    importers: defaultdict[str, set[str]] = defaultdict(set)
    for module, source in sources.items():
        for target in set(imported(module, source)) & sources.keys() - {module}:
            importers[target].add(module)
    alone = {module: next(iter(found)) for module, found in importers.items() if len(found) == 1}
    return {
        f"{module} <- {importer}": sum(len(sources[each].splitlines()) for each in (module, importer))
        for module, importer in alone.items()
        if module.rpartition(".")[0] == importer.rpartition(".")[0] and not importer.endswith("__init__")
    }


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


def test_every_folder_has_a_row_unless_it_is_a_command_or_has_only_data() -> None:
    folders = {module.rpartition(".")[0] for module, _ in modules()} - {""}
    rowless = {each for each in folders if each not in LAYERS and not each.startswith("proxy.cli.")}
    assert rowless == {"proxy.store.sql.migrations", "proxy.store.sql.migrations.versions"}


def test_no_folder_has_more_than_16_modules() -> None:
    counted = Counter(module.rpartition(".")[0] for module, _ in modules() if not module.endswith("__init__"))
    free = {"", "proxy.sandbox", "proxy.contract"}
    assert {each: count for each, count in counted.items() if count > 16 and each not in free} == {}


def test_a_module_that_serves_one_sibling_stands_inside_it_unless_a_reason_is_named() -> None:
    short = [pair for pair, lines in serving_one(dict(modules())).items() if lines <= LONGEST]
    excepted = {pair: [each for each in EXCEPTIONS if fnmatchcase(pair, each)] for pair in short}
    join = sorted(pair for pair, reasons in excepted.items() if not reasons)
    unused = set(EXCEPTIONS) - {each for reasons in excepted.values() for each in reasons}
    assert (join, unused) == ([], set())


def test_a_module_serves_one_only_if_its_only_importer_is_a_sibling() -> None:
    sources = {
        "proxy.flows.__init__": "from proxy.flows.door import a",
        "proxy.flows.door": "",
        "proxy.flows.part": "x = 1",
        "proxy.flows.shared": "",
        "proxy.flows.whole": "from proxy.flows import part\nfrom .shared import a",
        "proxy.flows.other": "from proxy.flows.shared import a",
        "proxy.web.far": "import proxy.flows.other",
    }
    assert serving_one(sources) == {"proxy.flows.part <- proxy.flows.whole": 3}


@pytest.mark.parametrize(
    ("module", "source", "said"),
    [
        ("proxy.flows.doc", "from proxy.web import app", "layer 6 is not below 4"),
        ("proxy.flows.doc", "def f():\n    import proxy.web.app", "layer 6 is not below 4"),
        ("proxy.flows.doc", "from ..web import app", "layer 6 is not below 4"),
        ("proxy.flows.__init__", "from .doc import f\nfrom ..web import app", "layer 6 is not below 4"),
        ("proxy.flows.doc", "from proxy import web", "layer 6 is not below 4"),
        ("proxy.store.records.cases", "from proxy.upstream.client import Upstream", "layer 3 is not below 3"),
        ("proxy.upstream.client", "import proxy.store", "layer 3 is not below 3"),
        ("proxy.sandbox.run", "from proxy.settings import Settings", "layer 2 is not below 2"),
        ("proxy.isolated.pool", "from proxy.mapping import table", "layer 2 is not below 2"),
        ("proxy.errors", "from proxy.jsons import load", "layer 1 is not below"),
        ("proxy.flows.doc", "from proxy.flows.query.flow import run", "flows never import each other"),
        ("proxy.flows.doc", "from proxy.flows import query", "flows never import each other"),
        ("proxy.flows.doc", "from . import query", "flows never import each other"),
        ("proxy.flows.doc", "from aiohttp import web", "only server, web and sandbox serve"),
        ("proxy.cli.serve", "import aiohttp.web_app", "only server, web and sandbox serve"),
        ("proxy.rollout.decide", "from proxy.flows import doc", "rollout knows no route by name"),
        ("proxy.rollout.decide", "if route == 'new_case': pass", "rollout knows no route by name"),
        ("proxy.server.tls", "from proxy.web.app import legacy_app", "layer 6 is not below 3"),
        ("proxy.server.tls", "from proxy.store import Store", "layer 3 is not below 3"),
        ("proxy.store.sql.rows", "from proxy.store.records.cases import Cases", "34 is above 31"),
        ("proxy.store.upkeep.probe", "from proxy.store import Store", "37 is above 36"),
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
        ("proxy.web.app", "from proxy.flows import doc, query\nfrom aiohttp import web"),
        ("proxy.values", "from proxy.errors import Refusal"),
        ("proxy.store.records.cases", "from ..sql.database import Database"),
    ],
)
def test_a_module_that_keeps_the_house_passes(module: str, source: str) -> None:
    assert list(problems(module, source)) == []
