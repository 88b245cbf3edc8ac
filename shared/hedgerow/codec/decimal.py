"""Decimal numbers as authored: an integer mantissa and a power of ten, compared by value (SPEC 1.8)."""

from .. import limits
from ..errors import HedgerowError


class Decimal:
    """`mantissa` * 10 ** `exponent`; 39.4 is Decimal(394, -1) and stays so.

    The mantissa lies in -2^64 .. 2^64-1, the exponent in -127 .. 127.
    """

    def __init__(self, mantissa: int, exponent: int = 0):
        if not -limits.MAX_EXPONENT <= exponent <= limits.MAX_EXPONENT or not -1 <= mantissa >> 64 <= 0:
            raise HedgerowError("DECIMAL_RANGE", str(mantissa) + "e" + str(exponent))
        self.mantissa = mantissa
        self.exponent = exponent

    @staticmethod
    def parse(text: str) -> "Decimal":
        """Read `-12.50` or `5e3`, keeping every digit after the point."""
        number, mark, power = text.lower().partition("e")
        whole, _, fraction = number.partition(".")
        sign = number[:1]
        digits = (whole[1:] if sign in ("-", "+") else whole) + fraction
        bare = power[1:] if power[:1] in ("-", "+") else power
        if not _digits(digits) or (mark and not _digits(bare)) or len(digits) > 40 or len(bare) > 4:
            raise HedgerowError("DECIMAL_SYNTAX", text[:48])
        mantissa = int(digits)
        return Decimal(-mantissa if sign == "-" else mantissa, (int(power) if mark else 0) - len(fraction))

    def __str__(self) -> str:
        exponent = self.exponent
        if exponent > 0 or exponent < -24:
            return str(self.mantissa) + "e" + str(exponent)
        digits = str(abs(self.mantissa))
        if exponent:
            digits = "0" * (1 - exponent - len(digits)) + digits
            digits = digits[:exponent] + "." + digits[exponent:]
        return "-" + digits if self.mantissa < 0 else digits

    def __repr__(self) -> str:
        return f"Decimal({self.mantissa}, {self.exponent})"

    def normal(self) -> tuple:
        """Return (mantissa, exponent) without trailing zeros: equal for equal values."""
        mantissa, exponent = self.mantissa, self.exponent
        if not mantissa:
            return 0, 0
        while not mantissa % 10:
            mantissa //= 10
            exponent += 1
        return mantissa, exponent

    def compare(self, other: object) -> int | None:
        """Return -1, 0 or 1 against a Decimal or an integer; None against anything else."""
        if isinstance(other, Decimal):
            mantissa, exponent = other.mantissa, other.exponent
        elif isinstance(other, int) and not isinstance(other, bool):
            mantissa, exponent = other, 0
        else:
            return None
        mine = self.mantissa
        if self.exponent > exponent:
            mine *= 10 ** (self.exponent - exponent)
        else:
            mantissa *= 10 ** (exponent - self.exponent)
        return (mine > mantissa) - (mine < mantissa)

    def __hash__(self) -> int:
        mantissa, exponent = self.normal()
        return hash((mantissa, exponent)) if exponent < 0 else hash(mantissa * 10**exponent)

    def __eq__(self, other: object) -> bool:
        return self.compare(other) == 0

    def __lt__(self, other: object) -> bool:
        return _order(self, other) < 0

    def __le__(self, other: object) -> bool:
        return _order(self, other) <= 0

    def __gt__(self, other: object) -> bool:
        return _order(self, other) > 0

    def __ge__(self, other: object) -> bool:
        return _order(self, other) >= 0


def _order(left: Decimal, right: object) -> int:
    order = left.compare(right)
    if order is None:
        raise TypeError("a decimal is ordered only against decimals and integers")
    return order


def _digits(text: str) -> bool:
    return bool(text) and all("0" <= digit <= "9" for digit in text)
