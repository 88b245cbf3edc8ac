"""From the text of a statement to the tuples of `hedgerow.query`."""

import functools
import importlib.resources
import re
import threading
from collections.abc import Mapping
from typing import Any

from lark import Lark, Token
from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken
from lark.lexer import PatternRE, PatternStr, TerminalDef

from hedgerow.errors import HedgerowError
from hedgerow.query.scan import depth_of

from .. import limits
from .build import Build

Statement = tuple[Any, ...]
#: The type of each path that a statement declares: MAP, REGISTER, COUNTER or PN_COUNTER.
Types = Mapping[tuple[str, ...], str]

# What a reader would call the terminals of the grammar.
_SHOWN = {
    "NAME": "a name",
    "QUOTED": "a name in backticks",
    "NUMBER": "a number",
    "STRING": "a string",
    "PARAMETER": "a parameter",
    "COMPARISON": "a comparison",
    "EQUAL": "'='",
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
_ELSEWHERE = ("ALTER", "CREATE", "DROP", "EXPLAIN", "SYNC")
_NAME_ENDS = r"(?![A-Za-z0-9_\u00a1-\u1fff\u2070-\u2fff\u3001-\ufefe\uff00-\U0010ffff])"
#: Each kind of statement has lexers of its own.
_USUAL = (
    "SELECT a, count(*) FROM c WHERE _id = :id AND a.b > 1 ORDER BY a LIMIT 1",
    "INSERT INTO c DOCUMENTS (:d), ({'_id': 1, 'a': [1.5]}) ON ID CONFLICT DO UPDATE",
    "UPDATE c SET a = 1 WHERE _id IN ('x')",
    "DELETE FROM c WHERE a IS NOT NULL",
)
_making = threading.Lock()
_BRACKETS = re.compile(r"'[^']*'|`[^`]*`|--[^\n]*|[(\[{]|[)\]}]")


def parse(text: str) -> Statement:
    """Return the statement as tuples (see `hedgerow.query.evaluate`).

    Raises what `hedgerow.query.parse` does, at the same places in the text; its limits are wider.
    """
    return _read(text)[0]


def declared(text: str) -> Types:
    """Return the types that a statement declares of its collection's fields. Raises what parse() does."""
    return _read(text)[1]


@functools.lru_cache(maxsize=limits.CACHED_STATEMENTS)
def _read(text: str) -> tuple[Statement, Types]:
    if len(text) > limits.STATEMENT_CHARACTERS:
        raise HedgerowError(
            "QUERY_TOO_LONG", f"{len(text)} characters, {limits.STATEMENT_CHARACTERS} are allowed"
        )
    try:
        tree = _lark().parse(text)
    except UnexpectedInput as error:
        if "SELECT" in _expected(error):
            token = getattr(error, "token", None)
            if token is not None and token.upper() in _ELSEWHERE:
                reason = f"{token.upper()} is not understood here"
                raise HedgerowError("QUERY_UNSUPPORTED", _place(token, reason)) from None
        raise HedgerowError("QUERY_SYNTAX", _explain(error, text)) from None
    build = Build()
    statement: Statement = build.transform(tree)
    if build.refusals:
        _, token, code, reason = min(build.refusals, key=lambda refusal: refusal[0])
        raise HedgerowError(code, _place(token, reason) if token is not None else reason)
    if max(depth_of(statement), 2 * _brackets(text)) > limits.STATEMENT_DEPTH:
        raise HedgerowError("QUERY_DEPTH", f"nested deeper than {limits.STATEMENT_DEPTH}")
    return statement, build.types


def make_ready() -> None:
    """Make now what parse() would make when it is first needed, which takes half a second."""
    for text in _USUAL:
        parse(text)


def _lark() -> Lark:
    # Many threads may need it first at the same time, and it is made by one.
    with _making:
        return _made()


@functools.cache
def _made() -> Lark:
    grammar = importlib.resources.files(__package__).joinpath("grammar.lark").read_text("utf-8")
    # With re.ASCII only ASCII letters are like their capitals, as on a board.
    return Lark(
        grammar,
        parser="lalr",
        maybe_placeholders=False,
        edit_terminals=_end_keyword,
        g_regex_flags=re.ASCII,
    )


def _end_keyword(terminal: TerminalDef) -> None:
    """Let a keyword match whole words only, and before names."""
    pattern = terminal.pattern
    if isinstance(pattern, PatternStr) and pattern.value[0].isalpha():
        terminal.pattern = PatternRE(pattern.value + _NAME_ENDS, pattern.flags)
        terminal.priority = 2


def _brackets(text: str) -> int:
    """Return how many brackets stand within each other."""
    depth = deepest = 0
    for bracket in _BRACKETS.findall(text):
        if bracket in "([{":
            depth += 1
            deepest = max(deepest, depth)
        elif bracket in ")]}":
            depth -= 1
    return deepest


def _place(token: Token, reason: str) -> str:
    return f"line {token.line}, column {token.column}: {reason}"


def _explain(error: UnexpectedInput, text: str) -> str:
    expected = _expected(error)
    if isinstance(error, UnexpectedCharacters):
        found = repr(text[error.pos_in_stream or 0])
    else:
        assert isinstance(error, UnexpectedToken)
        token = error.token
        if token.type == "$END":
            lines = text.split("\n")
            return f"line {len(lines)}, column {len(lines[-1]) + 1}: the statement ends, {_choices(expected)}"
        found = repr(str(token))
    return f"line {error.line}, column {error.column}: unexpected {found}, {_choices(expected)}"


def _expected(error: UnexpectedInput) -> set[str]:
    if isinstance(error, UnexpectedCharacters):
        return error.allowed or set()
    assert isinstance(error, UnexpectedToken)
    return error.accepts or error.expected


def _choices(expected: set[str]) -> str:
    names = sorted(_SHOWN.get(name, name) for name in expected)
    if not names:
        return "nothing may follow"
    shown = names[: limits.SHOWN_CHOICES]
    more = ", ..." if len(names) > len(shown) else ""
    return "expected " + ("one of " if len(names) > 1 else "") + ", ".join(shown) + more
