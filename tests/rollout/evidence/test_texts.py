"""Error texts are stored only once several callers got them, and masked."""

from itertools import cycle, islice, product
from string import ascii_lowercase
from typing import Final

import pytest

from proxy.rollout.evidence.texts import MAX_SIGNS, MAX_TEXTS, Texts

WORDS: Final = ["".join(pair) for pair in islice(product(ascii_lowercase, repeat=2), MAX_TEXTS)]


def kept(text: str, own: tuple[str, ...] = ()) -> str | None:
    """Returns the stored form of a text that is common."""
    texts = Texts()
    callers = cycle(("one", "two"))
    return [texts.note(text, next(callers), own) for _ in range(3)][-1]


@pytest.mark.parametrize(
    ("callers", "told"),
    [
        ("ab", [False, False]),
        ("aba", [False, False, True]),
        ("aab", [False, False, True]),
        ("aaaaaa", [False] * 6),
        ("aaaab", [False, False, False, False, True]),
        ("abab", [False, False, True, True]),
        ("abc", [False, False, True]),
    ],
)
def test_a_text_is_told_once_it_came_three_times_and_from_two_callers(callers: str, told: list[bool]) -> None:
    texts = Texts()
    assert [texts.note("No autorizado", caller) is not None for caller in callers] == told


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("Unauthorized", "Unauthorized"),
        ("Método no permitido", "Método no permitido"),
        ("  dos\n\tlíneas\x00 ", "dos líneas"),
        ("caso 4711 de 2025", "caso # de #"),
        ("paciente 12345678Z", "paciente #Z"),
        ("usuario ana.perez+1@clinica.example.", "usuario {mail}"),
        ("<ana@clinica.example>", "<{mail}>"),
        ("caso 1d4834c3-6fa0-4aa9-9f68-37e763efb999 perdido", "caso {id} perdido"),
        ("caso 1D4834C3-6FA0-4AA9-9F68-37E763EFB999", "caso {id}"),
        ("caso abcdefab-cdef-abcd-efab-cdefabcdefab", "caso {id}"),
        ("token eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJ4In0.c2ln", "token {id}"),
        ("otorrinolaringología sin cifras", "otorrinolaringología sin cifras"),
    ],
)
def test_ids_mails_and_digits_are_masked(text: str, masked: str) -> None:
    assert kept(text) == masked


def test_the_requests_own_words_are_masked_the_longest_first() -> None:
    assert kept("caso mi-caso-A y mi-caso", ("mi-caso", "", "mi-caso-A")) == "caso {id} y {id}"


def test_texts_that_differ_only_in_what_is_masked_are_one() -> None:
    texts = Texts()
    said = [
        texts.note(f"caso {own} no existe", caller, (own,))
        for own, caller in (("mi-caso", "1"), ("tu-caso", "2"), ("su-caso", "1"))
    ]
    assert said == [None, None, "caso {id} no existe"]


@pytest.mark.parametrize("text", ["", " \n", "\x00"])
def test_a_text_of_nothing_is_not_kept(text: str) -> None:
    assert kept(text) is None


def test_a_long_text_is_cut_and_a_very_long_one_is_not_kept() -> None:
    assert kept("ab " * 100) == ("ab " * 100)[:MAX_SIGNS]
    assert kept("a" * 5000) is None
    assert kept("1 " * 800 + "ana@clinica.example") == "# " * 100


def test_one_that_was_rare_for_longest_makes_room_for_a_new_one() -> None:
    texts = Texts()
    texts.note("viejo", "one")
    for word in WORDS:
        texts.note(f"otro {word}", "one")
    assert [texts.note("viejo", "two"), texts.note("viejo", "one")] == [None, None]
    assert texts.note("viejo", "one") == "viejo"


def test_common_texts_stay_and_where_all_are_common_no_other_is_remembered() -> None:
    texts = Texts()
    for word in WORDS:
        for caller in "aba":
            texts.note(f"común {word}", caller)
    assert [texts.note("nuevo", caller) for caller in "ababab"] == [None] * 6
    assert texts.note("común aa", "a") == "común aa"
