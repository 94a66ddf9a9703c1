"""The passages chosen for a question hold its answer."""

import re
import sqlite3
import unicodedata
from collections.abc import Sequence, Set
from contextlib import closing
from random import Random
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.text import ranking
from proxy.text.index import Index
from proxy.text.passages import Passage, from_json, split
from proxy.text.units import utf16_units
from proxy.values import Json
from tests.samples import long_pages

BUDGET: Final = 1600
PAGES: Final = 200

_DRUGS: Final = (
    "enalapril",
    "metformina",
    "sertralina",
    "bisoprolol",
    "omeprazol",
    "rivaroxabán",
    "tamsulosina",
)
_PLACES: Final = (
    "Lugo",
    "Teruel",
    "Cádiz",
    "Ávila",
    "Huesca",
    "Mérida",
    "Girona",
    "Soria",
    "Zamora",
    "Jaén",
    "Vic",
)
_ORGANS: Final = (
    "rodilla",
    "cadera",
    "hombro",
    "vesícula",
    "tiroides",
    "próstata",
    "muñeca",
    "tobillo",
    "mama",
)
# (fact, question): other inflections, other accents, other order.
_SHAPES: Final = (
    (
        "Intervenido de {organ} en {place} en {year}.",
        "¿Que intervencion de {organ} le hicieron en {year} en {place}?",
    ),
    (
        "Suspendió {drug} en {year} por mareos en {place}.",
        "¿Por qué se suspendió {drug} en {place}, año {year}?",
    ),
    (
        "Desde {year} toma {drug}, pautado en {place}.",
        "¿Qué pauta de {drug} lleva desde {year}, la de {place}?",
    ),
    (
        "Ingresó en {place} en {year} por dolor de {organ}.",
        "¿Cuándo fue el ingreso de {place} ({year}) por {organ}?",
    ),
    (
        "Alérgico a {drug}: urticaria en {place}, {year}.",
        "¿Tuvo alergia a {drug} en {year}, estando en {place}?",
    ),
)


def choose(passages: Sequence[Passage], question: str, budget: int, exclude: Set[str]) -> list[Passage]:
    return ranking.choose(Index.of(passages), question, budget, exclude)


def _plain(text: str) -> str:
    """Returns a text as it is typed in a hurry: capitals, no accents."""
    return text.upper().translate(str.maketrans("ÁÉÍÓÚ", "AEIOU"))


def _told(number: int) -> tuple[str, str]:
    """Returns the fact on page `number`, and a question about it."""
    fact, question = _SHAPES[number % len(_SHAPES)]
    words = {
        "drug": _DRUGS[number % len(_DRUGS)],
        "place": _PLACES[number % len(_PLACES)],
        "organ": _ORGANS[number % len(_ORGANS)],
        "year": 1950 + number % 70,
    }
    return fact.format(**words), _plain(question.format(**words))


@pytest.fixture(scope="module")
def document() -> list[Passage]:
    """Returns 200 pages in Spanish; each has one fact, whose words are on many other pages too."""
    facts = {number: _told(number)[0] for number in range(1, PAGES + 1)}
    return split("informe.pdf", "\f".join(long_pages(PAGES, facts)))


@pytest.mark.parametrize("page", range(3, PAGES, 5))
def test_ranking_Q04_on_200_pages_the_right_passage_is_among_those_sent(
    document: list[Passage], page: int
) -> None:
    fact, question = _told(page)
    chosen = choose(document, question, BUDGET, set())
    assert any(fact in passage.text and passage.source == f"informe.pdf p. {page}" for passage in chosen)


@pytest.mark.parametrize(
    ("fact", "question"),
    [
        ("El paciente es alérgico a la penicilina.", "¿Tiene alergias?"),
        ("Fue operado de apendicitis en 1998.", "¿Que OPERACION le han hecho?"),
        ("Fumadora de 20 cigarrillos al día.", "¿Fuma?"),
        ("Diagnosticado de diabetes mellitus tipo 2.", "¿Cuál es el diagnóstico principal?"),
        ("Medicamentos: enalapril 5 mg.", "medicación actual"),
        ("Antecedente familiar: cardiopatía isquémica de la madre.", "¿Qué antecedentes familiares hay?"),
        ("Vacunada frente a la gripe.", "¿Qué vacunas lleva puestas?"),
        ("Allergic to latex.", "Any allergies?"),
        ("Grupo sanguíneo AB negativo.", "grupo sangui\u0301neo"),
        ("TSH 4,5 mUI/l", "¿Y la TSH?"),
    ],
)
def test_ranking_Q04_a_fact_is_found_in_other_inflections_and_accents(fact: str, question: str) -> None:
    pages = long_pages(60, {})
    pages[39] = f"{pages[39]}\n\n{fact}"
    chosen = choose(split("informe.pdf", "\f".join(pages)), question, 450, set())
    assert any(fact in passage.text for passage in chosen)


def test_a_key_in_camel_case_is_found_by_its_words() -> None:
    fields: dict[str, Json] = {f"field{number}": "x" * 300 for number in range(9)}
    passages = from_json("ehr", fields | {"patientAllergies": "y" * 280})
    assert "patientAllergies" in choose(passages, "Any allergies?", 330, set())[0].text


def test_a_page_is_found_by_its_number(document: list[Passage]) -> None:
    assert choose(document, "Resume la página 187", 400, set())[0].source == "informe.pdf p. 187"


@settings(deadline=None, max_examples=40)
@given(
    st.text() | st.sampled_from(['"', "NEAR(", "a* OR", "body : x", "-", "{a b}", "AND", "^a", "a + b", "'"])
)
def test_ranking_Q04_no_question_is_a_syntax_error(question: str) -> None:
    passages = split("nota.txt", "Uno dos tres. " * 100)
    assert choose(passages, question, BUDGET, set())


