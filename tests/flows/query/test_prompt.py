"""The messages to LlamaChat for a question: they fit, and have the passages that fit it best."""

import re
from typing import Final

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from proxy.flows.query.prompt import LIMIT, PARTS, Prompt, QuestionTooLong, fits, plan
from proxy.text.index import Index
from proxy.text.passages import split
from proxy.text.units import utf16_units
from tests.samples import long_pages

INSTRUCTION: Final = "Responde solo con los datos aportados."
PART: Final = "La pregunta sigue; responde solo: OK."
FACT: Final = "Alérgico a la penicilina desde 1987."
CASE: Final = split("informe.pdf", "\f".join([*long_pages(20, {}), FACT]))


def planned(question: str, sent: frozenset[str] = frozenset(), instruction: str = INSTRUCTION) -> Prompt:
    return plan(question, Index.of(CASE), sent, instruction, PART)


def asked(message: str) -> str:
    """The piece of the question with which a message ends."""
    return re.split(r"\nPregunta(?: \(continuación\))?: ", message, maxsplit=1)[1]


def test_prompt_Q04_a_message_is_the_instruction_the_passages_and_the_question() -> None:
    prompt = plan("¿Alergias?", Index.of(split("nota.txt", FACT)), set(), INSTRUCTION, PART)
    assert prompt.messages == (f"{INSTRUCTION}\n\n[nota.txt] {FACT}\n\nPregunta: ¿Alergias?",)


def test_prompt_Q04_without_passages_the_question_is_still_asked() -> None:
    prompt = plan("¿Alergias?", Index.of([]), set(), INSTRUCTION, PART)
    assert prompt.messages == (f"{INSTRUCTION}\n\nPregunta: ¿Alergias?",)
    assert prompt.sent == set()


def test_prompt_Q04_the_best_passage_comes_first_and_the_message_is_filled() -> None:
    [message] = planned("¿Tiene alergia a la penicilina?").messages
    assert message.removeprefix(INSTRUCTION).lstrip().startswith("[informe.pdf p. 21] Alérgico")
    assert utf16_units(message) > LIMIT - 400


def test_prompt_Q04_what_is_said_to_be_sent_is_what_the_messages_hold() -> None:
    prompt = planned("¿Tiene alergias?")
    held = {passage.key for passage in CASE if passage.line in prompt.messages[-1]}
    assert prompt.sent == held != set()


def test_prompt_Q04_what_was_sent_is_not_sent_again() -> None:
    first = planned("¿Tiene alergia a la penicilina?")
    second = planned("¿Tiene alergia a la penicilina?", frozenset(first.sent))
    assert FACT not in second.messages[-1]
    assert second.sent
    assert first.sent.isdisjoint(second.sent)


def test_prompt_Q05_a_long_question_leaves_room_for_passages_in_its_last_message() -> None:
    prompt = planned("¿Tiene alergia a la penicilina? " * 150)
    *leading, last = prompt.messages
    assert leading
    assert FACT in last
    assert not any("[informe.pdf" in message for message in leading)


def test_prompt_Q05_each_message_but_the_last_says_that_the_question_goes_on() -> None:
    *leading, last = planned("palabra " * 600).messages
    assert [message.startswith(f"{PART}\n\nPregunta") for message in leading] == [True] * len(leading)
    assert last.startswith(INSTRUCTION)
    assert "Pregunta (continuación): " in last


def test_prompt_Q05_when_all_passages_were_sent_the_whole_message_is_the_questions() -> None:
    everything = frozenset(passage.key for passage in CASE)
    question = "p" * 1800
    assert len(planned(question, everything).messages) == 1
    assert len(planned(question).messages) == 2


@settings(deadline=None, max_examples=60)
@given(
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=60),
    st.integers(1, 300),
    st.sampled_from([INSTRUCTION, "😀" * 400, "i"]),
)
@example("😀", 3000, INSTRUCTION)
@example("a😀", 2500, "😀" * 400)
@example("\n", 1900, INSTRUCTION)
def test_prompt_Q05_at_most_five_messages_of_at_most_2000_units_hold_the_whole_question(
    piece: str, times: int, instruction: str
) -> None:
    question = piece * times
    try:
        prompt = planned(question, instruction=instruction)
    except QuestionTooLong:
        # A cut at a white space may leave half of a message unused, never more.
        assert utf16_units(question) > (PARTS - 1) * LIMIT // 2 - 200
        assert not fits(question, instruction, PART), "a conversation would have been begun for it"
        return
    assert 1 <= len(prompt.messages) <= PARTS
    assert all(1 <= utf16_units(message) <= LIMIT for message in prompt.messages)
    assert "".join(map(asked, prompt.messages)) == question


@pytest.mark.parametrize(("words", "parts"), [(100, 1), (230, 2), (400, 3), (600, 4), (850, 5)])
def test_prompt_Q05_a_question_takes_as_many_parts_as_it_needs(words: int, parts: int) -> None:
    assert len(planned("palabras " * words).messages) == parts


@pytest.mark.parametrize("question", ["palabras " * 1100, "p" * 10_000, "😀" * 5000])
def test_prompt_Q05_a_question_beyond_five_parts_is_refused(question: str) -> None:
    with pytest.raises(QuestionTooLong):
        planned(question)
