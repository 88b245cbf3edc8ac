"""Arithmetic and aggregates over numbers: exact where every operand is exact (SPEC 10.4)."""

from .. import limits
from .values import MISSING, exact, is_float, is_number, number, order_key, shortest, to_float

QUOTIENT_DIGITS = limits.const(6)


def calculate(operator: str, left: object, right: object) -> object:
    """Return left operator right; NULL when an operand is no number or a divisor is zero."""
    if not is_number(left) or not is_number(right):
        return None
    if is_float(left) or is_float(right):
        return _calculate_float(operator, to_float(left), to_float(right))
    a, a_exponent = exact(left)
    b, b_exponent = exact(right)
    if operator == "*":
        return number(a * b, a_exponent + b_exponent)
    if operator == "/":
        return quotient(a, a_exponent, b, b_exponent)
    exponent = min(a_exponent, b_exponent)
    a *= 10 ** (a_exponent - exponent)
    b *= 10 ** (b_exponent - exponent)
    if operator == "+":
        return number(a + b, exponent)
    if operator == "-":
        return number(a - b, exponent)
    return number(_remainder(a, b), exponent) if b else None


def quotient(a: int, a_exponent: int, b: int, b_exponent: int) -> object:
    """Divide exactly, then round half to even at the operands' greatest scale plus six digits."""
    if not b:
        return None
    scale = max(0, -a_exponent, -b_exponent) + QUOTIENT_DIGITS
    shift = a_exponent - b_exponent + scale
    if shift >= 0:
        a *= 10**shift
    else:
        b *= 10**-shift
    negative = (a < 0) != (b < 0)
    a, b = abs(a), abs(b)
    whole, rest = a // b, a % b
    if 2 * rest > b or (2 * rest == b and whole & 1):
        whole += 1
    mantissa, exponent = shortest(-whole if negative else whole, -scale)
    return number(mantissa, exponent)


def negate(value: object) -> object:
    """Return the number with its sign changed; NULL for anything else."""
    return calculate("-", 0, value) if not is_float(value) else -to_float(value)


def _remainder(a: int, b: int) -> int:
    rest = abs(a) % abs(b)
    return -rest if a < 0 else rest


def _calculate_float(operator: str, left: float, right: float) -> object:
    if operator == "+":
        return left + right
    if operator == "-":
        return left - right
    if operator == "*":
        return left * right
    if right == 0 or (operator == "%" and left in (_INFINITE, -_INFINITE)):
        return None
    if operator == "/":
        return left / right
    rest = abs(left) % abs(right)
    return -rest if left < 0 else rest


_INFINITE = float("inf")


class Aggregate:
    """One aggregate over the rows of one group: count, sum, avg, min or max."""

    def __init__(self, name: str, distinct: bool) -> None:
        self._name = name
        self._count = 0
        self._mantissa = 0
        self._exponent = 0
        self._floats = False
        self._special = None
        self._best = None
        self._seen = set() if distinct else None

    def add(self, value: object) -> None:
        """Take one value; MISSING and NULL never count, sum and avg take numbers only."""
        if value is MISSING or value is None:
            return
        if self._name in ("sum", "avg") and not is_number(value):
            return
        if self._seen is not None:
            key = order_key(value)
            if key in self._seen:
                return
            self._seen.add(key)
        self._count += 1
        if self._name in ("sum", "avg"):
            self._sum(value)
        elif self._name != "count":
            self._choose(value)

    def result(self) -> object:
        """Return the value: a count is never NULL, the others are NULL over no values."""
        if self._name == "count":
            return self._count
        if not self._count:
            return None
        if self._name in ("min", "max"):
            return self._best[1]
        if self._special is not None:
            return self._special
        if self._name == "avg":
            if self._floats:
                return _float(self._mantissa, self._exponent) / self._count
            return quotient(self._mantissa, self._exponent, self._count, 0)
        if self._floats:
            return _float(self._mantissa, self._exponent)
        return number(self._mantissa, self._exponent)

    def _sum(self, value: object) -> None:
        # Floats are summed exactly as well: the order of rows does not show in the result.
        self._floats = self._floats or is_float(value)
        parts = exact(value)
        if parts is None:
            value = to_float(value)
            self._special = value if self._special is None else self._special + value
            return
        mantissa, exponent = parts
        if exponent < self._exponent:
            self._mantissa *= 10 ** (self._exponent - exponent)
            self._exponent = exponent
        self._mantissa += mantissa * 10 ** (exponent - self._exponent)

    def _choose(self, value: object) -> None:
        key = order_key(value)
        if self._best is None or (key < self._best[0] if self._name == "min" else key > self._best[0]):
            self._best = (key, value)


def _float(mantissa: int, exponent: int) -> float:
    try:
        return mantissa / 10**-exponent if exponent < 0 else float(mantissa)
    except OverflowError:
        return _INFINITE if mantissa > 0 else -_INFINITE
