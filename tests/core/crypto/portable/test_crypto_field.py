"""The field machine of this VM against plain integers, instruction by instruction (limbs.py or plain.py)."""

import assemble
from kit import Random

from hedgerow.crypto import programs
from hedgerow.crypto.curve import field
from hedgerow.crypto.programs import P

EDGES = (0, 1, 2, P - 1, P - 2, 1 << 255, P >> 1, (1 << 224) - 1, 8191, P - 8192)
A, B, TO, SCRATCH = 5, 6, 7, 12


def check(work: object, one: int, two: int) -> None:
    field.put(work, A, one)
    field.put(work, B, two)
    assert field.take(work, A, SCRATCH) == one
    for operation, expected in ((0, one + two), (1, one - two), (2, one * two)):
        field.run(work, bytes((operation, TO, A, B)), 4)
        assert field.take(work, TO, SCRATCH) == expected % P, (operation, one, two)


def test_single_operations() -> None:
    work = field.make()
    for one in EDGES:
        for two in EDGES:
            check(work, one, two)
    random = Random(1)
    for _ in range(100):
        check(work, int.from_bytes(random.bytes(32), "big") % P, int.from_bytes(random.bytes(32), "big") % P)


def test_long_chains_stay_exact() -> None:
    """What is not reduced to the last in between adds up to nothing wrong."""
    random = Random(2)
    work = field.make()
    numbers = [int.from_bytes(random.bytes(32), "big") % P for _ in range(4)]
    for at, number in enumerate(numbers):
        field.put(work, A + at, number)
    for _ in range(1500):
        operation, to, one, two = random.below(3), random.below(4), random.below(4), random.below(4)
        field.run(work, bytes((operation, A + to, A + one, A + two)), 4)
        a, b = numbers[one], numbers[two]
        numbers[to] = ((a + b, a - b, a * b)[operation]) % P
    for at, number in enumerate(numbers):
        assert field.take(work, A + at, SCRATCH) == number


def test_repeated_squares() -> None:
    work = field.make()
    field.put(work, A, 3)
    field.run(work, bytes((9, A, A, A)), 4)
    assert field.take(work, A, SCRATCH) == pow(3, 256, P)


def test_pick_reads_the_entry() -> None:
    work = field.make()
    for at in range(48):
        field.put(work, programs.TABLE + at, at * at + 1)
    for digit in range(16):
        field.pick(work, A, programs.TABLE, digit)
        for at in range(3):
            number = 3 * digit + at
            assert field.take(work, A + at, SCRATCH) == number * number + 1


def test_the_programs_are_those_on_paper() -> None:
    for name in ("ADD", "DOUBLE", "INVERT", "CURVE", "ROOT"):
        assert getattr(programs, name) == assemble.assemble(getattr(assemble, name)), name


def test_powers() -> None:
    work = field.make()
    for number in (1, 2, P - 1, 0x123456789):
        field.put(work, 5, 1)
        field.put(work, 6, 5)
        field.put(work, 7, number)
        field.run(work, programs.INVERT, len(programs.INVERT))
        assert field.take(work, 5, 11) * number % P == 1
        assert field.take(work, 6, 11) * number % P == 5
        square = number * number % P
        field.put(work, 11, square)
        field.run(work, programs.ROOT, len(programs.ROOT))
        assert field.take(work, 6, 12) in (number, P - number)
