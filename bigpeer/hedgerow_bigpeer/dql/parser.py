"""From the text of a statement to the tuples of `hedgerow.query`."""

import functools
import importlib.resources
from typing import Any

from lark import Lark, Token
from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken

from hedgerow.errors import HedgerowError

from .. import limits
from .build import Build, DqlError

Statement = tuple[Any, ...]

# What a reader would call the terminals of the grammar.
_SHOWN = {
    "NAME": "a name",
    "QUOTED": "a name in backticks",
    "NUMBER": "a number",
    "STRING": "a string",
    "PARAMETER": "a parameter",
    "COMPARISON": "a comparison",
    "DIVIDE": "'/'",
    "ADD": "'+'",
    "MINUS": "'-'",
    "STAR": "'*'",
    "COMMA": "','",
    "DOT": "'.'",
    "LPAR": "'('",
    "RPAR": "')'",
    "LSQB": "'['",
    "RSQB": "']'",
    "LBRACE": "'{'",
    "RBRACE": "'}'",
    "COLON": "':'",
    "SEMICOLON": "';'",
    "$END": "the end",
}
_KNOWN_ELSEWHERE = ("UPDATE", "DELETE", "EVICT", "TOMBSTONE", "CREATE", "DROP", "ALTER", "EXPLAIN", "SYNC")


@functools.lru_cache(maxsize=limits.CACHED_STATEMENTS)
def parse(text: str) -> Statement:
    """Return the statement as tuples (see `hedgerow.query.evaluate`).

    Raises HedgerowError QUERY_SYNTAX with line and column, QUERY_UNSUPPORTED for what DQL has but this
    peer has not, QUERY_TOO_LONG or QUERY_DEPTH for a statement over its limits.
    """
    if len(text) > limits.STATEMENT_CHARACTERS:
        raise HedgerowError(
            "QUERY_TOO_LONG", f"{len(text)} characters, {limits.STATEMENT_CHARACTERS} are allowed"
        )
    first = text.split(maxsplit=1)[0].upper() if text.strip() else ""
    if first in _KNOWN_ELSEWHERE:
        raise HedgerowError("QUERY_UNSUPPORTED", f"{first} is not understood here; SELECT and INSERT are")
    try:
        statement: Statement = _lark().parse(text)  # type: ignore[assignment]
    except UnexpectedInput as error:
        raise HedgerowError("QUERY_SYNTAX", _explain(error, text)) from None
    except DqlError as error:
        raise HedgerowError(error.code, _place(error.token, error.reason)) from None
    if _depth(statement) > limits.STATEMENT_DEPTH:
        raise HedgerowError("QUERY_DEPTH", f"nested deeper than {limits.STATEMENT_DEPTH}")
    return statement


@functools.cache
def _lark() -> Lark:
    grammar = importlib.resources.files(__package__).joinpath("grammar.lark").read_text("utf-8")
    return Lark(grammar, parser="lalr", transformer=Build(), maybe_placeholders=False)


def _place(token: Token, reason: str) -> str:
    return f"line {token.line}, column {token.column}: {reason}"


def _explain(error: UnexpectedInput, text: str) -> str:
    if isinstance(error, UnexpectedCharacters):
        expected = error.allowed or set()
        found = repr(text[error.pos_in_stream or 0])
    else:
        assert isinstance(error, UnexpectedToken)
        expected = error.accepts or error.expected
        token = error.token
        if token.type == "$END":
            lines = text.split("\n")
            return f"line {len(lines)}, column {len(lines[-1]) + 1}: the statement ends, {_choices(expected)}"
        found = repr(str(token))
    return f"line {error.line}, column {error.column}: unexpected {found}, {_choices(expected)}"


def _choices(expected: set[str]) -> str:
    names = sorted(_SHOWN.get(name, name) for name in expected)
    if not names:
        return "nothing may follow"
    shown = names[: limits.SHOWN_CHOICES]
    more = ", ..." if len(names) > len(shown) else ""
    return "expected " + ("one of " if len(names) > 1 else "") + ", ".join(shown) + more


def _depth(statement: Statement) -> int:
    deepest = 0
    stack: list[tuple[Any, int]] = [(statement, 0)]
    while stack:
        node, depth = stack.pop()
        deepest = max(deepest, depth)
        if isinstance(node, tuple):
            stack.extend((part, depth + 1) for part in node)
    return deepest
