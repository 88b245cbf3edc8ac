"""What a caller may read and write, asked for one document at a time."""

from collections.abc import Sequence
from typing import Any

from hedgerow.crypto import claims
from hedgerow.errors import HedgerowError
from hedgerow.query.condition import Condition

from ..names import SYSTEM
from .scope import ALL, EVERYTHING, Entry, Scope


class Rule:
    """Which documents of a collection a right covers: those of which any condition holds; none means all."""

    def __init__(self, conditions: Sequence[Condition]) -> None:
        self._conditions = conditions

    def covers(self, document: dict[str, Any]) -> bool:
        """Say whether the right covers a document, given with its `_id` and without derived fields."""
        return not self._conditions or any(condition.holds(document) for condition in self._conditions)

    @property
    def is_whole(self) -> bool:
        """Whether every document is covered."""
        return not self._conditions


#: The rule that covers every document.
WHOLE = Rule(())
#: That of what the store itself has to say: nobody else writes grants.
KEEPER = Rule(())


class Rights:
    """The rights of one caller. Conditions are parsed once. `sees_status`: it has the verb status."""

    def __init__(self, scope: Scope, *, sees_status: bool = False) -> None:
        self.scope = scope
        self._sees_status = sees_status
        self._rules: dict[tuple[str, int], Rule | None] = {}

    def to_read(self, collection: str) -> Rule:
        """Return what may be read of a collection. Raises AUTH_FORBIDDEN if nothing may; of the system
        collections nothing without the verb status, which guards what they show.
        """
        if collection.startswith(SYSTEM) and not self._sees_status:
            raise HedgerowError("AUTH_FORBIDDEN", f"status {collection}"[:200])
        return self._need(collection, claims.READ, "read")

    def to_write(self, collection: str) -> Rule:
        """Return what may be written in a collection. Raises AUTH_FORBIDDEN if nothing may."""
        return self._need(collection, claims.WRITE, "write")

    def _need(self, collection: str, bit: int, verb: str) -> Rule:
        key = (collection, bit)
        if key not in self._rules:
            self._rules[key] = self._find(collection, bit)
        rule = self._rules[key]
        if rule is None:
            raise HedgerowError("AUTH_FORBIDDEN", f"{verb} {collection}"[:200])
        return rule

    def _find(self, collection: str, bit: int) -> Rule | None:
        entries = [
            entry for entry in self.scope if entry.bits & bit and entry.collection in (collection, EVERYTHING)
        ]
        if not entries:
            return None
        if any(not entry.condition for entry in entries):
            return WHOLE
        return Rule([Condition(entry.condition) for entry in entries])


EVERY_RIGHT = Rights(ALL, sees_status=True)
READER = Rights((Entry(EVERYTHING, claims.READ),), sees_status=True)
