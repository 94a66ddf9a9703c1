"""The cache of cases between questions: found by what the case says now, and not for long."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import count
from typing import Any, Final, TypeVar

import pytest

from proxy import jsons
from proxy.compressed import Compressed
from proxy.flows.new_case.documents import read_document
from proxy.flows.query.planning import index_if_small, index_of, planned
from proxy.flows.query.readings import SECONDS, Readings
from proxy.flows.shared.facts import Record
from proxy.flows.shared.offload import shaped
from proxy.isolated.pool import IsolatedPool
from proxy.mapping.shape import Shape
from proxy.spool import Bytes
from proxy.values import Case, CaseFile, Json, Tokens
from tests.samples import docx, long_pages, pdf

T = TypeVar("T")
AT: Final = datetime(2026, 11, 29, tzinfo=UTC)
TEXTS: Final = ("Responde.", "Sigue.")


@dataclass
class Clock:
    """Calls that are to come, with the seconds until then."""

    coming: dict[int, tuple[float, Callable[[], None]]] = field(default_factory=dict)
    numbers: Iterator[int] = field(default_factory=count)

    def later(self, seconds: float, call: Callable[[], None]) -> "Call":
        number = next(self.numbers)
        self.coming[number] = seconds, call
        return Call(self.coming, number)

    def pass_by(self) -> None:
        for _, call in [*self.coming.values()]:
            call()


@dataclass(frozen=True)
class Call:
    coming: dict[int, Any]
    number: int

    def cancel(self) -> None:
        self.coming.pop(self.number, None)


class Counting(IsolatedPool):
    """Workers that count their tasks, and do them here."""

    def __init__(self) -> None:
        super().__init__()
        self.tasks: list[str] = []

    async def run(self, task: Callable[..., T], *args: object, **_: Any) -> T:
        self.tasks.append(task.__name__)
        return task(*args)


def record(ehr: Json = None, conversation: str = "", text: str = "", case: str = "c-1") -> Record:
    file = CaseFile("informe.pdf", "application/pdf", 1, "", Compressed.from_text(text))
    packed = Compressed.from_text(jsons.dump(ehr)) if ehr is not None else None
    owner = ("owner", "ana@example.org", "Norte", "p-1", "Ana", "")
    about = Case(case, *owner, AT, 1, None, None, Tokens(0, 0, 0), packed, conversation, (file,))
    return Record(about, [], [])


LONG: Final = record(text="\f".join(long_pages(200, {40: "Alérgico a la penicilina."})), case="c-2")
SMALL: Final = record({"alergias": "penicilina"}, "Hola.")


async def ask(workers: IsolatedPool, readings: Readings, about: Record, question: str = "¿Alergias?") -> str:
    return (await planned(workers, readings, question, about, set(), *TEXTS)).messages[-1]


async def test_query_Q04_a_long_case_is_read_once_and_a_small_one_by_no_worker() -> None:
    workers, readings = Counting(), Readings(Clock().later)
    for _ in range(3):
        assert "penicilina" in await ask(workers, readings, LONG)
        assert "penicilina" in await ask(workers, readings, SMALL)
    assert workers.tasks == ["index_of"]


async def test_query_Q04_what_has_changed_of_a_case_is_read_anew() -> None:
    workers, readings = Counting(), Readings(Clock().later)
    await ask(workers, readings, LONG)
    now = replace(LONG, case=replace(LONG.case, conversation="Alergia al látex desde ayer."))
    assert "látex" in await ask(workers, readings, now, "¿Alergia al látex?")
    assert workers.tasks == ["index_of"] * 2


async def test_query_Q04_the_case_of_another_owner_is_another_case() -> None:
    readings = Readings(Clock().later)
    readings.put(LONG, index_of(LONG))
    assert readings.get(replace(LONG, case=replace(LONG.case, owner="somebody else"))) is None


async def test_a_reading_leaves_when_nobody_asks_any_more() -> None:
    clock = Clock()
    readings = Readings(clock.later)
    readings.put(SMALL, index_of(SMALL))
    readings.get(SMALL)
    assert [seconds for seconds, _ in clock.coming.values()] == [SECONDS]
    clock.pass_by()
    assert readings.get(SMALL) is None
    assert not clock.coming, "nothing is left to come"


async def test_all_readings_leave_when_told() -> None:
    clock = Clock()
    readings = Readings(clock.later)
    readings.put(SMALL, index_of(SMALL))
    readings.forget()
    assert (readings.get(SMALL), clock.coming) == (None, {})


async def test_readings_take_no_more_room_than_they_have_and_the_oldest_leaves() -> None:
    cases = [record(conversation="Dolor de rodilla. " * 20, case=f"c-{number}") for number in range(20)]
    index = index_of(cases[0])
    readings = Readings(Clock().later, memory=10 * (index.memory + cases[0].size))
    for number, each in enumerate(cases):
        readings.put(each, index)
        assert readings.get(cases[0]), f"the first is asked for again after case {number}"
    kept = [each.case.id for each in cases if readings.get(each)]
    assert kept == ["c-0", *(f"c-{number}" for number in range(11, 20))]


async def test_a_reading_that_would_take_the_room_of_others_is_not_kept() -> None:
    readings = Readings(Clock().later, memory=3 * index_of(LONG).memory)
    readings.put(LONG, index_of(LONG))
    assert readings.get(LONG) is None


@pytest.mark.parametrize(
    "hostile",
    [
        record({"k" * 4000: [1] * 4000}),
        record([1] * 5000),
        record([[]] * 4000),
        record(conversation="a\f" * 5000),
        record(conversation="a" * 50_000),
    ],
    ids=["a long key over many values", "numbers", "empty lists", "pages", "length"],
)
async def test_query_Q04_a_small_record_that_takes_long_to_read_is_a_workers(hostile: Record) -> None:
    assert index_if_small(hostile) is None
    workers = Counting()
    await ask(workers, Readings(Clock().later), hostile)
    assert workers.tasks == ["index_of"]


async def test_query_Q04_a_small_record_reads_the_same_wherever_it_is_read() -> None:
    ehr: Json = {f"sección {number}": {"fecha": "2020-01-01", "texto": "Sin fiebre."} for number in range(80)}
    small = record(ehr, "Hola.\n\n¿Qué tal?", "Uno.\fDos.")
    assert index_if_small(small) == index_of(small)


@pytest.mark.parametrize(
    ("content", "name", "kind", "tasks"),
    [
        (b"Sin alergias.", "nota.txt", "text/plain", []),
        (b"Sin alergias. " * 4096, "nota.txt", "text/plain", ["_read"]),
        (b"", "nota.txt", "text/plain", []),
        (bytes(100_000), "foto.png", "image/png", []),
        (pdf(["Sin alergias."]), "informe.pdf", "application/pdf", ["_read"]),
        (pdf(["Sin alergias."]), "nota.txt", "text/plain", ["_read"]),
        (docx(["Sin alergias."]), "informe.docx", "", ["_read"]),
        (b"%PDF-", "a.pdf", "", ["_read"]),
    ],
)
async def test_document_N12_no_parser_runs_here_and_no_worker_for_what_needs_none(
    content: bytes, name: str, kind: str, tasks: list[str]
) -> None:
    workers = Counting()
    await read_document(workers, Bytes(content), name, kind)
    assert workers.tasks == tasks


async def test_encounters_several_small_cases_are_shaped_here_with_pauses() -> None:
    workers = Counting()
    beside = asyncio.create_task(asyncio.sleep(0))
    told = await shaped(workers, Shape(()), [replace(SMALL) for _ in range(20)])
    assert (told, workers.tasks, beside.done()) == ([b"{}"] * 20, [], True)
