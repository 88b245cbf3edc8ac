"""What limbs.py does, in plain integers: the reference, and the way of a VM that runs no native code."""

from .programs import REGISTERS, P


def make() -> list:
    """Return a workspace."""
    return [P] + [0] * (REGISTERS - 1)


def put(work: list, register: int, number: int) -> None:
    """Set a register to a number of 0 .. p-1."""
    work[register] = number


def take(work: list, register: int, scratch: int) -> int:
    """Return the number of a register."""
    return work[register]


def copy(work: list, to: int, source: int, count: int) -> None:
    """Copy `count` registers."""
    work[to : to + count] = work[source : source + count]


def pick(work: list, to: int, table: int, digit: int) -> None:
    """Copy entry `digit` (0 .. 15) of a table of points into three registers."""
    copy(work, to, table + 3 * digit, 3)


def run(work: list, code: bytes, size: int) -> None:
    """Run a program (see programs.py) of `size` bytes."""
    for at in range(0, size, 4):
        operation = code[at]
        to = code[at + 1]
        one = code[at + 2]
        two = code[at + 3]
        if operation == 0:
            work[to] = (work[one] + work[two]) % P
        elif operation == 1:
            work[to] = (work[one] - work[two]) % P
        while operation > 1:
            work[to] = work[one] * work[two] % P
            operation -= 1
