"""Ditto's older query language, as its permissions still have it, into DQL.

_id.locationId == "abc" && (startsWith(_id.kind, 'a') || !contains([1, 2], _id.level))
"""

import re

from hedgerow.errors import HedgerowError

_TOKENS = re.compile(
    r"""\s*(?:(?P<text>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")
    |(?P<number>-?\d+(?:\.\d+)?)
    |(?P<name>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<mark>&&|\|\||==|!=|<=|>=|[<>!()\[\],.]))""",
    re.VERBOSE | re.DOTALL,
)
_SPELLED = {"&&": "AND", "||": "OR", "==": "=", "!": "NOT"}
_PATTERNS = {"startsWith": ("", "%"), "endsWith": ("%", "")}
_CONSTANTS = {"true": "TRUE", "false": "FALSE", "null": "NULL"}
_MOST_TOKENS = 128


def translate(text: str) -> str:
    """Return a query of the older language as DQL. Raises PERMISSION_INVALID for what it does not know."""
    tokens = _tokens(text)
    written: list[str] = []
    while tokens:
        kind, word = tokens.pop(0)
        if kind == "name" and tokens[:1] == [("mark", "(")]:
            written.append(_call(word, tokens))
        elif word == "!" and not (tokens and (tokens[0][1] == "(" or tokens[1:2] == [("mark", "(")])):
            # In DQL, NOT reaches further than this would.
            raise _not_known("!")
        else:
            written.append(_plain(kind, word))
    return " ".join(written).replace(" . ", ".")


def _tokens(text: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    at, end = 0, len(text.rstrip())
    while at < end:
        match = _TOKENS.match(text, at)
        if match is None or len(found) >= _MOST_TOKENS:
            raise _not_known(text[at : at + 20])
        assert match.lastgroup is not None
        found.append((match.lastgroup, match[match.lastgroup]))
        at = match.end()
    return found


def _plain(kind: str, word: str) -> str:
    if kind == "text":
        return _quoted(_value(word))
    if kind == "name":
        return _CONSTANTS.get(word, word)
    return _SPELLED.get(word, word)


def _call(name: str, tokens: list[tuple[str, str]]) -> str:
    """Translate a function; its tokens are taken."""
    first, second = _arguments(name, tokens)
    if name in _PATTERNS and len(second) == 1 and second[0][0] == "text":
        before, after = _PATTERNS[name]
        wanted = re.sub(r"([\\%_])", r"\\\1", _value(second[0][1]))
        return f"{_joined(first)} LIKE {_quoted(before + wanted + after)}"
    if name == "contains":
        return f"{_joined(second)} IN {_joined(first)}"
    raise _not_known(name)


def _arguments(
    name: str, tokens: list[tuple[str, str]]
) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    parts: list[list[tuple[str, str]]] = [[]]
    depth = 0
    while tokens:
        kind, word = tokens.pop(0)
        opens, closes = word in ("(", "["), word in (")", "]")
        depth += opens - closes if kind == "mark" else 0
        if depth == 0:
            if len(parts) == 2 and parts[0] and parts[1]:
                return parts[0], parts[1]
            break
        if kind == "mark" and word == "," and depth == 1:
            parts.append([])
        elif not (kind == "mark" and word == "(" and depth == 1):
            parts[-1].append((kind, word))
    raise _not_known(f"{name}( )")


def _joined(tokens: list[tuple[str, str]]) -> str:
    return " ".join(_plain(kind, word) for kind, word in tokens).replace(" . ", ".")


def _value(word: str) -> str:
    return re.sub(r"\\(.)", r"\1", word[1:-1], flags=re.DOTALL)


def _quoted(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _not_known(what: str) -> HedgerowError:
    return HedgerowError("PERMISSION_INVALID", f"a query that is not understood near {what!r}")
