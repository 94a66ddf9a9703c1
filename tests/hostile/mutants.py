"""Sound requests with bytes changed, cut out, doubled, or taken from another one, by a seed."""

from collections.abc import Iterator, Mapping
from random import Random
from typing import Final

from tests.hostile.sound import NONE, Hostile, Sound, canary

# Bytes that mean something on the way.
_SHARP: Final = b"\0\r\n\t :;,=\"'%&?#/\\{}[]()<>-_.+*0198aAfF\x7f\x80\xc3\xff"
# What a request may be answered that nobody can foresee; the texts are judged all the same.
_STATUSES: Final = frozenset({NONE, 200, 302, 400, 401, 404, 405, 409, 413, 415, 417, 500})
# Two requests may come of one, and one behind it be broken.
_ANSWERS: Final = 4


def mutants(sounds: Mapping[str, Sound], count: int, random: Random) -> Iterator[Hostile]:
    for number in range(count):
        sound = random.choice(list(sounds.values()))
        other = random.choice(list(sounds.values()))
        data = bytearray(sound.render(b"X-Odd: " + canary("mutant")))
        for _ in range(random.choice((1, 1, 2, 4, 16))):
            random.choice(_WAYS)(data, other.render(), random)
        cut = random.randrange(len(data) + 1)
        pieces = (bytes(data[:cut]), bytes(data[cut:]))
        yield Hostile(f"mutant {number} of {sound.route}", sound, pieces, _STATUSES, _ANSWERS, ends=True)


def _place(data: bytearray, random: Random) -> int:
    """Most are in the head, where most of the meaning is."""
    head = data.find(b"\r\n\r\n") + 4
    return (
        random.randrange(min(head, len(data)) or 1)
        if random.random() < 0.7
        else random.randrange(len(data) or 1)
    )


def _sharpen(data: bytearray, _: bytes, random: Random) -> None:
    if data:
        data[_place(data, random) % len(data)] = random.choice(_SHARP)


def _insert(data: bytearray, _: bytes, random: Random) -> None:
    at = _place(data, random)
    data[at:at] = bytes(random.choices(_SHARP, k=random.choice((1, 2, 8))))


def _cut_out(data: bytearray, _: bytes, random: Random) -> None:
    at = _place(data, random)
    del data[at : at + random.choice((1, 2, 8, 64))]


def _double(data: bytearray, _: bytes, random: Random) -> None:
    at, size = _place(data, random), random.choice((1, 8, 64, 512))
    data[at:at] = data[at : at + size]


def _flip(data: bytearray, _: bytes, random: Random) -> None:
    if data:
        data[_place(data, random) % len(data)] ^= 1 << random.randrange(8)


def _splice(data: bytearray, other: bytes, random: Random) -> None:
    at, start = _place(data, random), random.randrange(len(other))
    data[at:at] = other[start : start + random.choice((16, 128, 1024))]


def _end(data: bytearray, _: bytes, random: Random) -> None:
    del data[_place(data, random) :]


_WAYS: Final = (_sharpen, _sharpen, _insert, _cut_out, _double, _flip, _splice, _end)
