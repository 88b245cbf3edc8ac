"""From a condition of DQL to one that SQL can ask: true of every document of which the condition is.

What SQL says no to, nobody needs to look at; what it lets through the evaluator looks at again, so that SQL
never has the last word. A part that SQL cannot express lets everything through. So does everything behind a
part that may refuse a document (arithmetic out of range, LIKE over long texts): it refuses still.
"""

from typing import Any

from hedgerow.limits import MAX_TEXT
from hedgerow.query.expression import bind, evaluate, rewrite
from hedgerow.query.values import MISSING, kind
from hedgerow_host.dql import bytes_of

from . import limits
from .store.facets import CUT, LETTERS, name_of, text_of
from .store.filter import FALSE, TRUE, Filter
from .view import TIME, TIME_ERROR, TIME_SOURCE

Node = tuple[Any, ...]

#: What a document of a stream has without having it stored.
_DERIVED = (TIME, TIME_ERROR, TIME_SOURCE)
_CALM = frozenset(
    ("literal", "path", "array", "object", "and", "or", "not", "compare", "between", "in", "text_form")
    + ("is_null", "is_missing")
)
_CLASSES = {3: "23", 4: "4", 5: "5", 6: "6", 7: "7", 8: "8"}
_MIRRORED = {"=": "=", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
_NEGATED = {"=": "!=", "!=": "="}


def filter_of(where: Node | None, arguments: dict[str, Any]) -> Filter:
    """Return the filter of a condition as `by_text_form` leaves it."""
    return TRUE if where is None else _may(bind(where, arguments), True)


def _may(part: Node, wanted: bool) -> Filter:
    """Return a filter that lets through every document of which a condition is true, or is not."""
    name = part[0]
    if name == "not":
        return _may(part[1], not wanted)
    if name in ("and", "or"):
        # Items are worked out in order, and behind one that refuses none is.
        items: list[Filter] = []
        together = (name == "and") is wanted
        for item in part[1]:
            items.append(_may(item, wanted))
            if not is_calm(item):
                if not together:
                    return TRUE
                break
        return _all(items) if together else _any(items)
    if name == "like":
        return _like(part, wanted)
    if not is_calm(part):
        return TRUE
    constant = _constant(part)
    if constant is not None:
        return TRUE if (constant[0] is True) is wanted else FALSE
    if name == "compare":
        return _compare(part, wanted)
    if name == "between":
        parts = (("compare", ">=", part[1], part[2]), ("compare", "<=", part[1], part[3]))
        return _may(("and", parts), wanted)
    if name == "in":
        return _in(part, wanted)
    if name in ("is_null", "is_missing"):
        return _compare(
            ("compare", "=", part[1], ("literal", None if name == "is_null" else MISSING)), wanted
        )
    if name == "path":
        return _compare(("compare", "=", part, ("literal", True)), wanted)
    return TRUE


def _compare(part: Node, wanted: bool) -> Filter:
    _, operator, left, right = part
    value = _constant(right)
    if value is None:
        value = _constant(left)
        if value is None:
            return _same(left, right) if operator == "=" and wanted else TRUE
        operator, left = _MIRRORED[operator], right
    if left[0] == "text_form":
        return _compare_text_form(operator, left[1], value[0], wanted)
    name = stored_name(left)
    if name is None:
        return TRUE
    if operator in _NEGATED:
        return _equal(name, value[0], (operator == "=") is wanted)
    return _ordered(name, operator, value[0], wanted)


def _equal(name: str, value: Any, wanted: bool) -> Filter:
    if value is MISSING:
        return ("missing" if wanted else "present", name)
    text = _text(value)
    if text is None:
        return TRUE
    if wanted:
        return "compare", name, "=", text
    return _any([("missing", name), ("compare", name, "<>", text)]) if len(text) < CUT else TRUE


def _ordered(name: str, operator: str, value: Any, wanted: bool) -> Filter:
    letters = _CLASSES.get(kind(value))
    if letters is None:
        # Against MISSING and NULL nothing is in any order.
        return FALSE if wanted else TRUE
    text = _text(value)
    if text is None:
        return TRUE
    low = ("compare", name, ">=", letters[0])
    high = ("compare", name, "<", LETTERS[LETTERS.index(letters[-1]) + 1])
    if wanted:
        if len(text) >= CUT:
            operator = operator[0] + "="
        return _all([low if operator[0] == "<" else high, ("compare", name, operator, text)])
    opposite = {"<": ">=", "<=": ">", ">": "<=", ">=": "<"}[operator]
    if len(text) >= CUT:
        opposite = opposite[0] + "="
    outside = ("compare", name, "<", letters[0]) if operator[0] == "<" else ("compare", name, ">=", high[3])
    return _any([("missing", name), outside, ("compare", name, opposite, text)])


def _compare_text_form(operator: str, item: Node, value: Any, wanted: bool) -> Filter:
    """A text that may stand for bytes: both are looked for (SPEC 10.11)."""
    name = stored_name(item)
    if name is None or not isinstance(value, str) or (operator == "=") is not wanted:
        return TRUE
    data = bytes_of(value)
    texts = [_text(form) for form in (value, data) if form is not None]
    known = [text for text in texts if text is not None]
    return ("in", name, known) if len(known) == len(texts) else TRUE


def _in(part: Node, wanted: bool) -> Filter:
    _, item, items = part
    if items and isinstance(items[0], str):
        value = _constant(items)
        if value is None:
            return TRUE
        if not isinstance(value[0], (list, tuple)):
            return FALSE if wanted else TRUE
        listed = [("literal", entry) for entry in value[0]]
    else:
        listed = list(items)
    if len(listed) > limits.LOOKED_UP:
        return TRUE
    parts = [_compare(("compare", "=", item, entry), wanted) for entry in listed]
    return _any(parts) if wanted else _all(parts)


def _same(left: Node, right: Node) -> Filter:
    one, two = stored_name(left), stored_name(right)
    if one is None or two is None:
        return TRUE
    return _any([("same", one, two), _all([("missing", one), ("missing", two)])])


def _like(part: Node, wanted: bool) -> Filter:
    """The text before the first wildcard bounds what matches; long texts are let through, to be refused."""
    name, pattern = stored_name(part[1]), _constant(part[2])
    if name is None or pattern is None or not wanted or part[3] or not isinstance(pattern[0], str):
        return TRUE
    if len(pattern[0]) > MAX_TEXT:
        return TRUE
    start = ""
    for letter in pattern[0]:
        if letter in "%_\\":
            break
        start += letter
    text = _text(start)
    if text is None or len(text) >= CUT:
        return TRUE
    # No facet is longer, and no character greater.
    beyond = text + "\U0010ffff" * (CUT - len(text))
    return _any([_all([("compare", name, ">=", text), ("compare", name, "<=", beyond)]), ("long", name)])


def _constant(part: Node) -> tuple[Any] | None:
    """Return the value of an expression that is the same for every document."""
    if not is_calm(part) or _has_path(part):
        return None
    return (evaluate(part, {}),)


def _text(value: Any) -> str | None:
    try:
        return text_of(value)
    except UnicodeError:
        return None


def stored_name(part: Node) -> str | None:
    """Return what a path is called in the facets, None for what is no path or is not stored."""
    if part[0] != "path" or not all(isinstance(step, str) for step in part[1]) or part[1][0] in _DERIVED:
        return None
    return name_of(part[1])


def is_calm(part: Node) -> bool:
    """Say whether working out an expression refuses no document."""
    return all(name in _CALM for name in _names(part))


def _has_path(part: Node) -> bool:
    return "path" in _names(part)


def _names(part: Node) -> set[str]:
    found: set[str] = set()

    def look(inner: Node) -> None:
        found.add(inner[0])

    rewrite(part, look)
    return found


def _all(parts: list[Filter]) -> Filter:
    if FALSE in parts:
        return FALSE
    parts = [part for part in parts if part != TRUE]
    return TRUE if not parts else parts[0] if len(parts) == 1 else ("and", parts)


def _any(parts: list[Filter]) -> Filter:
    if TRUE in parts:
        return TRUE
    parts = [part for part in parts if part != FALSE]
    return FALSE if not parts else parts[0] if len(parts) == 1 else ("or", parts)
