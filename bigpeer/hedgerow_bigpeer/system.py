"""System collections: what a SELECT may ask of the Big Peer itself, `system:NAME` (SPEC 10.24)."""

from collections.abc import Callable, Collection
from typing import Any

from hedgerow.sync.hello import KEEPER

from . import limits
from .clock import unix_seconds
from .expected import peers
from .gaps import gaps
from .names import SYSTEM
from .presence import Remote
from .query import Queries
from .retention import show_collections
from .service import Service

_CONNECTED = {True: "Connected", False: "Not Connected"}


class SystemCollections:
    """Makes the documents of each; `remotes()` are those who are connected to this node."""

    def __init__(self, service: Service, queries: Queries, remotes: Callable[[], Collection[Remote]]) -> None:
        self._service = service
        self._queries = queries
        self._remotes = remotes
        queries.system = {
            SYSTEM + "data_sync_info": self.data_sync_info,
            SYSTEM + "peers": self.peers,
            SYSTEM + "gaps": self.gaps,
            SYSTEM + "collections": self.collections,
            SYSTEM + "indexes": self.indexes,
        }

    async def data_sync_info(self) -> list[dict[str, Any]]:
        """Return how far each peer that syncs with this store has what it wants, in Ditto's shape."""
        takers: list[tuple[bytes, int, int]] = await self._service.store.transact(_takers)
        connected = {remote.author: remote for remote in self._remotes()}
        known = {author: (position, at) for author, position, at in takers}
        rows = []
        for author in sorted({*connected, *known}):
            position, at = known.get(author, (None, 0))
            seen = max(at, self._service.frontier(author).last_seen)
            documents = {
                "sync_session_status": _CONNECTED[author in connected],
                "synced_up_to_local_commit_id": position,
                "last_update_received_time": unix_seconds(seen) if seen else None,
            }
            is_server = author in connected and connected[author].role == KEEPER
            rows.append({"_id": author.hex(), "is_ditto_server": is_server, "documents": documents})
        return rows

    async def peers(self) -> list[dict[str, Any]]:
        """Return what /peers has, of who never came under the name."""
        rows = await peers(self._service, self._queries, self._remotes())
        return [{"_id": row["author"] or row["name"], **row} for row in rows]

    async def gaps(self) -> list[dict[str, Any]]:
        """Return what is missing of each author, and why."""
        rows = await peers(self._service, self._queries, ())
        names = {bytes.fromhex(row["author"]): row["name"] for row in rows}
        return await gaps(self._service, names, self._remotes())

    async def collections(self) -> list[dict[str, Any]]:
        """Return the collections, and for how long their readings are kept."""
        rows = await self._service.store.retention()
        service = self._service
        found = show_collections(rows, service.kinds, service.epochs)
        return [{"_id": row["name"], **row} for row in found]

    async def indexes(self) -> list[dict[str, Any]]:
        """Return the indexes."""
        return [
            {"_id": [index.collection, index.name], **index._asdict()}
            for index in await self._service.store.indexes()
        ]


def _takers(db: Any, key: tuple[str, int]) -> list[tuple[bytes, int, int]]:
    rows = db.execute(
        "SELECT peer, position, last_seen FROM peers WHERE app = ? AND shard = ?"
        " ORDER BY last_seen DESC LIMIT ?",
        (*key, limits.STATUS_AUTHORS),
    )
    return [(bytes(peer), position, at) for peer, position, at in rows.fetchall()]
