"""DQL: the text of a statement to the tuples that are run (SPEC 10.1, `hedgerow.query.evaluate`).

Words are keywords only where a statement may have them, so every word can name a field. What a statement
says wrongly but readably (an unknown function, two columns of one name) is refused only if all of it can
be read; of several such refusals the first in the text is the one that is raised.
"""

from .. import limits
from ..errors import HedgerowError
from .scan import COMPARISONS, NUMBER, PARAMETER, QUOTED, STRING, WORD, Scanner, depth_of, is_whole, upper
from .values import MISSING

_AGGREGATES = ("count", "sum", "avg", "min", "max")
_LITERALS = {"NULL": None, "TRUE": True, "FALSE": False, "MISSING": MISSING}


def parse(
    text: str, characters: int = limits.MAX_STATEMENT, depth: int = limits.MAX_STATEMENT_DEPTH
) -> tuple:
    """Return the statement as tuples.

    Raises QUERY_SYNTAX with line, column and what was expected, QUERY_UNSUPPORTED for what is not
    understood, QUERY_COLUMNS for two columns of one name, QUERY_TOO_LONG and QUERY_DEPTH over the limits.
    """
    parser = _Parser(text, characters, depth)
    return parser.end(parser.statement())


def parse_condition(
    text: str, characters: int = limits.MAX_STATEMENT, depth: int = limits.MAX_STATEMENT_DEPTH
) -> tuple:
    """Return what may stand behind WHERE as an expression; raises what `parse` does."""
    parser = _Parser(text, characters, depth)
    return parser.end(parser.condition())


def column_name(expression: tuple) -> str | None:
    """Return the last name of a path or the call of an aggregate; other expressions have no name."""
    if expression[0] == "path":
        for step in reversed(expression[1]):
            if isinstance(step, str):
                return step
    if expression[0] == "aggregate":
        inner = "*" if expression[2] is None else column_name(expression[2])
        if inner is not None:
            return expression[1] + ("(DISTINCT " if expression[3] else "(") + inner + ")"
    return None


