"""A small author for tests: a real Peer on a MemoryLog, and its log as entries for a Store."""

from typing import Any

from hedgerow.codec.decimal import Decimal
from hedgerow.codec.schema import STREAM
from hedgerow.log import ENTRY_OP, ENTRY_SEAL, ENTRY_SKIP
from hedgerow.memory import MemoryLog, MemoryStore
from hedgerow.mesh.tag import mesh_tag
from hedgerow.peer import Peer
from hedgerow_bigpeer.store.rows import Entry, Operation, SchemaEntry, SealEntry, SkipEntry

# 2026-06-01T00:00:00Z in ms since 2000
JUNE = 833_587_200_000


class Writer:
    """`peer` is at uptime `now`; every insert moves it on by a second."""

    def __init__(self, name: str = "writer", mesh: str = "demo") -> None:
        self.store = MemoryStore()
        self.name = name
        self.mesh = mesh
        self.now = 0
        self.boot()

    def boot(self) -> None:
        """Start again after a power cut, at uptime 0."""
        self.now = 0
        self.peer: Any = Peer(
            MemoryLog(self.store), 0, name=self.name, mesh=mesh_tag(self.mesh), kinds={"readings": STREAM}
        )

    def insert(self, document: dict[str, object], collection: str = "readings") -> int:
        """Write a document; return its number."""
        self.now += 1000
        number: int = self.peer.insert(collection, document, self.now)
        return number

    def insert_many(self, count: int) -> None:
        """Write readings."""
        for n in range(1, count + 1):
            self.insert({"board": self.name, "n": n, "temperature_f": Decimal(390 + n, -1)})

    def bodies(self) -> list[bytes]:
        """Return every operation in its stored form; seals are left out."""
        return [entry.body for entry in self.entries() if isinstance(entry, Operation)]

    def entries(self, held: int = 0, sealed: int = 0) -> list[Entry]:
        """Return the schemas, then what a holder of (held, sealed) lacks."""
        result: list[Entry] = [SchemaEntry(schema.encoded) for schema in self.peer.schemas.values()]
        author = self.peer.author
        for kind, first, _, body in self.peer.log.read(author, held, sealed, 1 << 30):
            if kind == ENTRY_OP:
                result.append(Operation(author, first, body))
            elif kind == ENTRY_SEAL:
                result.append(SealEntry(author, body))
            elif kind == ENTRY_SKIP:
                result.append(SkipEntry(author, body))
        return result
