"""Plans the messages to LlamaChat for a question, of at most 2000 UTF-16 units each (CONTRACT Q04, Q05)."""

from collections.abc import Generator, Set
from dataclasses import dataclass, field
from typing import Final

from proxy.text.index import Index
from proxy.text.ranking import choosing, whole
from proxy.text.units import split_units, utf16_units

LIMIT: Final = 2000  # llamachat, "POST /api/conversations/{id}/messages", Constraints
PARTS: Final = 5

# UTF-16 units that every question, also a long one, leaves for passages.
_ROOM: Final = 800

_QUESTION: Final = "Pregunta: "
_CONTINUED: Final = "Pregunta (continuación): "


class QuestionTooLong(ValueError):
    """A question that doesn't fit in PARTS messages."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """The messages, to be sent in order; the last one carries the passages with these keys."""

    messages: tuple[str, ...] = field(repr=False)
    sent: Set[str]


def plan(question: str, index: Index, sent: Set[str], instruction: str, part_instruction: str) -> Prompt:
    """Returns the messages for a question about a case; passages in `sent` are in the conversation already.

    Raises QuestionTooLong.
    """
    return whole(planning(question, index, sent, instruction, part_instruction))


def planning(
    question: str, index: Index, sent: Set[str], instruction: str, part_instruction: str
) -> Generator[None, None, Prompt]:
    """Does the same as `plan`, in short steps that don't block the event loop (`choosing`)."""
    room = min(_ROOM, _waiting(index, sent))
    pieces = _pieces(
        question, _left(LIMIT - room, instruction, _CONTINUED), _left(LIMIT, part_instruction, _CONTINUED)
    )
    if len(pieces) > PARTS:
        raise QuestionTooLong
    *leading, last = pieces
    label = _CONTINUED if leading else _QUESTION
    budget = _left(LIMIT, instruction, label, last)
    chosen = yield from choosing(index, question, budget, sent)
    excerpts = "".join(f"{passage.line}\n" for passage in chosen)
    messages = [
        f"{part_instruction}\n\n{_QUESTION if i == 0 else _CONTINUED}{piece}"
        for i, piece in enumerate(leading)
    ]
    messages.append(
        f"{instruction}\n\n{excerpts}\n{label}{last}" if excerpts else f"{instruction}\n\n{label}{last}"
    )
    return Prompt(tuple(messages), frozenset(passage.key for passage in chosen))


def fits(question: str, instruction: str, part_instruction: str) -> bool:
    """Returns True if `plan` takes the question for any case; False if that depends on the case."""
    last_room = _left(LIMIT - _ROOM, instruction, _CONTINUED)
    return len(_pieces(question, last_room, _left(LIMIT, part_instruction, _CONTINUED))) <= PARTS


def _waiting(index: Index, sent: Set[str]) -> int:
    """Returns the UTF-16 units of all passages that have not been sent."""
    return sum(cost for cost, key in zip(index.costs, index.keys, strict=True) if key not in sent)


def _pieces(question: str, last_room: int, lead_room: int) -> list[str]:
    """Returns the question, whole if it fits in the last message, else cut so that its last piece does."""
    if utf16_units(question) <= last_room:
        return [question]
    *leading, tail = split_units(question, lead_room)
    if utf16_units(tail) <= last_room:
        return [*leading, tail]
    last = split_units(tail, last_room)[-1]
    return [*leading, tail.removesuffix(last), last]


def _left(limit: int, *texts: str) -> int:
    """Returns the rest of `limit` beside these texts and the blank lines between the sections."""
    return limit - sum(utf16_units(text) for text in texts) - 4
