"""Which documents a condition can be about when it names their ids: keys to read, instead of a scan."""

import math
import sys
from collections.abc import Iterable
from fractions import Fraction
from itertools import product
from typing import Any

from hedgerow.codec import cbor
from hedgerow.codec.decimal import Decimal
from hedgerow.limits import MAX_EXPONENT
from hedgerow_host.dql import bytes_of

from . import limits

Node = tuple[Any, ...]
_ID = ("path", ("_id",))
#: Beyond it no float is, and float() of a fraction raises.
_GREATEST = Fraction(sys.float_info.max)


def keys_of(where: Node | None, arguments: dict[str, Any], *, by_json: bool) -> list[bytes] | None:
    """Return the encoded ids that can fulfil a condition, in order; None if it does not name them.

    `by_json` says that texts among the arguments may stand for bytes (SPEC 10.3).
    """
    if where is None:
        return None
    parts = where[1] if where[0] == "and" else (where,)
    for part in parts:
        forms = _named(part, arguments, by_json)
        if forms is not None:
            return sorted({cbor.encode(form) for form in forms})
    return None


def _named(part: Node, arguments: dict[str, Any], by_json: bool) -> list[Any] | None:
    if part[0] == "compare" and part[1] == "=" and _ID in part[2:]:
        other = part[3] if part[2] == _ID else part[2]
        return _forms(other, arguments, by_json)
    if part[0] == "in" and part[1] == _ID:
        items = part[2]
        if items and isinstance(items[0], str):
            return _forms_of_items(items, arguments, by_json)
        return _together(_forms(item, arguments, by_json) for item in items)
    return None


def _forms_of_items(items: Node, arguments: dict[str, Any], by_json: bool) -> list[Any] | None:
    if items[0] == "array":
        return _together(_forms(item, arguments, by_json) for item in items[1])
    value = arguments.get(items[1]) if items[0] == "param" else None
    return _together(_equal(item, by_json) for item in value) if isinstance(value, list) else None


def _forms(expression: Node, arguments: dict[str, Any], by_json: bool) -> list[Any] | None:
    if expression[0] == "literal":
        return _equal(expression[1], True)
    if expression[0] == "param" and expression[1] in arguments:
        return _equal(arguments[expression[1]], by_json)
    if expression[0] == "array":
        return _arrays([_forms(item, arguments, by_json) for item in expression[1]])
    return None


def _equal(value: Any, text: bool) -> list[Any] | None:
    """Return every value of another form that is equal to this one (SPEC 10.2), None for too many."""
    if isinstance(value, str):
        data = bytes_of(value) if text else None
        return [value] if data is None else [value, data]
    if isinstance(value, (bool, bytes)):
        return [value]
    if isinstance(value, (int, float, Decimal)):
        return _numbers(value)
    if isinstance(value, (list, tuple)):
        return _arrays([_equal(item, text) for item in value])
    return None


def _numbers(value: int | float | Decimal) -> list[Any] | None:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Decimal):
        exact = Fraction(value.mantissa) * Fraction(10) ** value.exponent
    else:
        exact = Fraction(value)
    forms: list[Any] = []
    if exact.denominator == 1 and -1 <= exact.numerator >> 64 <= 0:
        forms.append(exact.numerator)
    if abs(exact) <= _GREATEST and Fraction(float(exact)) == exact:
        forms.append(float(exact))
        if not exact:
            forms.append(-0.0)
    if not exact:
        return forms + [Decimal(0, exponent) for exponent in range(-MAX_EXPONENT, MAX_EXPONENT + 1)]
    for exponent in range(-MAX_EXPONENT, MAX_EXPONENT + 1):
        mantissa = exact / Fraction(10) ** exponent
        if mantissa.denominator == 1 and -1 <= mantissa.numerator >> 64 <= 0:
            forms.append(Decimal(mantissa.numerator, exponent))
    return forms


def _arrays(items: list[list[Any] | None]) -> list[Any] | None:
    count = math.prod([0 if item is None else len(item) for item in items])
    if any(item is None for item in items) or count > limits.LOOKED_UP:
        return None
    return [list(found) for found in product(*[item for item in items if item is not None])]


def _together(items: Iterable[list[Any] | None]) -> list[Any] | None:
    found: list[Any] = []
    for forms in items:
        if forms is None or len(found) + len(forms) > limits.LOOKED_UP:
            return None
        found += forms
    return found
