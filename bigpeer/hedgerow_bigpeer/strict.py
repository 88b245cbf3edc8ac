"""What Ditto's strict mode asks of a statement: what is no register is declared (SPEC 10.8.1)."""

from typing import Any

from hedgerow.codec.schema import path_of
from hedgerow.errors import HedgerowError
from hedgerow.limits import MAX_FIELDS, MAX_PATH
from hedgerow.query.values import MISSING, order_key
from hedgerow_host.dql import Statement, Types

_COUNTERS = ("COUNTER", "PN_COUNTER")


class Strict:
    """The types that one statement declares; every other field is a register."""

    def __init__(self, types: Types) -> None:
        self._types = types

    def check(self, statement: Statement) -> None:
        """Raise QUERY_TYPE if an UPDATE writes below a register, or counts what is declared no counter."""
        _, _, sets, applies, unsets, _ = statement
        for path in [*(item[0] for item in sets), *(item[0] for item in applies), *unsets]:
            for size in range(1, len(path)):
                self._need(path[:size], "MAP")
        for path, *_ in applies:
            self._need(path, *_COUNTERS)

    def _need(self, path: tuple[str, ...], *types: str) -> None:
        if self._types.get(path) not in types:
            name = ".".join(path)
            raise HedgerowError("QUERY_TYPE", f"{name} is a register: declare it, ({name} {types[0]})"[:200])

    def replaced(self, fields: dict[Any, Any], current: dict[str, Any]) -> list[tuple[str, ...]]:
        """Return the paths of the maps in a document whose place another object is to take.

        `fields` are what is written, by name or path. In the core objects are maps that merge.
        """
        found: list[tuple[str, ...]] = []
        for name, value in fields.items():
            path = path_of(name)
            there: Any = current
            for step in path:
                there = there.get(step) if isinstance(there, dict) else None
            self._replace(found, path, value, there)
        return found

    def _replace(self, found: list[tuple[str, ...]], path: tuple[str, ...], value: Any, there: Any) -> None:
        if not isinstance(value, dict) or not isinstance(there, dict):
            return
        if self._types.get(path) == "MAP":
            for name in value:
                self._replace(found, (*path, name), value[name], there.get(name))
        elif there:
            found.append(path)

    def differing(self, document: dict[str, Any], current: dict[str, Any]) -> dict[Any, Any]:
        """Return the fields, by name or path, whose values differ; declared maps are compared by child."""
        found: dict[Any, Any] = {}
        self._differ(found, (), document, current)
        if len(found) <= MAX_FIELDS:
            return found
        return {
            name: value
            for name, value in document.items()
            if order_key(value) != order_key(current.get(name, MISSING))
        }

    def _differ(
        self,
        found: dict[Any, Any],
        above: tuple[str, ...],
        document: dict[str, Any],
        current: dict[str, Any],
    ) -> None:
        for name, value in document.items():
            path = (*above, name)
            old = current.get(name, MISSING)
            is_map = self._types.get(path) == "MAP" and len(path) < MAX_PATH
            if is_map and isinstance(value, dict) and isinstance(old, dict):
                self._differ(found, path, value, old)
            elif order_key(value) != order_key(old):
                found[path[0] if len(path) == 1 else path] = value
