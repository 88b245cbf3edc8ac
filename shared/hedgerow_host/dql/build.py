"""The actions of the grammar: each makes one tuple of the statement."""

import sys
from typing import Any

from lark import Token, v_args
from lark.visitors import Transformer_NonRecursive

from hedgerow.codec.decimal import Decimal
from hedgerow.errors import HedgerowError
from hedgerow.limits import MAX_LISTED
from hedgerow.query.parse import column_name
from hedgerow.query.values import MISSING

Node = tuple[Any, ...]
_AGGREGATES = ("count", "sum", "avg", "min", "max")


@v_args(inline=True)
class Build(Transformer_NonRecursive[Token, Any]):
    """Makes the tuples of one tree; what is wrong in what can be read is kept in `refusals`.

    A refusal is (place in the text, its token, code, reason); one about no single token comes last. `types`
    holds what is declared of the collection: the type of each path.
    """

    def __init__(self) -> None:
        super().__init__()
        self.refusals: list[tuple[int, Token | None, str, str]] = []
        self.types: dict[tuple[str, ...], str] = {}

    def _refuse(self, code: str, reason: str, token: Token | None) -> None:
        place = sys.maxsize if token is None or token.start_pos is None else token.start_pos
        self.refusals.append((place, token, code, reason))

    def _count(self, clause: str, items: tuple[Any, ...]) -> None:
        if len(items) > MAX_LISTED:
            self._refuse("QUERY_TOO_LONG", f"{clause}: over {MAX_LISTED} expressions", None)

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
            collection,
            found.get("where"),
            found.get("group", ()),
            found.get("having"),
            found.get("order", ()),
            found.get("limit"),
            found.get("offset"),
        )

    def columns(self, *columns: Node) -> Node:
        self._count("columns", columns)
        names: set[str] = set()
        named: list[Node] = []
        for number, (column, token) in enumerate(columns, 1):
            if column[0] == "column":
                name = column[2] or column_name(column[1]) or f"${number}"
                column = ("column", column[1], name)
                if name in names:
                    self._refuse("QUERY_COLUMNS", f"two columns are named {name}; rename one with AS", token)
                names.add(name)
            named.append(column)
        return tuple(named)

    def star(self) -> Node:
        return ("star",), None

    def column(self, expression: Node, name: Token | None = None) -> Node:
        return ("column", expression, str(name) if name is not None else None), name

    def source(self, collection: str) -> str:
        return collection

    def system(self, name: Token, rest: Token) -> str:
        return f"{name}:{rest}"

    def collection(self, name: Token, *_: None) -> str:
        return str(name)

    def typed(self, path: Node, kind: Token) -> None:
        if kind.type == "ATTACHMENT":
            self._refuse("QUERY_UNSUPPORTED", "there is no type ATTACHMENT", kind)
        self.types[path] = kind.type

    def where(self, expression: Node) -> Node:
        return "where", expression

    def group(self, *expressions: Node) -> Node:
        self._count("GROUP BY", expressions)
        return "group", expressions

    def having(self, expression: Node) -> Node:
        return "having", expression

    def order(self, *orderings: Node) -> Node:
        self._count("ORDER BY", orderings)
        return "order", orderings

    def ordering(self, expression: Node, direction: Token | None = None) -> Node:
        return expression, direction is not None and direction.type == "DESC"

    def limit(self, expression: Node) -> Node:
        return "limit", expression

    def offset(self, expression: Node) -> Node:
        return "offset", expression

    def insert(self, collection: str, *parts: Any) -> Node:
        initial = isinstance(parts[0], Token)
        documents = parts[1:] if initial else parts
        policy = "fail"
        if documents[-1][0] == "policy":
            policy = documents[-1][1]
            documents = documents[:-1]
        return "insert", collection, initial, tuple(documents), policy

    def update(self, collection: str, *clauses: Node) -> Node:
        found: dict[str, Node] = dict(clauses)
        sets, applies, unsets = [found.get(name, ()) for name in ("sets", "applies", "unsets")]
        self._count("SET", sets)
        self._count("APPLY", applies)
        self._count("UNSET", unsets)
        return "update", collection, sets, applies, unsets, found.get("where")

    def sets(self, *items: Node) -> Node:
        return "sets", items

    def applies(self, *items: Node) -> Node:
        return "applies", items

    def unsets(self, *items: Node) -> Node:
        return "unsets", items

    def assignment(self, path: Node, _: Token, expression: Node) -> Node:
        return path, expression

    def increment(self, path: Node, expression: Node) -> Node:
        return path, "increment", expression

    def restart(self, path: Node, expression: Node | None = None) -> Node:
        return path, "restart", expression

    def target(self, *names: Token) -> Node:
        return tuple([str(name) for name in names])

    def delete(self, collection: str, *clauses: Node) -> Node:
        return "delete", collection, clauses[0][1] if clauses else None

    def evict(self, collection: str, *clauses: Any) -> Node:
        force = bool(clauses) and isinstance(clauses[-1], Token)
        found = dict(clauses[:-1] if force else clauses)
        order, limit, offset = found.get("order", ()), found.get("limit"), found.get("offset")
        return "evict", collection, found.get("where"), order, limit, offset, force

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
            return "literal", self._number(token)
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
            self._refuse("QUERY_SYNTAX", "a position in an array is a whole number", token)
            return 0
        return int(token)

    def call(self, name: Token, *rest: Any) -> Node:
        function = name.lower()
        star = bool(rest) and isinstance(rest[-1], Token)
        item = None if star or not rest else rest[-1]
        distinct = len(rest) > 1
        if function == "deserialize_json":
            if item is None or distinct:
                self._refuse("QUERY_SYNTAX", f"{function} takes one text", name)
            return "json", item
        if function not in _AGGREGATES:
            known = ", ".join(_AGGREGATES)
            self._refuse("QUERY_UNSUPPORTED", f"no function named {name}; there are {known}", name)
        elif item is None and not (star and function == "count"):
            self._refuse("QUERY_SYNTAX", f"{function} takes one argument, only count takes *", name)
        return "aggregate", function, item, distinct

    def _number(self, token: Token) -> int | Decimal:
        try:
            return int(token) if token.isdecimal() and len(token) < 20 else Decimal.parse(str(token))
        except HedgerowError as error:
            reason = f"{token[:48]} is no number that can be held ({error.code})"
            self._refuse("QUERY_SYNTAX", reason, token)
            return 0

    def array(self, *items: Node) -> Node:
        return "array", items

    def object(self, *entries: Node) -> Node:
        return "object", entries

    def entry(self, name: Token, item: Node) -> Node:
        return name[1:-1].replace("''", "'"), item

    def name(self, token: Token) -> Token:
        return token.update(value=token[1:-1]) if token.type == "QUOTED" else token


def _negated(rest: tuple[Any, ...], node: Node) -> Node:
    """Wrap in "not" when the keyword NOT is among the parts."""
    return ("not", node) if any(isinstance(part, Token) and part.type == "NOT" for part in rest) else node
