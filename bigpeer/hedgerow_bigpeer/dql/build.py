"""The actions of the grammar: each makes one tuple of the statement."""

from typing import Any

from lark import Token, Transformer, v_args

from hedgerow.codec.decimal import Decimal
from hedgerow.errors import HedgerowError
from hedgerow.query.values import MISSING

from .. import limits

Node = tuple[Any, ...]
_AGGREGATES = ("count", "sum", "avg", "min", "max")


class DqlError(Exception):
    """A statement that is well formed but means nothing: a code, the reason, and the token it is about."""

    def __init__(self, code: str, reason: str, token: Token) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason
        self.token = token


@v_args(inline=True)
class Build(Transformer[Token, Any]):
    """Called by the parser as it goes, so that no tree is built first."""

    def start(self, statement: Node) -> Node:
        return statement

    def select(self, *parts: Any) -> Node:
        distinct = isinstance(parts[0], Token)
        columns, collection, *clauses = parts[1:] if distinct else parts
        found = dict(clauses)
        return (
            "select",
            distinct,
            columns,
            str(collection),
            found.get("where"),
            found.get("group", ()),
            found.get("having"),
            found.get("order", ()),
            found.get("limit"),
            found.get("offset"),
        )

    def columns(self, *columns: Node) -> Node:
        _check_count("columns", columns)
        names: set[str] = set()
        named: list[Node] = []
        for number, (column, token) in enumerate(columns, 1):
            if column[0] == "column":
                column = ("column", column[1], column[2] or _column_name(column[1]) or f"${number}")
                if column[2] in names:
                    raise _duplicate(column[2], token)
                names.add(column[2])
            named.append(column)
        return tuple(named)

    def star(self) -> Node:
        return ("star",), None

    def column(self, expression: Node, name: Token | None = None) -> Node:
        return ("column", expression, str(name) if name is not None else None), name

    def where(self, expression: Node) -> Node:
        return "where", expression

    def group(self, *expressions: Node) -> Node:
        _check_count("GROUP BY", expressions)
        return "group", expressions

    def having(self, expression: Node) -> Node:
        return "having", expression

    def order(self, *orderings: Node) -> Node:
        _check_count("ORDER BY", orderings)
        return "order", orderings

    def ordering(self, expression: Node, direction: Token | None = None) -> Node:
        return expression, direction is not None and direction.type == "DESC"

    def limit(self, expression: Node) -> Node:
        return "limit", expression

    def offset(self, expression: Node) -> Node:
        return "offset", expression

    def insert(self, collection: Token, *parts: Any) -> Node:
        initial = isinstance(parts[0], Token)
        documents = parts[1:] if initial else parts
        policy = "fail"
        if documents[-1][0] == "policy":
            policy = documents[-1][1]
            documents = documents[:-1]
        return "insert", str(collection), initial, tuple(documents), policy

    def document(self, expression: Node) -> Node:
        return expression

    def conflict(self, policy: str) -> Node:
        return "policy", policy

    def policy_fail(self) -> str:
        return "fail"

    def policy_nothing(self) -> str:
        return "nothing"

    def policy_update(self) -> str:
        return "update"

    def policy_update_local_diff(self) -> str:
        return "update_local_diff"

    def or_(self, *items: Node) -> Node:
        return "or", items

    def and_(self, *items: Node) -> Node:
        return "and", items

    def not_(self, item: Node) -> Node:
        return "not", item

    def compare(self, left: Node, operator: Token, right: Node) -> Node:
        return "compare", {"<>": "!=", "==": "="}.get(operator, str(operator)), left, right

    def between(self, item: Node, *rest: Any) -> Node:
        return _negated(rest, ("between", item, *rest[-2:]))

    def in_(self, item: Node, *rest: Any) -> Node:
        return _negated(rest, ("in", item, rest[-1]))

    def like(self, item: Node, *rest: Any) -> Node:
        return _negated(rest, ("like", item, rest[-1], rest[-2].upper() == "ILIKE"))

    def is_(self, item: Node, *rest: Token) -> Node:
        return _negated(rest, ("is_" + rest[-1].type.lower(), item))

    def list(self, expression: Node) -> Node:
        return expression

    def list_items(self, *items: Node) -> Node:
        return items

    def arithmetic(self, left: Node, operator: Token, right: Node) -> Node:
        return "arithmetic", str(operator), left, right

    def negate(self, _: Token, item: Node) -> Node:
        return "negate", item

    def literal(self, token: Token) -> Node:
        if token.type == "NUMBER":
            return "literal", _number(token)
        if token.type == "STRING":
            return "literal", token[1:-1].replace("''", "'")
        return "literal", {"NULL": None, "TRUE": True, "FALSE": False, "MISSING": MISSING}[token.type]

    def parameter(self, token: Token) -> Node:
        return "param", token[1:]

    def path(self, name: Token, *steps: str | int) -> Node:
        return "path", (str(name), *steps)

    def field(self, name: Token) -> str:
        return str(name)

    def position(self, token: Token) -> int:
        if not token.isdecimal() or len(token) > 9:
            raise DqlError("QUERY_SYNTAX", "a position in an array is a whole number", token)
        return int(token)

    def call(self, name: Token, *rest: Any) -> Node:
        function = name.lower()
        if function not in _AGGREGATES:
            known = ", ".join(_AGGREGATES)
            raise DqlError("QUERY_UNSUPPORTED", f"no function named {name}; there are {known}", name)
        if not rest:
            raise DqlError("QUERY_SYNTAX", f"{function} takes one argument", name)
        if isinstance(rest[-1], Token):
            if function != "count":
                raise DqlError("QUERY_SYNTAX", f"{function}(*) means nothing; only count takes *", name)
            return "aggregate", "count", None, False
        return "aggregate", function, rest[-1], len(rest) > 1

    def array(self, *items: Node) -> Node:
        return "array", items

    def object(self, *entries: Node) -> Node:
        return "object", entries

    def entry(self, name: Token, item: Node) -> Node:
        return name[1:-1].replace("''", "'"), item

    def name(self, token: Token) -> Token:
        return token.update(value=token[1:-1]) if token.type == "QUOTED" else token


