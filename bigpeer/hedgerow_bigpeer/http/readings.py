"""What was touched in a collection, read once for all live answers that stand at one place."""

import asyncio
from typing import Any, NamedTuple

from hedgerow.codec import cbor

from .. import limits
from ..query import Queries
from ..service import Service
from ..store.rows import DocumentRow

Place = tuple[int, bytes]


class Touched(NamedTuple):
    """A document that was touched, as it is now: `row` and `document` are None where it is gone."""

    document_id: Any
    row: DocumentRow | None
    document: dict[str, Any] | None


class Reading(NamedTuple):
    """What was touched behind a place, by id. `after` is where more of it begins, or None: then this is
    all up to the transaction `newest`. Nobody changes what is in it, for it belongs to all who read it.
    """

    touched: list[Touched]
    after: Place | None
    newest: int


class _Kept(NamedTuple):
    covers: int
    task: "asyncio.Task[Reading]"


class Readings:
    """The readings of the last moments, `limits.LIVE_READINGS` of them."""

    def __init__(self, service: Service, queries: Queries) -> None:
        self._service = service
        self._queries = queries
        self._kept: dict[tuple[str, Place], _Kept] = {}
        self.made = 0

    async def read(self, collection: str, after: Place) -> Reading:
        """Return what was touched behind a place, of the newest of the collection at least."""
        key = (collection, after)
        kept = self._kept.get(key)
        if kept is None or kept.covers < self._service.touched(collection):
            # What a reading has seen is all that was followed when it began.
            task = asyncio.create_task(self._read(collection, after))
            kept = self._kept[key] = _Kept(self._service.transaction, task)
            while len(self._kept) > limits.LIVE_READINGS:
                del self._kept[next(iter(self._kept))]
        try:
            # Who goes away does not take the others' reading along.
            return await asyncio.shield(kept.task)
        except BaseException:
            if kept.task.done() and self._kept.get(key) is kept:
                del self._kept[key]
            raise

    async def _read(self, collection: str, after: Place) -> Reading:
        self.made += 1
        store = self._service.store
        entries, newest = await store.touched(collection, after, limits.SLICE_DOCUMENTS)
        ids = sorted({entry.id for entry in entries})
        if not ids:
            return Reading([], None, newest)
        async with store.snapshot() as snapshot:
            rows = await snapshot.some(collection, ids)
        now = {row.id: (row, document) for row, document, _ in await self._queries.documents(rows)}
        touched = [Touched(cbor.decode(key), *now.get(key, (None, None))) for key in ids]
        more = len(entries) == limits.SLICE_DOCUMENTS
        return Reading(touched, (entries[-1].transaction, entries[-1].id) if more else None, newest)
