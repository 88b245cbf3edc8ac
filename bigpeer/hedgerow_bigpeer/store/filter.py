"""A condition as SQL can ask it of facets: made by `hedgerow_bigpeer.prefilter`, written out here.

A filter is a tuple: ("true",), ("false",), ("and" | "or", filters), ("compare", path, operator, text),
("in", path, texts), ("missing" | "present" | "long", path) or ("same", path, path); a path is a name of
`facets.name_of`. None of them is ever NULL, so that they can be negated by who writes them.
"""

import re
from collections.abc import Collection
from typing import Any, NamedTuple

from .facets import CUT

Filter = tuple[Any, ...]
TRUE: Filter = ("true",)
FALSE: Filter = ("false",)

_NAME = re.compile(r"[A-Za-z0-9_.~]+", re.ASCII)
_OPERATORS = ("=", "<>", "<", "<=", ">", ">=")


class Dialect(NamedTuple):
    """How one engine spells a facet, once with the path as a parameter, once with it in the text; and the id
    where it is to follow an index of a path, and not to walk the collection in the order of its ids.
    """

    asked: str
    written: str
    unordered_id: str

    def indexed(self, name: str) -> str:
        """Return the expression that an index of a path is made over."""
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no name of a path")
        return self.written.format(name)


SQLITE = Dialect("json_extract(facets, '$.\"' || ? || '\"')", "json_extract(facets, '$.\"{}\"')", "+id")
POSTGRES = Dialect('((facets ->> ?::text) COLLATE "C")', "((facets ->> '{}') COLLATE \"C\")", "id")


def write(wanted: Filter, dialect: Dialect, indexes: Collection[str] = ()) -> tuple[str, list[Any]]:
    """Return a filter as SQL with `?` for its parameters, and these. Paths in `indexes` are written so that
    the engine knows the index; no other name and no value ever stands in the text.
    """
    writer = _Writer(dialect, indexes)
    return writer.write(wanted), writer.parameters


def paths_of(wanted: Filter) -> set[str]:
    """Return the paths that a filter bounds from below or above, or asks to be equal, whatever else holds."""
    if wanted[0] == "and":
        return {path for part in wanted[1] for path in paths_of(part)}
    if wanted[0] == "compare" and wanted[2] != "<>":
        return {wanted[1]}
    return {wanted[1]} if wanted[0] == "in" else set()


class _Writer:
    def __init__(self, dialect: Dialect, indexes: Collection[str]) -> None:
        self._dialect = dialect
        self._indexes = indexes
        self.parameters: list[Any] = []

    def write(self, wanted: Filter) -> str:
        kind = wanted[0]
        if kind in ("true", "false"):
            return "1 = 1" if kind == "true" else "1 = 0"
        if kind in ("and", "or"):
            return "(" + f" {kind.upper()} ".join([self.write(part) for part in wanted[1]]) + ")"
        facet = self._facet(wanted[1])
        if kind == "missing":
            return f"{facet} IS NULL"
        if kind == "present":
            return f"{facet} IS NOT NULL"
        if kind == "long":
            return f"length({facet}) >= {CUT}"
        if kind == "same":
            return f"{facet} = {self._facet(wanted[2])}"
        if kind == "in":
            self.parameters += wanted[2]
            return f"{facet} IN ({', '.join('?' * len(wanted[2]))})"
        assert kind == "compare" and wanted[2] in _OPERATORS
        self.parameters.append(wanted[3])
        return f"{facet} {wanted[2]} ?"

    def _facet(self, name: str) -> str:
        if name in self._indexes:
            return self._dialect.indexed(name)
        self.parameters.append(name)
        return self._dialect.asked
