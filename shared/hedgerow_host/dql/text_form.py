"""Bytes by their JSON form (SPEC 10.11): JSON and DQL have no bytes, and show them as base64url text.

So that what was copied out of a JSON answer finds its document again, `=`, `!=` and IN compare bytes by their
text with a constant that came by JSON or stands in the statement.
"""

import base64
import binascii
from typing import Any

from hedgerow.query.expression import rewrite
from hedgerow.query.values import base64url

from .build import Node

_NOTHING = object()


def by_text_form(statement: Node, arguments: dict[str, Any] | None) -> Node:
    """Return a statement whose comparisons do so; `arguments` are those that came by JSON, None for none."""
    rule = _Rule(arguments)
    name = statement[0]
    if name == "update":
        _, collection, sets, applies, unsets, where = statement
        return (
            name,
            collection,
            tuple([(path, rule.apply(item)) for path, item in sets]),
            tuple([(path, action, item and rule.apply(item)) for path, action, item in applies]),
            unsets,
            where and rule.apply(where),
        )
    if name in ("delete", "evict"):
        _, collection, where, *rest = statement
        if rest:
            rest[0] = tuple([(rule.apply(item), falling) for item, falling in rest[0]])
        return name, collection, where and rule.apply(where), *rest
    return _select_by_text_form(statement, rule) if name == "select" else statement


def _select_by_text_form(statement: Node, rule: "_Rule") -> Node:
    name, distinct, columns, collection, where, group, having, order, *counts = statement
    return (
        name,
        distinct,
        tuple(
            [("column", rule.apply(column[1]), *column[2:]) if column[1:] else column for column in columns]
        ),
        collection,
        where and rule.apply(where),
        tuple([rule.apply(item) for item in group]),
        having and rule.apply(having),
        tuple([(rule.apply(item), falling) for item, falling in order]),
        *counts,
    )


def dot_of(value: object) -> list[Any] | None:
    """Return the dot whose JSON form this may be, None if there is none."""
    if not isinstance(value, list) or not 2 <= len(value) <= 3 or not isinstance(value[0], str):
        return None
    author = bytes_of(value[0])
    if author is None or len(author) != 8 or not all(type(item) is int for item in value[1:]):
        return None
    return [author, *value[1:]]


class _Rule:
    def __init__(self, arguments: dict[str, Any] | None) -> None:
        self._arguments = arguments or {}

    def apply(self, expression: Node) -> Node:
        rewritten: Node = rewrite(expression, self._replace)
        return rewritten

    def _replace(self, part: Node) -> Node | None:
        if part[0] == "compare" and part[1] in ("=", "!="):
            _, operator, left, right = part
            if self._has_bytes_form(right) and not self._is_constant(left):
                return "compare", operator, ("text_form", self.apply(left)), right
            if self._has_bytes_form(left) and not self._is_constant(right):
                return "compare", operator, left, ("text_form", self.apply(right))
        elif part[0] == "in" and self._is_constant(part[1]):
            if self._has_bytes_form(part[1]) and isinstance(part[2][0], str):
                return "in", part[1], ("text_form", self.apply(part[2]))
        elif part[0] == "in":
            return self._replace_in(part[1], part[2])
        return None

    def _replace_in(self, item: Node, items: Node) -> Node | None:
        if isinstance(items[0], str):
            return ("in", ("text_form", self.apply(item)), items) if self._has_bytes_form(items) else None
        texts = tuple([entry for entry in items if self._has_bytes_form(entry)])
        if not texts:
            return None
        item = self.apply(item)
        found: Node = ("in", ("text_form", item), texts)
        others = tuple([self.apply(entry) for entry in items if entry not in texts])
        return ("or", (found, ("in", item, others))) if others else found

    def _is_constant(self, expression: Node) -> bool:
        return self._value(expression) is not _NOTHING

    def _has_bytes_form(self, expression: Node) -> bool:
        value = self._value(expression)
        return value is not _NOTHING and _may_be_bytes(value)

    def _value(self, expression: Node) -> object:
        if expression[0] == "literal":
            return expression[1]
        if expression[0] == "param":
            return self._arguments.get(expression[1], _NOTHING)
        if expression[0] == "array":
            items = [self._value(item) for item in expression[1]]
            return _NOTHING if any(item is _NOTHING for item in items) else items
        return _NOTHING


def _may_be_bytes(value: object) -> bool:
    if isinstance(value, str):
        return bytes_of(value) is not None
    if isinstance(value, list):
        return any(_may_be_bytes(item) for item in value)
    return isinstance(value, dict) and any(_may_be_bytes(item) for item in value.values())


def bytes_of(text: str) -> bytes | None:
    """Return the bytes that are shown as this text."""
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)
    except (ValueError, binascii.Error):
        return None
    return data if base64url(data) == text else None