class _Parser(Scanner):
    def __init__(self, text: str, characters: int, depth: int) -> None:
        super().__init__(text, characters)
        self._depth = depth
        self._level = 0

    def end(self, statement: tuple) -> tuple:
        """Return the statement if it is all there is, and may be run."""
        self.check_end()
        self._check_depth(depth_of(statement))
        return statement

    def _check_depth(self, depth: int) -> None:
        if depth > self._depth:
            raise HedgerowError("QUERY_DEPTH", "nested deeper than " + str(self._depth))

    def _listed(self, read: object, clause: str = "") -> tuple:
        """Read one thing or more, with commas between; in a named clause not too many."""
        items = [read()]
        while self.takes(","):
            items.append(read())
        if clause and len(items) > limits.MAX_LISTED:
            self.refuse("QUERY_TOO_LONG", clause + ": over " + str(limits.MAX_LISTED) + " expressions", None)
        return tuple(items)

    def _clause(self, word: str, read: object) -> tuple:
        """Read a clause that lists things, if its keyword is next."""
        return self._listed(read, word) if self.has(word) else ()

    def _after(self, word: str) -> tuple | None:
        """Read the expression behind a keyword, if the keyword is next."""
        return self.condition() if self.has(word) else None

    # ---- statements

    def statement(self) -> tuple:
        """Read one statement and the semicolon after it."""
        for word, read in (
            ("SELECT", self._select),
            ("INSERT", self._insert),
            ("UPDATE", self._update),
            ("DELETE", self._delete),
            ("TOMBSTONE", self._delete),
            ("EVICT", self._evict),
        ):
            if self.has(word):
                statement = read()
                self.takes(";")
                return statement
        for word in ("ALTER", "CREATE", "DROP", "EXPLAIN", "SYNC"):
            if self.peeks(word):
                reason = self.place(self.start) + word + " is not understood here"
                raise HedgerowError("QUERY_UNSUPPORTED", reason)
        self.fail("SELECT, INSERT, UPDATE, DELETE or EVICT")

    def _select(self) -> tuple:
        distinct = self.has("DISTINCT")
        columns = self._columns()
        self.needs("FROM")
        if self.peeks("COLLECTION"):
            collection = self._collection()
        else:
            collection = self._name()
            if self.kind == PARAMETER or self.kind == ":":
                self.need(":")
                collection += ":" + self._name()
        where = self._after("WHERE")
        group = ()
        if self.has("GROUP"):
            self.needs("BY")
            group = self._listed(self.condition, "GROUP BY")
        return ("select", distinct, columns, collection, where, group, self._after("HAVING")) + self._cut()

    def _columns(self) -> tuple:
        columns = []
        seen = set()
        for expression, name, at in self._listed(self._column, "columns"):
            if expression is None:
                columns.append(("star",))
                continue
            name = name or column_name(expression) or "$" + str(len(columns) + 1)
            if name in seen:
                self.refuse("QUERY_COLUMNS", "two columns are named " + name + "; rename one with AS", at)
            seen.add(name)
            columns.append(("column", expression, name))
        return tuple(columns)

    def _column(self) -> tuple:
        if self.takes("*"):
            return None, None, None
        expression = self.condition()
        if not self.has("AS"):
            return expression, None, None
        at = self.start
        return expression, self._name(), at

    def _cut(self) -> tuple:
        """Read ORDER BY, LIMIT and OFFSET."""
        order = ()
        if self.has("ORDER"):
            self.needs("BY")
            order = self._listed(self._ordering, "ORDER BY")
        limit = self._after("LIMIT")
        return order, limit, self._after("OFFSET")

    def _ordering(self) -> tuple:
        expression = self.condition()
        falling = self.has("DESC")
        if not falling:
            self.has("ASC")
        return expression, falling

    def _insert(self) -> tuple:
        self.needs("INTO")
        collection = self._collection()
        initial = self.has("INITIAL")
        self.needs("DOCUMENTS")
        return "insert", collection, initial, self._listed(self._document), self._policy()

    def _document(self) -> tuple:
        self._open("(")
        document = self.condition()
        self._close(")")
        return document

    def _policy(self) -> str:
        if self.has("ON"):
            self.needs("ID CONFLICT")
            do = self.has("DO")
            if not self.has("FAIL"):
                for policy in ("nothing", "update", "update_local_diff"):
                    if do and self.has(policy.upper()):
                        return policy
                self.fail("FAIL, DO NOTHING, DO UPDATE or DO UPDATE_LOCAL_DIFF")
        return "fail"

    def _update(self) -> tuple:
        collection = self._collection()
        sets = self._clause("SET", self._assignment)
        applies = self._clause("APPLY", self._application)
        unsets = self._clause("UNSET", self._target)
        if not sets and not applies and not unsets:
            self.fail("SET, APPLY or UNSET")
        return "update", collection, sets, applies, unsets, self._after("WHERE")

    def _assignment(self) -> tuple:
        path = self._target()
        if not self.takes("="):
            self.fail("'='")
        return path, self.condition()

    def _application(self) -> tuple:
        path = self._target()
        if self.has("RESTART"):
            return path, "restart", self._after("WITH")
        if not self.has("INCREMENT") and not self.has("PN_INCREMENT"):
            self.fail("INCREMENT, PN_INCREMENT or RESTART")
        self.needs("BY")
        return path, "increment", self.condition()

    def _delete(self) -> tuple:
        self.needs("FROM")
        collection = self._collection()
        return "delete", collection, self._after("WHERE")

    def _evict(self) -> tuple:
        self.needs("FROM")
        collection = self._collection()
        where = self._after("WHERE")
        return ("evict", collection, where) + self._cut() + (self.has("FORCE"),)

    def _collection(self) -> str:
        """Read the name of a collection, and its types if it has any."""
        typed = self.has("COLLECTION")
        name = self._name()
        if typed and self.takes("("):
            self._listed(self._type)
            self.need(")")
        return name

    def _type(self) -> None:
        self._target()
        at = self.start
        if self.has("ATTACHMENT"):
            self.refuse("QUERY_UNSUPPORTED", "there is no type ATTACHMENT", at)
            return
        for word in ("MAP", "REGISTER", "COUNTER", "PN_COUNTER"):
            if self.has(word):
                return
        self.fail("a type")

    def _name(self) -> str:
        if self.kind == QUOTED:
            return self.token()[1:-1]
        if self.kind != WORD:
            self.fail("a name")
        return self.token()

    def _target(self) -> tuple:
        """Read a path of names only."""
        names = [self._name()]
        while self.takes("."):
            names.append(self._name())
        return tuple(names)

    # ---- expressions

    def condition(self) -> tuple:
        """Read an expression of any kind: OR, AND, NOT around predicates."""
        either = []
        while True:
            both = []
            while True:
                denials = 0
                while self.has("NOT"):
                    denials += 1
                item = self._predicate()
                for _ in range(denials):
                    item = ("not", item)
                both.append(item)
                if not self.has("AND"):
                    break
            either.append(both[0] if len(both) == 1 else ("and", tuple(both)))
            if not self.has("OR"):
                return either[0] if len(either) == 1 else ("or", tuple(either))

    def _predicate(self) -> tuple:
        left = self._sum()
        operator = self.kind
        if operator in COMPARISONS:
            self.advance()
            operator = {"<>": "!=", "==": "="}.get(operator, operator)
            return "compare", operator, left, self._sum()
        null = self.has("IS")
        denied = self.has("NOT")
        if null:
            null = self.has("NULL")
            if not null:
                self.needs("MISSING")
            found = ("is_null" if null else "is_missing", left)
        elif self.has("BETWEEN"):
            low = self._sum()
            self.needs("AND")
            found = ("between", left, low, self._sum())
        elif self.has("IN"):
            found = ("in", left, self._list())
        elif self.peeks("LIKE") or self.peeks("ILIKE"):
            fold = len(self.token()) == 5
            found = ("like", left, self._sum(), fold)
        elif denied:
            self.fail("BETWEEN, IN, LIKE or ILIKE")
        else:
            return left
        return ("not", found) if denied else found

    def _list(self) -> tuple:
        kind = self.kind
        if kind in (WORD, QUOTED):
            return self._path(self._name())
        if kind == "(":
            self._open("(")
            items = self._listed(self.condition)
            self._close(")")
            return items
        if kind != "[" and kind != PARAMETER:
            self.fail("a list in parentheses, an array, a parameter or a path")
        return self._primary()

    def _sum(self) -> tuple:
        total = product = None
        sign = operator = ""
        while True:
            negations = 0
            while self.takes("-"):
                negations += 1
            item = self._primary()
            for _ in range(negations):
                item = ("negate", item)
            product = ("arithmetic", operator, product, item) if operator else item
            operator = self.kind
            if operator in ("*", "/", "%"):
                self.advance()
                continue
            total = ("arithmetic", sign, total, product) if sign else product
            if operator not in ("+", "-"):
                return total
            sign = operator
            operator = ""
            self.advance()

    def _primary(self) -> tuple:
        kind = self.kind
        at = self.start
        if kind == WORD:
            name = self.token()
            word = upper(name)
            if word in _LITERALS:
                return "literal", _LITERALS[word]
            return self._call(name, at) if self.kind == "(" else self._path(name)
        if kind == QUOTED:
            return self._path(self._name())
        if kind == NUMBER:
            return "literal", self.number()
        if kind == STRING:
            return "literal", self.string()
        if kind == PARAMETER:
            return "param", self.token()[1:]
        if kind not in ("(", "[", "{"):
            self.fail("an expression")
        self._open(kind)
        items = []
        closing = ")"
        if kind == "(":
            found = self.condition()
        elif kind == "[":
            closing = "]"
            while self.kind != "]" or items:
                items.append(self.condition())
                if not self.takes(","):
                    break
            found = ("array", tuple(items))
        else:
            closing = "}"
            while self.kind != "}" or items:
                name = self._entry_name()
                items.append((name, self.condition()))
                if not self.takes(","):
                    break
            found = ("object", tuple(items))
        self._close(closing)
        return found

    def _open(self, bracket: str) -> None:
        """Take an opening bracket; one within another takes as much depth as two tuples."""
        self.need(bracket)
        self._level += 2
        self._check_depth(self._level)

    def _close(self, bracket: str) -> None:
        self.need(bracket)
        self._level -= 2

    def _entry_name(self) -> str:
        if self.kind != STRING:
            self.fail("a name as 'text'")
        name = self.string()
        self.need(":")
        return name

    def _path(self, name: str) -> tuple:
        steps = [name]
        while True:
            if self.takes("."):
                steps.append(self._name())
            elif self.takes("["):
                steps.append(self._position())
                self.need("]")
            else:
                return "path", tuple(steps)

    def _position(self) -> int:
        if self.kind != NUMBER:
            self.fail("a number")
        at = self.start
        text = self.token()
        if len(text) > 9 or not is_whole(text):
            self.refuse("QUERY_SYNTAX", "a position in an array is a whole number", at)
            return 0
        return int(text)

    def _call(self, name: str, at: int) -> tuple:
        function = name.lower()
        item = None
        distinct = False
        self._open("(")
        star = self.takes("*")
        if not star and self.kind != ")":
            distinct = self.has("DISTINCT")
            item = self.condition()
        self._close(")")
        if function == "deserialize_json":
            if item is None or distinct:
                self.refuse("QUERY_SYNTAX", function + " takes one text", at)
            return "json", item
        if function not in _AGGREGATES:
            known = ", ".join(_AGGREGATES)
            self.refuse("QUERY_UNSUPPORTED", "no function named " + name + "; there are " + known, at)
        elif item is None and not (star and function == "count"):
            self.refuse("QUERY_SYNTAX", function + " takes one argument, only count takes *", at)
        return "aggregate", function, item, distinct
