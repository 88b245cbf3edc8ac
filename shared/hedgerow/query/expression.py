"""Expressions over one row (SPEC 10.1 and 10.3).

An expression is a tuple: ("literal", value), ("param", name), ("path", (step, ...)) with field names and
array positions as steps, ("array", items), ("object", ((name, item), ...)), ("and" | "or", items),
("not", item), ("compare", operator, left, right), ("arithmetic", operator, left, right),
("negate", item), ("between", item, low, high), ("in", item, items | expression), ("like", item,
pattern, ignore_case), ("is_null" | "is_missing", item), and ("aggregate", name, item | None, distinct),
which only a grouped row answers. ("text_form", item) is the item with bytes as base64url text, ("json", item)
the value that a JSON text says. Negated forms are wrapped in "not".
"""

from .. import limits
from ..errors import HedgerowError
from .arithmetic import calculate, negate
from .values import MISSING, kind, order_key, text_form


def evaluate(expression: tuple, row: object) -> object:
    """Return the value of an expression over a row, a dict of fields; parameters must be bound."""
    return _EVALUATE[expression[0]](expression, row)


def holds(expression: tuple, row: object) -> bool:
    """Tell whether a condition is true; every value but true is as good as false."""
    return _EVALUATE[expression[0]](expression, row) is True


def rewrite(expression: tuple, replace: object) -> tuple:
    """Rebuild an expression: `replace(part)` gives a part's substitute, or None to go on inside it."""
    substitute = replace(expression)
    if substitute is not None:
        return substitute
    name = expression[0]
    if name in ("literal", "path", "param"):
        return expression
    # One call for each level, whatever lists stand between: a board's stack is short.
    parts = []
    for part in expression:
        if isinstance(part, tuple) and part:
            if isinstance(part[0], str):
                part = rewrite(part, replace)
            else:
                items = []
                for item in part:
                    if name == "object":
                        items.append((item[0], rewrite(item[1], replace)))
                    else:
                        items.append(rewrite(item, replace))
                part = tuple(items)
        parts.append(part)
    return tuple(parts)


def bind(expression: tuple, arguments: dict) -> tuple:
    """Return the expression with every parameter replaced by its value."""

    def replace(part: tuple) -> tuple | None:
        if part[0] != "param":
            return None
        if part[1] not in arguments:
            raise HedgerowError("QUERY_PARAMETER", "no argument named " + part[1])
        return ("literal", arguments[part[1]])

    return rewrite(expression, replace)


def has_aggregate(expression: tuple) -> bool:
    """Tell whether an aggregate stands anywhere in an expression."""
    found = []

    def look(part: tuple) -> tuple | None:
        if part[0] == "aggregate":
            found.append(part)
            return part
        return None

    rewrite(expression, look)
    return bool(found)


def find(value: object, steps: tuple) -> object:
    """Follow a path of field names and array positions; MISSING where it leads nowhere."""
    for step in steps:
        if isinstance(step, str):
            if not isinstance(value, dict):
                return MISSING
            value = value.get(step, MISSING)
        elif isinstance(value, (list, tuple)) and step < len(value):
            value = value[step]
        else:
            return MISSING
    return value


def like(text: str, pattern: str) -> bool:
    """Match with % for any run, _ for one character, and a backslash before either taken literally.

    Takes time as the text is long, not times the pattern: a neighbour's condition may hold any pattern.
    """
    parts = _parts(pattern)
    at = len(parts[0])
    if not _fits(text[:at], parts[0]):
        return False
    if len(parts) == 1:
        return len(text) == at
    end = len(text) - len(parts[-1])
    if end < at or not _fits(text[end:], parts[-1]):
        return False
    for part in parts[1:-1]:
        at = _find_end(text, at, end, part)
        if at < 0:
            return False
    return True


def _fits(text: str, part: list) -> bool:
    if len(text) != len(part):
        return False
    for have, want in zip(text, part):
        if want is not None and want != have:
            return False
    return True


def _find_end(text: str, at: int, end: int, part: list) -> int:
    """Return where the first match of a part between two places ends, -1 if there is none."""
    if None not in part:
        found = text.find("".join(part), at, end)
        return found if found < 0 else found + len(part)
    # Shift-and: bit n is set while the last n + 1 characters match the first n + 1 of the part.
    masks = {}
    wild = 0
    for place, want in enumerate(part):
        if want is None:
            wild |= 1 << place
        else:
            masks[want] = masks.get(want, 0) | 1 << place
    state = 0
    goal = 1 << (len(part) - 1)
    for have in text[at:end]:
        at += 1
        state = (state << 1 | 1) & (masks.get(have, 0) | wild)
        if state & goal:
            return at
    return -1