def test_ranking_Q05_a_question_of_thousands_of_words_is_answered(document: list[Passage]) -> None:
    question = " ".join(f"palabra{number}" for number in range(5000))
    assert choose(document, question, BUDGET, set())


@pytest.mark.parametrize("question", ["", "¿?", "😀", "xilófono"])
def test_ranking_Q04_without_a_known_word_the_document_is_sent_from_its_beginning(
    document: list[Passage], question: str
) -> None:
    order = [document.index(passage) for passage in choose(document, question, BUDGET, set())]
    assert order[:3] == [0, 1, 2]
    assert order == sorted(order)


def test_stopwords_count_when_there_is_nothing_else() -> None:
    passages = split("a", "Sí.\fNo.\fQuizá él.")
    assert choose(passages, "¿Y él?", 20, set())[0].text == "Quizá él."


@pytest.mark.parametrize("budget", [0, 10, 400, 2000])
def test_ranking_Q04_what_is_chosen_fits_the_budget_in_utf16_units(budget: int) -> None:
    passages = split("😀.txt", "Dolor 😀😀😀 intenso. " * 200)
    chosen = choose(passages, "¿dolor?", budget, set())
    assert utf16_units("\n".join(passage.line for passage in chosen)) <= budget


def test_ranking_Q04_the_budget_is_used_up(document: list[Passage]) -> None:
    used = sum(utf16_units(passage.line) + 1 for passage in choose(document, "xilófono", BUDGET, set()))
    assert used > BUDGET - 100


def test_ranking_Q04_a_passage_that_fits_to_the_last_unit_is_chosen() -> None:
    # "[a] 🙂🙂" has eight units, and one for its line end.
    (passage,) = split("a", "🙂🙂")
    assert choose([passage], "", 9, set()) == [passage]
    assert choose([passage], "", 8, set()) == []


def test_ranking_Q04_passages_already_sent_are_not_sent_again(document: list[Passage]) -> None:
    _, question = _told(40)
    first = choose(document, question, BUDGET, set())
    sent = {passage.key for passage in first}
    second = choose(document, question, BUDGET, sent)
    assert second
    assert sent.isdisjoint(passage.key for passage in second)


def test_when_everything_was_sent_nothing_is_left_to_send() -> None:
    passages = split("a", "Uno")
    assert choose(passages, "uno", BUDGET, {passage.key for passage in passages}) == []


# What SQLite's search engine makes of the same passages, by the same words: an eye of its own.

_TABLE: Final = (
    "CREATE VIRTUAL TABLE passage USING fts5(body, source, tokenize = 'unicode61 remove_diacritics 2')"
)
_QUERY: Final = "SELECT rowid FROM passage WHERE passage MATCH ? ORDER BY bm25(passage, 1.0, 0.3), rowid"
_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def _match(question: str) -> str:
    marked = unicodedata.normalize("NFKD", question.lower())
    folded = "".join(sign for sign in marked if not unicodedata.combining(sign))
    words = dict.fromkeys(re.findall(r"[^\W_]+", folded))
    telling = [word for word in words if word not in ranking._STOPWORDS] or list(words)
    beginnings = {
        word: f' OR "{word[: max(4, int(0.6 * len(word)))]}"*' for word in telling if len(word) >= 5
    }
    return " OR ".join(f'"{word}"{beginnings.get(word, "")}' for word in telling)


def ranked_by_sqlite(passages: Sequence[Passage], question: str) -> list[Passage]:
    if not (match := _match(question)):
        return []
    with closing(sqlite3.connect(":memory:")) as database:
        database.execute(_TABLE)
        rows = ((number, _CAMEL.sub(" ", each.text), each.source) for number, each in enumerate(passages))
        database.executemany("INSERT INTO passage (rowid, body, source) VALUES (?, ?, ?)", rows)
        return [passages[number] for (number,) in database.execute(_QUERY, (match,))]


@pytest.mark.parametrize("page", range(1, PAGES, 9))
def test_ranking_Q04_the_order_is_the_one_of_sqlites_search_whatever_was_sent(
    document: list[Passage], page: int
) -> None:
    _, question = _told(page)
    sent = {passage.key for passage in Random(page).sample(document, 400)}
    unsent = [passage for passage in document if passage.key not in sent]
    expected = ranked_by_sqlite(unsent, question)
    assert choose(document, question, 10_000_000, sent)[: len(expected)] == expected


@settings(deadline=None, max_examples=100)
@given(
    st.lists(st.text(alphabet="aáñÑ bcB1_.- \u0301é\nüÜ", min_size=1, max_size=40), min_size=1, max_size=12),
    st.text(alphabet="aáñÑ bcB1_.- \u0301é\nüÜ", max_size=30),
)
def test_ranking_Q04_words_are_told_apart_as_sqlite_does(texts: list[str], question: str) -> None:
    passages = [Passage(f"s p. {number}", text, str(number)) for number, text in enumerate(texts)]
    expected = ranked_by_sqlite(passages, question)
    assert choose(passages, question, 10_000_000, set())[: len(expected)] == expected


def test_ranking_Q05_a_question_of_thousands_of_words_holds_up_nobody(document: list[Passage]) -> None:
    """Lets others run between the steps, each of which is short."""
    question = " ".join(f"pacien{number} informe{number}" for number in range(500))
    steps = ranking.choosing(Index.of(document), question, BUDGET, set())
    assert sum(1 for _ in steps) > 5
