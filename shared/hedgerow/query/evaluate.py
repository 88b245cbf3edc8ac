"""SELECT over documents (SPEC 10.6): what every other way of running one must agree with.

("select", distinct, columns, collection, where, group, having, order, limit, offset): a column is
("star",) or ("column", expression, name); where and having are an expression or None; group is a tuple
of expressions; order a tuple of (expression, descending); limit and offset an expression or None.
The statements that change documents are in `hedgerow.query.mutate`.
"""

from .. import limits
from ..errors import HedgerowError
from .expression import bind, evaluate, has_aggregate, holds, rewrite
from .values import MISSING, order_key

_SLACK = limits.const(8)


class Select:
    """One run of a SELECT: add every document of the collection in any order, then take the rows.

    A document is a dict of its fields, `_id` included; between two of them the caller may pause as long as it
    likes. At most `max_rows` rows, or groups, are kept: more end the run with QUERY_ROWS. More than
    `max_documents` looked at end it with QUERY_COST.
    """

    def __init__(
        self,
        statement: tuple,
        arguments: dict | None = None,
        max_rows: int = limits.MAX_ANSWER_ROWS,
        max_documents: int | None = None,
    ) -> None:
        _, self.distinct, columns, self.collection, where, group, having, order, limit, offset = statement
        arguments = arguments or {}
        self._max_rows = max_rows
        self._max_documents = max_documents
        self._looked_at = 0
        self._where = bind(where, arguments) if where else None
        if where and has_aggregate(where):
            raise HedgerowError("QUERY_AGGREGATE", "an aggregate stands in WHERE; use HAVING")
        self.offset = count_of("OFFSET", offset, arguments) or 0
        limit = count_of("LIMIT", limit, arguments)
        self.wanted = None if limit is None else self.offset + limit
        self._columns = [_bind_column(column, arguments) for column in columns]
        self.order = bind_order(order, columns, arguments)
        self._groups = None
        shown = [column[1] for column in self._columns if column[0] == "column"]
        if group or having or any(has_aggregate(item) for item in shown + [item for item, _ in self.order]):
            self._group(group, having, columns, arguments)
        # Whether each row shows one document.
        self.plain = self._groups is None and not self.distinct
        self._kept = []
        self._seen = set()
        self.finished = False

    def _group(self, group: tuple, having: tuple | None, columns: tuple, arguments: dict) -> None:
        """Turn columns and order into expressions over the rows that the groups give."""
        from .group import Groups

        keys = [bind(_unalias(item, columns, True), arguments) for item in group]
        having = bind(_unalias(having, columns, False), arguments) if having else None
        self._groups = Groups(keys, having, self._max_rows)
        regroup = self._groups.regroup
        grouped = []
        for column in self._columns:
            if column[0] == "star":
                raise HedgerowError("QUERY_NOT_GROUPED", "* stands beside a group or an aggregate")
            grouped.append(("column", regroup(column[1]), column[2]))
        self._columns = grouped
        self.order = [(regroup(item), falling) for item, falling in self.order]

    def matches(self, document: dict) -> bool:
        """Tell whether a document holds WHERE."""
        return self._where is None or holds(self._where, document)

    def add(self, document: dict) -> None:
        """Take one document into account; once `finished`, further ones change nothing."""
        if self.finished:
            return
        self._looked_at += 1
        if self._max_documents is not None and self._looked_at > self._max_documents:
            raise HedgerowError("QUERY_COST", "more than " + str(self._max_documents) + " documents")
        if self.matches(document):
            if self._groups is not None:
                self._groups.add(document)
            else:
                self._keep(document)

    def rows(self) -> list:
        """Return the rows in order, each a dict; call once, after the last document."""
        if self._groups is not None:
            for row in self._groups.rows():
                self._keep(row)
        self._kept = sort_kept(self._kept, self.order)
        return [row for _, row in self._kept[self.offset : self.wanted]]

    def _keep(self, row: object) -> None:
        shown = self.project(row)
        if self.distinct:
            key = order_key(shown)
            if key in self._seen:
                return
            self.check_rows(len(self._seen) + 1)
            self._seen.add(key)
        self._kept.append((self.sort_keys(row), shown))
        wanted = self.wanted
        if wanted is None or wanted > self._max_rows:
            self.check_rows(len(self._kept))
        elif not self.order:
            self.finished = len(self._kept) >= wanted
        elif len(self._kept) >= wanted + max(_SLACK, wanted >> 2):
            self._kept = sort_kept(self._kept, self.order)[:wanted]

    def check_rows(self, count: int) -> None:
        """Refuse more rows than may be kept."""
        if count > self._max_rows:
            raise HedgerowError(
                "QUERY_ROWS", "more than " + str(self._max_rows) + " rows; use LIMIT or aggregates"
            )

    def sort_keys(self, row: object) -> list:
        """Return what ORDER BY compares of a row."""
        return [order_key(evaluate(item, row)) for item, _ in self.order]

    def project(self, row: object) -> dict:
        """Return what the columns show of a row."""
        shown = {}
        for column in self._columns:
            if column[0] == "star":
                shown.update(row)
                continue
            value = evaluate(column[1], row)
            if value is not MISSING:
                shown[column[2]] = value
        return shown


def sort_kept(kept: list, order: object) -> list:
    """Return entries (sort keys, ...) in order; those with equal keys keep theirs."""
    # From the last key to the first; the position breaks ties, because not every VM sorts stably.
    for index in range(len(order) - 1, -1, -1):
        falling = order[index][1]
        sign = -1 if falling else 1
        keyed = [(entry[0][index], sign * at, entry) for at, entry in enumerate(kept)]
        keyed.sort(key=_first_two, reverse=falling)
        kept = [entry for _, _, entry in keyed]
    return kept


def bind_order(order: tuple, columns: tuple, arguments: dict) -> list:
    """Return ORDER BY with parameters bound, and names of columns replaced by what they stand for."""
    return [(bind(_unalias(item, columns, False), arguments), falling) for item, falling in order]


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
                    and not (plain and has_aggregate(column[1]))
                ):
                    return column[1]
        return None

    return rewrite(expression, replace)


def count_of(clause: str, expression: tuple | None, arguments: dict) -> int | None:
    """Return the number of a LIMIT or OFFSET, None where there is none; refuse what is no such number."""
    if expression is None:
        return None
    value = evaluate(bind(expression, arguments), {})
    if value is True or value is False or not isinstance(value, int) or value < 0:
        raise HedgerowError("QUERY_COUNT", clause + " takes a whole number that is not negative")
    return value
