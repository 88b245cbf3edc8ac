"""What portable tests need, on CPython and on MicroPython alike.

A portable test file is `tests/core/portable/test_*.py`. It holds plain functions `test_*()` without
arguments, with plain `assert`, and imports only `hedgerow`, `kit`, and what both VMs have (no pytest,
no fixtures, no parametrize). pytest runs it as it is; `tests/core/test_on_micropython.py` runs the same file
in the MicroPython VM, twice: with the VM's own floats and with floats rounded to 32 bits. The VM has a
heap of 400k there (64-bit words, and the tests are compiled in it); a file that truly needs another says so
with a line such as `HEAP = "800k"`.
"""

import json

from hedgerow.codec import cbor
from hedgerow.errors import HedgerowError

DATA = __file__.replace("\\", "/").rsplit("/", 2)[0] + "/data/"


def load_json(name: str) -> object:
    """Return the content of a file of tests/core/data."""
    with open(DATA + name) as file:
        return json.loads(file.read())


def raises(code: str, function: object, *args: object) -> HedgerowError:
    """Call the function and insist on a HedgerowError with this code; return it."""
    try:
        result = function(*args)
    except HedgerowError as error:
        assert error.code == code, f"{error} instead of {code}"
        return error
    raise AssertionError(f"{result!r} instead of {code}")


class single_floats:
    """While entered, the codec treats floats as a VM with 32-bit floats does."""

    def __enter__(self) -> None:
        self.before = cbor.single_floats
        cbor.single_floats = True

    def __exit__(self, *details: object) -> None:
        cbor.single_floats = self.before


class Random:
    """A small generator with the same numbers on every VM (xorshift, 32 bits of state)."""

    def __init__(self, seed: int):
        self.state = (seed * 2654435761 + 0x9E3779B9) & 0xFFFFFFFF or 1
        for _ in range(4):
            self.bits()

    def bits(self) -> int:
        """Return an integer of 0 .. 2^32-1."""
        state = self.state
        state ^= state << 13 & 0xFFFFFFFF
        state ^= state >> 17
        state ^= state << 5 & 0xFFFFFFFF
        self.state = state
        return state

    def below(self, limit: int) -> int:
        """Return an integer of 0 .. limit-1."""
        number = self.bits()
        while limit >> 32 and limit > number:
            number = number << 32 | self.bits()
        return number % limit

    def between(self, low: int, high: int) -> int:
        """Return an integer of low .. high, both included."""
        return low + self.below(high - low + 1)

    def chance(self, percent: int) -> bool:
        return self.below(100) < percent

    def choice(self, items: list) -> object:
        return items[self.below(len(items))]

    def bytes(self, count: int) -> bytes:
        return bytes([self.bits() & 0xFF for _ in range(count)])

    def shuffle(self, items: list) -> list:
        """Shuffle a list in place, and return it."""
        for last in range(len(items) - 1, 0, -1):
            other = self.below(last + 1)
            items[last], items[other] = items[other], items[last]
        return items