def _check_count(clause: str, items: tuple[Any, ...]) -> None:
    if len(items) > limits.LISTED_EXPRESSIONS:
        raise HedgerowError("QUERY_TOO_LONG", f"{clause}: over {limits.LISTED_EXPRESSIONS} expressions")


def _negated(rest: tuple[Any, ...], node: Node) -> Node:
    """Wrap in "not" when the keyword NOT is among the parts."""
    return ("not", node) if any(isinstance(part, Token) and part.type == "NOT" for part in rest) else node


def _number(token: Token) -> int | Decimal:
    try:
        return int(token) if token.isdecimal() and len(token) < 20 else Decimal.parse(str(token))
    except HedgerowError as error:
        raise DqlError(
            "QUERY_SYNTAX", f"{token[:48]} is no number that can be held ({error.code})", token
        ) from None


def _column_name(expression: Node) -> str | None:
    """The last name of a path, the call of an aggregate; other expressions are known by position."""
    if expression[0] == "path":
        names = [step for step in expression[1] if isinstance(step, str)]
        return names[-1]
    if expression[0] == "aggregate":
        inner = "*" if expression[2] is None else _column_name(expression[2])
        if inner is not None:
            return f"{expression[1]}({'DISTINCT ' if expression[3] else ''}{inner})"
    return None


def _duplicate(name: str, token: Token | None) -> Exception:
    reason = f"two columns are named {name}; rename one with AS"
    return (
        DqlError("QUERY_COLUMNS", reason, token)
        if token is not None
        else HedgerowError("QUERY_COLUMNS", reason)
    )
