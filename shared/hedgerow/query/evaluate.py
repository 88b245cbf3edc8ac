"""Statements over documents (SPEC 10.1): what every other way of running a query must agree with.

("select", distinct, columns, collection, where, group, having, order, limit, offset): a column is
("star",) or ("column", expression, name); where and having are an expression or None; group is a tuple
of expressions; order a tuple of (expression, descending); limit and offset an expression or None.
("insert", collection, initial, documents, policy): documents is a tuple of expressions; policy one of
"fail", "nothing", "update" and "update_local_diff".
"""

from .. import limits
from ..errors import HedgerowError
from .arithmetic import Aggregate
from .expression import bind, evaluate, holds, rewrite
from .values import MISSING, order_key

MAX_ROWS = limits.const(10000)
_SLACK = limits.const(32)


class Select:
    """One run of a SELECT: add every document of the collection in any order, then take the rows.

    A document is a dict of its fields, `_id` included. At most `max_rows` rows, or groups, are kept:
    more end the run with QUERY_ROWS.
    """

    def __init__(self, statement: tuple, arguments: dict | None = None, max_rows: int = MAX_ROWS) -> None:
        _, self._distinct, columns, self.collection, where, group, having, order, limit, offset = statement
        arguments = arguments or {}
        self._max_rows = max_rows
        self._where = bind(where, arguments) if where else None
        if where and _aggregates(where):
            raise HedgerowError("QUERY_AGGREGATE", "an aggregate stands in WHERE; use HAVING")
        offset = _count("OFFSET", offset, arguments) or 0
        limit = _count("LIMIT", limit, arguments)
        self._offset = offset
        self._wanted = None if limit is None else offset + limit
        self._columns = [_bind_column(column, arguments) for column in columns]
        self._order = [(bind(_unalias(item, columns, False), arguments), falling) for item, falling in order]
        having = bind(_unalias(having, columns, False), arguments) if having else None
        self._grouping = None
        expressions = [column[1] for column in self._columns if column[0] == "column"]
        if (
            group
            or having
            or any(_aggregates(item) for item in expressions + [item for item, _ in self._order])
        ):
            keys = [bind(_unalias(item, columns, True), arguments) for item in group]
            self._grouping = _Grouping(keys, having, max_rows)
            self._regroup()
        self._kept = []
        self._seen = set()
        self.finished = False

    def add(self, document: dict) -> None:
        """Take one document into account; once `finished`, further ones change nothing."""
        if self.finished or (self._where is not None and not holds(self._where, document)):
            return
        if self._grouping is not None:
            self._grouping.add(document)
        else:
            self._keep(document)

    def rows(self) -> list:
        """Return the rows in order, each a dict; call once, after the last document."""
        if self._grouping is not None:
            for row in self._grouping.rows():
                self._keep(row)
        self._sort()
        return [row for _, row in self._kept[self._offset : self._wanted]]

    def _regroup(self) -> None:
        """Turn columns and order into expressions over the rows that the groups give."""
        regroup = self._grouping.regroup
        columns = []
        for column in self._columns:
            if column[0] == "star":
                raise HedgerowError("QUERY_NOT_GROUPED", "* stands beside a group or an aggregate")
            columns.append(("column", regroup(column[1]), column[2]))
        self._columns = columns
        self._order = [(regroup(item), falling) for item, falling in self._order]

    def _keep(self, row: object) -> None:
        shown = self._project(row)
        if self._distinct:
            key = order_key(shown)
            if key in self._seen:
                return
            if len(self._seen) >= self._max_rows:
                raise HedgerowError("QUERY_ROWS", "more than " + str(self._max_rows) + " distinct rows")
            self._seen.add(key)
        self._kept.append(([order_key(evaluate(item, row)) for item, _ in self._order], shown))
        wanted = self._wanted
        if wanted is None or wanted > self._max_rows:
            if len(self._kept) > self._max_rows:
                raise HedgerowError(
                    "QUERY_ROWS", "more than " + str(self._max_rows) + " rows; use LIMIT or aggregates"
                )
        elif not self._order:
            self.finished = len(self._kept) >= wanted
        elif len(self._kept) >= 2 * wanted + _SLACK:
            self._sort()
            self._kept = self._kept[:wanted]

    def _project(self, row: object) -> dict:
        shown = {}
        for column in self._columns:
            if column[0] == "star":
                shown.update(row)
                continue
            value = evaluate(column[1], row)
            if value is not MISSING:
                shown[column[2]] = value
        return shown

    def _sort(self) -> None:
        # From the last key to the first; the position breaks ties, because not every VM sorts stably.
        for index in range(len(self._order) - 1, -1, -1):
            falling = self._order[index][1]
            sign = -1 if falling else 1
            keyed = [(entry[0][index], sign * at, entry) for at, entry in enumerate(self._kept)]
            keyed.sort(key=_first_two, reverse=falling)
            self._kept = [entry for _, _, entry in keyed]


