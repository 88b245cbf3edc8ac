"""Aggregates over the values of one group (SPEC 10.5): exact whatever the order of rows."""

from .arithmetic import quotient
from .values import MISSING, exact, is_float, is_number, number, order_key, to_float

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
