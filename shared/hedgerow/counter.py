"""Counters: what increments add up to (SPEC 3.18 to 3.24). Loaded when the first one is met.

A record is (base, key, encoded total): an author's sum of increments to a path since the write `base`, as
of its operation `key`. Of each author and path the greatest record is kept.
"""

from .clock import hlc
from .codec import cbor
from .codec.decimal import Decimal
from .codec.schema import is_integer, path_of
from .errors import HedgerowError


def check_total(value: object) -> None:
    """Refuse what is not [base, total]: a key or no bytes, and an integer or decimal of 64 bits."""
    if not isinstance(value, (list, tuple)) or len(value) != 2:
        raise HedgerowError("COUNTER_INVALID", "not [base, total]")
    base, total = value
    if not isinstance(base, bytes) or len(base) not in (0, 16):
        raise HedgerowError("COUNTER_INVALID", "base")
    mantissa = total.mantissa if isinstance(total, Decimal) else total
    if not is_integer(mantissa) or not -1 <= mantissa >> 63 <= 0:
        raise HedgerowError("COUNTER_INVALID", "total")


def records(values: dict, key: bytes) -> list:
    """Return (path, record) of each counter in a change's values by field name.

    A base that is not below its own key counts nothing: no author can have seen it.
    """
    return [
        (path_of(name), (bytes(values[name][0]), key, cbor.encode(values[name][1])))
        for name in values
        if values[name][0] < key
    ]


def base_of(path: tuple, plain: dict, delete: bytes) -> bytes:
    """Return the base in force: the greatest of the delete and the plain writes at the path and above it.

    Defaults, written at stamp 0, are no base: whichever of them wins, what was counted stays.
    """
    base = delete
    for size in range(1, len(path) + 1):
        write = plain.get(path[:size])
        if write is not None and write[0] > base and write[0][:8] != hlc.ZERO:
            base = write[0]
    return base


def counted(counters: dict, plain: dict, delete: bytes) -> dict:
    """Return path -> totals that count; a path where none does is left out.

    A record counts if its base is the one in force, or a greater one that is not held here any more.
    """
    result = {}
    for path in counters:
        base = base_of(path, plain, delete)
        totals = [cbor.decode(record[2]) for record in counters[path].values() if record[0] >= base]
        if totals:
            result[path] = totals
    return result


def superseded_by(found: list, author: bytes, counters: dict, plain: dict, delete: bytes) -> bytes | None:
    """Return the greatest key that dominates all of an author's records, None if one of them is needed."""
    greatest = b""
    for path, record in found:
        base = base_of(path, plain, delete)
        kept = counters.get(path, {}).get(author, record)
        if record >= kept and record[0] >= base:
            return None
        greatest = max(greatest, base, kept[1])
    return greatest


def add(values: list) -> object:
    """Return the exact sum of the integers and decimals among values, of which there is one at least.

    It is a decimal, of the smallest exponent, if any of them is one; None if no number can hold it. What is
    neither, such as a float, which differs between VMs, is taken as 0.
    """
    numbers = [value for value in values if is_integer(value) or isinstance(value, Decimal)]
    exponents = [number.exponent if isinstance(number, Decimal) else 0 for number in numbers]
    lowest = min(exponents)
    total = 0
    for number, exponent in zip(numbers, exponents):
        total += (number.mantissa if isinstance(number, Decimal) else number) * 10 ** (exponent - lowest)
    if not -1 <= total >> 64 <= 0:
        return None
    return Decimal(total, lowest) if any(isinstance(number, Decimal) for number in numbers) else total