class _Grouping:
    """The groups of one run; each gives a row: the keys, then the aggregates, by position."""

    def __init__(self, keys: list, having: tuple | None, max_groups: int) -> None:
        self._keys = keys
        # Written out, because Python takes 1, True and 1.0 for the same.
        self._written_keys = [repr(key) for key in keys]
        self._wanted = []
        self._written = []
        self._max_groups = max_groups
        self._groups = {}
        self._having = self.regroup(having) if having else None

    def regroup(self, expression: tuple) -> tuple:
        """Return the expression over a group's row; what is neither key nor aggregate is refused."""

        def replace(part: tuple) -> tuple | None:
            written = repr(part)
            if written in self._written_keys:
                return ("path", (self._written_keys.index(written),))
            if part[0] == "aggregate":
                if part[2] and _aggregates(part[2]):
                    raise HedgerowError("QUERY_AGGREGATE", "an aggregate stands inside an aggregate")
                if written not in self._written:
                    self._written.append(written)
                    self._wanted.append(part)
                return ("path", (len(self._keys) + self._written.index(written),))
            if part[0] == "path":
                raise HedgerowError("QUERY_NOT_GROUPED", _shown(part[1]) + " is not in GROUP BY")
            return None

        return rewrite(expression, replace)

    def add(self, document: dict) -> None:
        values = [evaluate(key, document) for key in self._keys]
        key = tuple([order_key(value) for value in values])
        group = self._groups.get(key)
        if group is None:
            if len(self._groups) >= self._max_groups:
                raise HedgerowError("QUERY_ROWS", "more than " + str(self._max_groups) + " groups")
            group = self._groups[key] = self._new(values)
        for aggregate, wanted in zip(group[1], self._wanted):
            aggregate.add(True if wanted[2] is None else evaluate(wanted[2], document))

    def rows(self) -> list:
        # Without GROUP BY there is one group, also over no documents.
        groups = self._groups if self._keys or self._groups else {(): self._new([])}
        rows = []
        for key in sorted(groups):
            values, aggregates = groups[key]
            row = values + [aggregate.result() for aggregate in aggregates]
            if self._having is None or holds(self._having, row):
                rows.append(row)
        return rows

    def _new(self, values: list) -> tuple:
        return values, [Aggregate(wanted[1], wanted[3]) for wanted in self._wanted]


def insert_documents(statement: tuple, arguments: dict | None = None) -> list:
    """Return the documents that an INSERT gives, each a dict."""
    documents = []
    for expression in statement[3]:
        document = evaluate(bind(expression, arguments or {}), {})
        if not isinstance(document, dict):
            raise HedgerowError("QUERY_DOCUMENT", "DOCUMENTS takes objects only")
        documents.append(document)
    return documents


def _first_two(entry: tuple) -> tuple:
    return entry[:2]


def _bind_column(column: tuple, arguments: dict) -> tuple:
    return column if column[0] == "star" else ("column", bind(column[1], arguments), column[2])


def _unalias(expression: tuple, columns: tuple, plain: bool) -> tuple:
    """Replace the columns' names by their expressions; with `plain` only those without an aggregate."""

    def replace(part: tuple) -> tuple | None:
        if part[0] == "aggregate":
            return part
        if part[0] == "path" and len(part[1]) == 1:
            for column in columns:
                if (
                    column[0] == "column"
                    and column[2] == part[1][0]
                    and not (plain and _aggregates(column[1]))
                ):
                    return column[1]
        return None

    return rewrite(expression, replace)


def _aggregates(expression: tuple) -> bool:
    found = []

    def look(part: tuple) -> tuple | None:
        if part[0] == "aggregate":
            found.append(part)
            return part
        return None

    rewrite(expression, look)
    return bool(found)


def _count(clause: str, expression: tuple | None, arguments: dict) -> int | None:
    if expression is None:
        return None
    value = evaluate(bind(expression, arguments), {})
    if value is True or value is False or not isinstance(value, int) or value < 0:
        raise HedgerowError("QUERY_COUNT", clause + " takes a whole number that is not negative")
    return value


def _shown(steps: tuple) -> str:
    text = ""
    for step in steps:
        text += "[" + str(step) + "]" if isinstance(step, int) else ("." if text else "") + step
    return text