def _parts(pattern: str) -> list:
    """Return what stands between the runs: lists of characters, None for any one."""
    parts = [[]]
    escaped = False
    for letter in pattern:
        if escaped or letter not in "%_\\":
            parts[-1].append(letter)
            escaped = False
        elif letter == "\\":
            escaped = True
        elif letter == "_":
            parts[-1].append(None)
        else:
            parts.append([])
    if escaped:
        parts[-1].append("\\")
    return parts


def _fold(text: str) -> str:
    """Lower the ASCII letters only: the same on every machine."""
    return "".join([chr(ord(letter) + 32) if "A" <= letter <= "Z" else letter for letter in text])


def _same(left: object, right: object) -> bool:
    return kind(left) == kind(right) and order_key(left) == order_key(right)


def _compared(operator: str, left: object, right: object) -> bool:
    """Compare; values of different kinds are unequal, and none of <, <=, > and >= holds between them."""
    if operator == "=":
        return _same(left, right)
    if operator == "!=":
        return not _same(left, right)
    left_kind = kind(left)
    # MISSING and NULL are in no order, not even against themselves.
    if left_kind < 2 or left_kind != kind(right):
        return False
    if isinstance(left, str):
        a, b = left, right
    else:
        a, b = order_key(left), order_key(right)
    if operator == "<":
        return a < b
    if operator == "<=":
        return a <= b
    return a > b if operator == ">" else a >= b


def _and(expression: tuple, row: object) -> bool:
    for item in expression[1]:
        if not holds(item, row):
            return False
    return True


def _or(expression: tuple, row: object) -> bool:
    for item in expression[1]:
        if holds(item, row):
            return True
    return False


def _object(expression: tuple, row: object) -> dict:
    items = [(name, evaluate(item, row)) for name, item in expression[1]]
    return {name: item for name, item in items if item is not MISSING}


def _array(expression: tuple, row: object) -> list:
    items = [evaluate(item, row) for item in expression[1]]
    return [None if item is MISSING else item for item in items]


def _compare(expression: tuple, row: object) -> bool:
    return _compared(expression[1], evaluate(expression[2], row), evaluate(expression[3], row))


def _arithmetic(expression: tuple, row: object) -> object:
    return calculate(expression[1], evaluate(expression[2], row), evaluate(expression[3], row))


def _between(expression: tuple, row: object) -> bool:
    value = evaluate(expression[1], row)
    low = evaluate(expression[2], row)
    return _compared(">=", value, low) and _compared("<=", value, evaluate(expression[3], row))


def _in(expression: tuple, row: object) -> bool:
    value = evaluate(expression[1], row)
    items = expression[2]
    if items and isinstance(items[0], str):
        items = evaluate(items, row)
        if not isinstance(items, (list, tuple)):
            return False
        return any(_same(value, item) for item in items)
    return any(_same(value, evaluate(item, row)) for item in items)


def _like(expression: tuple, row: object) -> bool:
    text, pattern = evaluate(expression[1], row), evaluate(expression[2], row)
    if not isinstance(text, str) or not isinstance(pattern, str):
        return False
    if len(text) > limits.MAX_TEXT or len(pattern) > limits.MAX_TEXT:
        raise HedgerowError("QUERY_TOO_LONG", "LIKE takes texts of at most " + str(limits.MAX_TEXT))
    if expression[3]:
        text, pattern = _fold(text), _fold(pattern)
    return like(text, pattern)


def _json(expression: tuple, row: object) -> object:
    # Few statements need it, and a board has no room to keep it.
    from .json_text import read_json

    return read_json(evaluate(expression[1], row))


def _unbound(expression: tuple, row: object) -> object:
    raise HedgerowError("QUERY_PARAMETER", "no argument named " + expression[1])


def _ungrouped(expression: tuple, row: object) -> object:
    raise HedgerowError("QUERY_AGGREGATE", expression[1] + " stands where no group exists")


_EVALUATE = {
    "literal": lambda expression, row: expression[1],
    "path": lambda expression, row: find(row, expression[1]),
    "param": _unbound,
    "array": _array,
    "object": _object,
    "and": _and,
    "or": _or,
    "not": lambda expression, row: not holds(expression[1], row),
    "compare": _compare,
    "arithmetic": _arithmetic,
    "negate": lambda expression, row: negate(evaluate(expression[1], row)),
    "between": _between,
    "in": _in,
    "like": _like,
    "text_form": lambda expression, row: text_form(evaluate(expression[1], row)),
    "json": _json,
    "is_null": lambda expression, row: evaluate(expression[1], row) is None,
    "is_missing": lambda expression, row: evaluate(expression[1], row) is MISSING,
    "aggregate": _ungrouped,
}
