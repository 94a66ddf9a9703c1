"""Texts cut into passages: nothing lost, nothing torn apart that belongs together."""

import re
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.jsons import dump
from proxy.text.passages import LENGTH, from_json, split
from proxy.values import Json
from tests.samples import long_pages

keys = st.text(alphabet="abñ. \n", min_size=1, max_size=12)
objects = st.dictionaries(
    keys,
    st.recursive(
        st.text(alphabet="aé.: \n😀", max_size=900) | st.integers() | st.none(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
        max_leaves=12,
    ),
    max_size=4,
)


def _visible(text: str) -> str:
    return re.sub(r"\s", "", text)


@settings(deadline=None)
@given(st.text(alphabet="aé.!: \n\f\t😀", max_size=2000))
def test_passages_Q04_no_character_of_a_text_is_lost(text: str) -> None:
    passages = split("nota.txt", text)
    assert _visible("".join(passage.text for passage in passages)) == _visible(text)
    assert all(0 < len(passage.text) <= LENGTH for passage in passages)


def test_passages_Q04_words_are_only_cut_when_they_are_longer_than_a_passage() -> None:
    text = "palabra " * 300 + "x" * 1000
    words = Counter(word for passage in split("nota.txt", text) for word in passage.text.split())
    assert words["palabra"] == 300
    assert sum(word.count("x") * times for word, times in words.items() if "x" in word) == 1000


def texts(text: str) -> list[str]:
    return [passage.text for passage in split("a", text)]


def sentences(length: int) -> str:
    """Sentences of ten characters, their blanks too, and a word at the end."""
    count = length // 10 - 1
    return "Sin gota. " * count + "y" * (length - 10 * count)


def test_passages_Q04_a_text_as_long_as_a_passage_is_one_and_a_longer_one_is_parted() -> None:
    assert texts(sentences(LENGTH)) == [sentences(LENGTH)]
    assert len(texts(sentences(LENGTH + 1))) == 2
    assert [len(piece) for piece in texts("x" * (2 * LENGTH + 1))] == [LENGTH, LENGTH, 1]


def test_passages_Q04_a_passage_is_as_long_as_its_borders_allow() -> None:
    first, *_ = texts(sentences(2 * LENGTH))
    # The 35th sentence ends at 349, its blank at 350.
    assert len(first) == LENGTH - 1
    assert len(texts("Nota breve. " + "palabra " * 80)[0]) > LENGTH // 2, "a border in the first half is none"
    half = "y" * (LENGTH // 2) + "."
    assert texts(half + " " + "palabra " * 40)[0] == half, "the first border of the second half is one"
    assert texts(f"{'z ' * 100}fin; {'z ' * 100}")[0].endswith("fin;")


def test_passages_Q04_lines_that_fit_exactly_share_a_passage_and_longer_ones_do_not() -> None:
    for over, count in ((0, 1), (1, 2)):
        # Of two holders, "a.b: " and "c.d: " before them, a line end between them.
        ehr: Json = {"a": {"b": "x" * 100}, "c": {"d": "y" * (LENGTH - 100 - 5 - 5 - 1 + over)}}
        assert len(from_json("ehr", ehr)) == count


def test_passages_Q04_an_object_as_long_as_a_passage_stays_whole_and_a_longer_one_is_parted() -> None:
    for over, first in ((0, 1), (1, 2)):
        held: Json = {"b": "x" * 100, "d": "y" * (LENGTH - 100 - 5 - 5 - 1 + over)}
        lines = from_json("ehr", {"z": "w" * 100, "a": held})[0].text.split("\n")
        assert len(lines) == first


def test_passages_Q04_a_path_is_repeated_unless_it_is_too_long_for_that() -> None:
    for length, repeated in ((118, True), (119, False)):  # and ": " behind it
        passages = from_json("ehr", {"k" * length: "Sin dolor. " * 100})
        assert all(passage.text.startswith("kkk") for passage in passages) is repeated
    whole = from_json("ehr", {"k" * 98: "x" * 1000})
    assert [len(passage.text) for passage in whole[:3]] == [LENGTH] * 3


def test_passages_Q04_a_file_name_of_sixty_characters_is_shown_and_a_longer_one_loses_its_middle() -> None:
    name = "a" * 30 + "b" * 30
    assert [split(each, "x")[0].source for each in (name, name + "c")] == [name, f"{'a' * 30}…{'b' * 28}c"]


def test_sentences_stay_whole() -> None:
    page = long_pages(1, {})[0].replace("\n", " ")
    assert all(passage.text.endswith(".") for passage in split("nota.txt", page))


def test_a_paragraph_ends_a_passage_before_a_sentence_does() -> None:
    first, second = "Uno. " * 45, "Dos. " * 45
    assert [passage.text for passage in split("a", f"{first}\n\n{second}")] == [first.strip(), second.strip()]


def test_a_heading_stays_with_what_follows() -> None:
    text = "\n".join(["Glucosa 95 mg/dl"] * 20 + ["Alergias:", "Penicilina"] + ["Urea 40 mg/dl"] * 20)
    assert any("Alergias:\nPenicilina" in passage.text for passage in split("a", text))


def test_passages_Q04_a_passage_names_its_page() -> None:
    sources = [passage.source for passage in split("informe.pdf", "Uno\f\fTres")]
    assert sources == ["informe.pdf p. 1", "informe.pdf p. 3"]


def test_a_text_without_pages_has_no_page_in_its_source() -> None:
    assert split("nota.txt", "Uno")[0].line == "[nota.txt] Uno"


def test_a_very_long_file_name_leaves_room_for_the_text() -> None:
    (passage,) = split("informe" * 100 + ".pdf", "Uno")
    assert len(passage.source) <= 60
    assert passage.source.endswith(".pdf")


def test_the_key_of_a_passage_is_its_text_and_its_source() -> None:
    one, same, other_text, other_source = (
        split(source, text)[0].key for source, text in [("a", "x"), ("a", "x"), ("a", "y"), ("b", "x")]
    )
    assert one == same
    assert len({one, other_text, other_source}) == 3


def test_passages_G10_a_passage_does_not_show_its_text() -> None:
    assert "tos" not in repr(split("Ana.txt", "tos")[0])
    assert "Ana" not in repr(split("Ana.txt", "tos")[0])


def test_passages_Q04_each_leaf_of_the_ehr_is_a_line_with_its_path() -> None:
    ehr: Json = {
        "nhc": "7",
        "paciente": {"nombre": "Ana", "edad": 30},
        "alergias": [],
        "notas": "",
        "peso": None,
    }
    (passage,) = from_json("ehr", ehr)
    assert passage.source == "ehr"
    assert passage.text.split("\n") == [
        "nhc: 7",
        "paciente.nombre: Ana",
        "paciente.edad: 30",
        "alergias: []",
        'notas: ""',
        "peso: null",
    ]


def test_passages_Q04_the_fields_of_an_entry_stay_together() -> None:
    entries: list[Json] = [
        {"farmaco": f"Fármaco {number}", "dosis": f"{number} mg", "pauta": "cada ocho horas"}
        for number in range(50)
    ]
    texts = [passage.text for passage in from_json("ehr", {"medicacion": entries})]
    for number in range(50):
        (holder,) = (text for text in texts if f"Fármaco {number}\n" in text)
        assert f"medicacion[{number + 1}].dosis: {number} mg\n" in holder


def test_passages_Q04_every_passage_of_a_long_value_repeats_its_path() -> None:
    passages = from_json("ehr", {"anamnesis": {"actual": "Refiere tos seca. " * 100}})
    assert len(passages) > 5
    assert all(passage.text.startswith("anamnesis.actual: Refiere") for passage in passages)


@settings(deadline=None)
@given(objects)
def test_passages_Q04_no_key_and_no_value_of_the_ehr_is_lost(ehr: dict[str, Json]) -> None:
    passages = from_json("ehr", ehr)
    assert all(len(passage.text) <= LENGTH for passage in passages)
    shown = _visible("".join(passage.text for passage in passages))
    assert all(_visible(key) in shown for key in ehr)
    assert all(
        _visible(word) in shown for value in ehr.values() if isinstance(value, str) for word in value.split()
    )


@pytest.mark.parametrize("value", ["tos", 5, None, {}, [], "x" * 2000, {"k" * 5000: {"j" * 5000: "v"}}])
def test_any_value_has_passages(value: Json) -> None:
    passages = from_json("ehr", value)
    assert passages
    assert all(len(passage.text) <= LENGTH for passage in passages)
    assert len(_visible("".join(passage.text for passage in passages))) >= len(dump(value)) - 8 * len(
        passages
    )


@pytest.mark.parametrize(
    "text", ["a\t  b \n \n\n c", "uno\x1cdos", "a\u2003b\xa0c", "x \n y", " \n \n", "a\r\n\r\nb"]
)
def test_passages_Q04_blanks_are_tidied_wherever_they_come_from(text: str) -> None:
    tidy = re.sub(r"\s*\n\s*\n\s*", "\n\n", re.sub(r"[^\S\n]+", " ", text)).strip()
    assert (
        "".join(passage.text for passage in split("a", text)) == "".join(re.split(r"(?<=\n\n)", tidy)).strip()
    )
