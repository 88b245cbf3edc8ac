"""The native field code run by CPython, on integers that notice when 32 bits would not hold them."""

import random
from collections.abc import Iterator
from typing import Any

import pytest

from hedgerow.crypto import limbs
from hedgerow.crypto.programs import P

LIMIT = 1 << 31
#: What limbs.py promises of every register.
MOST = (1 << 256) * 108 // 100


class Word(int):
    """An integer of a 32-bit machine without wrapping: what goes beyond is an error."""

    def __new__(cls, value: int) -> "Word":
        assert -LIMIT <= value < LIMIT, f"{value} takes more than 32 bits"
        return super().__new__(cls, value)


def _checked(name: str) -> Any:
    plain = getattr(int, name)

    def operate(self: Word, other: int) -> Word:
        return Word(plain(int.__int__(self), int.__int__(other)))

    return operate


for _name in ("add", "sub", "mul", "and", "or", "xor", "lshift", "rshift"):
    setattr(Word, f"__{_name}__", _checked(f"__{_name}__"))
    setattr(Word, f"__r{_name}__", _checked(f"__r{_name}__"))


class Pointer:
    """A viper pointer of `size` bytes an item into a bytearray; its address is its offset."""

    def __init__(self, memory: bytearray, at: int, size: int):
        self.memory, self.at, self.size = memory, at, size

    def __int__(self) -> int:
        return self.at

    def __getitem__(self, index: int) -> Word:
        at = self.at + self.size * index
        assert at >= 0 and at + self.size <= len(self.memory)
        return Word(int.from_bytes(self.memory[at : at + self.size], "little"))

    def __setitem__(self, index: int, value: int) -> None:
        at = self.at + self.size * index
        assert at >= 0 and at + self.size <= len(self.memory)
        # A load gives what was stored only if that is not negative and fits (see limbs.py).
        self.memory[at : at + self.size] = int(value).to_bytes(self.size, "little")


class Machine:
    """limbs.py with its workspace, on checked words."""

    def __init__(self) -> None:
        self.work = limbs.make()

    def pointer(self, size: int) -> Any:
        return lambda address: Pointer(self.work, int(address), size)

    def run(self, *code: int) -> None:
        limbs.run(Pointer(self.work, 0, 4), [Word(byte) for byte in code], len(code))

    def set(self, register: int, number: int) -> None:
        """Set a register as it is, not in Montgomery form; the top limb takes what is left."""
        at = 280 + 40 * register
        for place in range(20):
            limb = number & 8191 if place < 19 else number
            self.work[at + 2 * place : at + 2 * place + 2] = limb.to_bytes(2, "little")
            number >>= 13

    def get(self, register: int) -> int:
        at = 280 + 40 * register
        limbs_ = [int.from_bytes(self.work[at + 2 * i : at + 2 * i + 2], "little") for i in range(20)]
        assert all(limb < 8192 for limb in limbs_)
        return sum(limb << 13 * place for place, limb in enumerate(limbs_))


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    machine = Machine()
    monkeypatch.setattr(limbs, "ptr32", machine.pointer(4))
    monkeypatch.setattr(limbs, "ptr16", machine.pointer(2))
    # `int(...)` of an item must stay a checked word.
    monkeypatch.setattr(
        limbs, "int", lambda value: value if isinstance(value, Word) else Word(int(value)), raising=False
    )
    yield machine


FULL = (1 << 247) - 1
EXTREMES = [0, 1, P - 1, P, P + 1, MOST, (552 << 247) + FULL, (552 << 247), FULL, MOST - P, 8191]


def check(machine: Machine, one: int, two: int) -> None:
    machine.set(5, one)
    machine.set(6, two)
    inverse = pow(1 << 260, -1, P)
    for operation, expected in ((0, one + two), (1, one - two), (2, one * two * inverse)):
        machine.run(operation, 7, 5, 6)
        found = machine.get(7)
        assert found % P == expected % P
        assert found <= MOST, "a result is too great to go on with"
    # An operand may be the result too.
    machine.run(2, 5, 5, 6)
    assert machine.get(5) % P == one * two * inverse % P


def test_words_hold_at_the_extremes(machine: Machine) -> None:
    for one in EXTREMES:
        for two in EXTREMES:
            check(machine, one, two)


def test_words_hold_for_any_numbers(machine: Machine) -> None:
    chance = random.Random(1)
    for _ in range(40):
        check(machine, chance.randrange(MOST), chance.randrange(MOST))


def test_picking_copies_one_entry(machine: Machine) -> None:
    for at in range(48):
        machine.set(19 + at, at + 1)
    for digit in range(16):
        limbs.pick(Pointer(machine.work, 0, 2), 8, 19, Word(digit))
        assert [machine.get(8 + at) for at in range(3)] == [3 * digit + at + 1 for at in range(3)]


def test_a_word_too_long_is_noticed() -> None:
    with pytest.raises(AssertionError):
        Word(1 << 30) + 1 + Word(1 << 30)
    with pytest.raises(AssertionError):
        Word(1 << 20) * 4096
