"""GROUP BY, HAVING and aggregates; a board loads this only for a statement with any (SPEC 10.5)."""

from ..errors import HedgerowError
from .aggregate import Aggregate
from .expression import evaluate, has_aggregate, holds, rewrite
from .values import order_key


class Groups:
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
                if part[2] and has_aggregate(part[2]):
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
        """Count a document in its group."""
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
        """Return the rows of the groups that HAVING lets pass, in the order of their keys."""
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


def _shown(steps: tuple) -> str:
    text = ""
    for step in steps:
        text += "[" + str(step) + "]" if isinstance(step, int) else ("." if text else "") + step
    return text
