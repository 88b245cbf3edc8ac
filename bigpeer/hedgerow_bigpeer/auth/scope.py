"""Scopes: which collections, to read or to write, under which condition; and Ditto's permissions as one."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from hedgerow.crypto import claims
from hedgerow.errors import HedgerowError
from hedgerow.limits import MAX_NAME
from hedgerow.query.condition import Condition

from .. import limits
from .legacy import translate

EVERYTHING = "*"
_ALL_BITS = claims.READ | claims.WRITE
_SIDES = (("read", claims.READ), ("write", claims.WRITE))


class Entry(NamedTuple):
    """The right to a collection, "*" for all: `bits` of claims.READ and WRITE, for documents of which
    `condition` (DQL, "" for all of them) holds.
    """

    collection: str
    bits: int
    condition: str = ""


#: Rights add up: whatever any entry allows is allowed.
Scope = tuple[Entry, ...]

ALL: Scope = (Entry(EVERYTHING, _ALL_BITS),)


def write_scope(scope: Scope) -> list[list[object]]:
    """Return a scope as the claim has it."""
    return [[*entry] if entry.condition else [entry.collection, entry.bits] for entry in scope]


def read_scope(value: object) -> Scope:
    """Read the claim. Raises PERMISSION_INVALID."""
    if not isinstance(value, list) or len(value) > limits.SCOPE_ENTRIES:
        raise HedgerowError("PERMISSION_INVALID", f"no list of at most {limits.SCOPE_ENTRIES}")
    entries = []
    for item in value:
        if not isinstance(item, list) or len(item) not in (2, 3):
            raise HedgerowError("PERMISSION_INVALID", "an entry is [collection, bits, condition]")
        condition = item[2] if len(item) == 3 else ""
        if not isinstance(condition, str) or (len(item) == 3 and not condition):
            raise HedgerowError("PERMISSION_INVALID", "a condition is a text")
        check_condition(condition)
        if type(item[1]) is not int or not 0 < item[1] <= _ALL_BITS:
            raise HedgerowError("PERMISSION_INVALID", "bits")
        entries.append(Entry(_collection(item[0]), item[1], condition))
    return tuple(entries)


def check_condition(text: str) -> Condition:
    """Return a condition that can be asked. Raises PERMISSION_INVALID."""
    try:
        return Condition(text)
    except HedgerowError as error:
        raise HedgerowError("PERMISSION_INVALID", f"{error}"[:200]) from None


def from_permissions(permissions: object) -> Scope:
    """Return Ditto's permissions as a scope; what is not there is not allowed.

    A query is DQL (any field), or in Ditto's older language. Raises PERMISSION_INVALID.
    """
    if not isinstance(permissions, dict):
        raise HedgerowError("PERMISSION_INVALID", "permissions are no object")
    bits: dict[tuple[str, str], int] = {}
    for side, bit in _SIDES:
        rules = permissions.get(side)
        for key in _entries(side, {} if rules is None else rules):
            bits[key] = bits.get(key, 0) | bit
    scope = tuple(Entry(collection, value, condition) for (collection, condition), value in bits.items())
    if len(scope) > limits.SCOPE_ENTRIES:
        raise HedgerowError("PERMISSION_INVALID", f"{len(scope)} rules, {limits.SCOPE_ENTRIES} are allowed")
    return scope


def to_permissions(scope: Scope) -> dict[str, Any]:
    """Return a scope in the JSON of Ditto's permissions."""
    sides: dict[str, Any] = {}
    for side, bit in _SIDES:
        queries: dict[str, list[str]] = {}
        for entry in scope:
            if entry.bits & bit and entry[0::2] != (EVERYTHING, ""):
                queries.setdefault(entry.collection, []).append(entry.condition or "true")
        everything = any(entry.bits & bit and entry[0::2] == (EVERYTHING, "") for entry in scope)
        sides[side] = {"everything": everything, "queriesByCollection": queries}
    return sides


def _entries(side: str, rules: object) -> Iterable[tuple[str, str]]:
    """Yield (collection, condition) of one side; one for each query."""
    if not isinstance(rules, dict):
        raise HedgerowError("PERMISSION_INVALID", f"{side} is no object")
    everything = rules.get("everything", False)
    if not isinstance(everything, bool):
        raise HedgerowError("PERMISSION_INVALID", f"{side}.everything is neither true nor false")
    queries = rules.get("queriesByCollection", {})
    if not isinstance(queries, dict):
        raise HedgerowError("PERMISSION_INVALID", f"{side}.queriesByCollection is no object")
    if everything:
        yield EVERYTHING, ""
        return
    for collection, texts in queries.items():
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise HedgerowError(
                "PERMISSION_INVALID", f"{side}: queries of {collection!r} are no list of texts"[:200]
            )
        for text in texts:
            condition = _condition(text)
            if condition is not None:
                yield _collection(collection), condition


def _condition(text: str) -> str | None:
    """Return a query as DQL, "" for one that is always true, None for one that never is."""
    plain = text.strip()
    if plain in ("true", "false"):
        return "" if plain == "true" else None
    if not plain:
        raise HedgerowError("PERMISSION_INVALID", "an empty query")
    try:
        check_condition(plain)
    except HedgerowError:
        plain = translate(plain)
        check_condition(plain)
    return plain


def _collection(name: object) -> str:
    if not isinstance(name, str) or not 0 < len(name.encode("utf-8", "replace")) <= MAX_NAME:
        raise HedgerowError("PERMISSION_INVALID", f"a collection is a text of 1 to {MAX_NAME} bytes")
    return name
