"""One consistent view of a SQLite store."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from .port import DocumentRow
from .sqlite_ingest import DOCUMENT_QUERY


class SqliteSnapshot:
    """See `port.Snapshot`: a read transaction on a connection of its own; `read` runs a query on it."""

    def __init__(self, read: Callable[..., Awaitable[list[Any]]], transaction: int) -> None:
        self._read = read
        self.transaction = transaction

    async def documents(self, collection: str, after: bytes | None, limit: int) -> Sequence[DocumentRow]:
        return await self._documents(
            "collection = ? AND id > ? AND value IS NOT NULL ORDER BY id LIMIT ?",
            collection,
            after or b"",
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
