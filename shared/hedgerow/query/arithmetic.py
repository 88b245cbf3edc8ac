"""Arithmetic over numbers: exact where every operand is exact (SPEC 10.4)."""

from .. import limits
from .values import exact, is_float, is_number, number, shortest, to_float

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
