"""What a transaction has done so far."""

from copy import copy
from dataclasses import dataclass, field, fields

from hedgerow.codec.schema import Schema

from .rows import ClockRecord, Frontier, Refused, Written


@dataclass
class Effects:
    """What a transaction has done so far: what `Ingested` will say, and the schemas known now."""

    schemas: dict[bytes, Schema]
    changed: bool = False
    moved: dict[bytes, Frontier] = field(default_factory=dict)
    new_schemas: list[bytes] = field(default_factory=list)
    clocks: list[ClockRecord] = field(default_factory=list)
    ended: list[Written] = field(default_factory=list)
    last: dict[bytes, Written] = field(default_factory=dict)
    operations: int = 0
    documents: int = 0
    collections: dict[str, None] = field(default_factory=dict)
    refused: list[Refused] = field(default_factory=list)
    expired: dict[str, None] = field(default_factory=dict)
    cut: dict[bytes, None] = field(default_factory=dict)

    def copy(self) -> "Effects":
        """Return a copy that later effects do not reach."""
        kept = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        return Effects(**{name: copy(value) for name, value in kept.items()})
