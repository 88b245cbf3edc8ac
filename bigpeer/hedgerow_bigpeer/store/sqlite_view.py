"""One consistent view of a SQLite store."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any

from .filter import SQLITE, Filter, paths_of, write
from .filter import TRUE as EVERY_ONE
from .port import DocumentRow
from .sqlite_ingest import DOCUMENT_QUERY


class SqliteSnapshot:
    """See `port.Snapshot`: a read transaction on a connection of its own; `read` runs a query on it."""

    def __init__(
        self,
        read: Callable[..., Awaitable[list[Any]]],
        transaction: int,
        indexes: Mapping[str, Collection[str]],
    ) -> None:
        self._read = read
        self.transaction = transaction
        self._indexes = indexes

    async def documents(
        self, collection: str, after: bytes | None, limit: int, wanted: Filter = EVERY_ONE
    ) -> Sequence[DocumentRow]:
        condition, parameters = write(wanted, SQLITE, self._indexes.get(collection, ()))
        # The plus keeps SQLite from walking a whole collection in the order of its ids where an index of a
        # path leads to fewer of them.
        by_id = "+id" if any(path in self._indexes.get(collection, ()) for path in paths_of(wanted)) else "id"
        return await self._documents(
            f"collection = ? AND {by_id} > ? AND value IS NOT NULL AND {condition} ORDER BY {by_id} LIMIT ?",
            collection,
            after or b"",
            *parameters,
            limit,
        )

    async def document(self, collection: str, document_id: bytes) -> DocumentRow | None:
        rows = await self._documents("collection = ? AND id = ?", collection, document_id)
        return rows[0] if rows else None

    async def some(self, collection: str, ids: Sequence[bytes]) -> Sequence[DocumentRow]:
        places = ", ".join("?" * len(ids))
        condition = f"collection = ? AND id IN ({places}) AND value IS NOT NULL ORDER BY id"
        return await self._documents(condition, collection, *ids)

    async def newest(self, collection: str, limit: int) -> Sequence[DocumentRow]:
        return await self._documents(
            "collection = ? AND value IS NOT NULL ORDER BY xid DESC LIMIT ?", collection, limit
        )

    async def _documents(self, condition: str, *args: Any) -> list[DocumentRow]:
        return [DocumentRow(*row) for row in await self._read(f"{DOCUMENT_QUERY} AND {condition}", *args)]
