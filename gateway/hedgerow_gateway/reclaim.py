"""Makes room in the log: what was filled in goes first, then the oldest readings that a keeper has receipted.

What was filled in was pulled from another store, which holds it as its author's run. Nothing else goes.
"""

import asyncio
from typing import Any

from hedgerow.codec.schema import STREAM
from hedgerow.log import ENTRY_OP
from hedgerow.operation import CLOCK, INSERT, decode_body
from hedgerow.peer import Peer

from . import limits
from .sqlite_log import OldEntry, SqliteLog


class Reclaimer:
    """Keeps the log under its limit for as long as `run` runs.

    An operation may go when it is receipted and holds nothing but clock records and inserts into stream
    collections; a seal or skip when it is receipted. The newest operation and seal of an author stay, for
    the peer goes on from them.
    """

    def __init__(self, log: SqliteLog, peer: Peer, max_bytes: int) -> None:
        self.removed = 0
        self._log = log
        self._peer = peer
        self._high = max_bytes * limits.RECLAIM_HIGH_PERCENT // 100
        self._low = max_bytes * limits.RECLAIM_LOW_PERCENT // 100
        self._after = 0

    async def run(self) -> None:
        """Look now and then, until cancelled."""
        while True:
            if self._log.used() > self._high:
                await self._make_room()
            await asyncio.sleep(limits.RECLAIM_EVERY_S)

    def make_room(self) -> bool:
        """Remove receipted readings until the log is well below its limit; say whether there were any.

        What was filled in stays: a program's own subscriptions asked for it.
        """
        before = self.removed
        self._after = 0
        while self._log.used() > self._low and self._step_run():
            pass
        return self.removed > before

    async def _make_room(self) -> None:
        self._after = 0
        while self._log.used() > self._low and self._step():
            await asyncio.sleep(0)

    def _step(self) -> bool:
        """Remove a batch of filled operations, else what may go of the next entries; False at the end."""
        filled = self._log.remove_filled(limits.RECLAIM_BATCH)
        if filled:
            self.removed += filled
            return True
        return self._step_run()

    def _step_run(self) -> bool:
        entries = self._log.oldest(self._after, limits.RECLAIM_BATCH)
        if not entries:
            return False
        self._after = entries[-1][0]
        gone = [entry for entry in entries if self._may_go(entry)]
        if gone:
            self._log.remove(gone)
            self.removed += len(gone)
        return True

    def _may_go(self, entry: OldEntry) -> bool:
        _, author, kind, _, last, body = entry
        if last > self._peer.receipted(author) or last >= min(
            self._log.held(author), self._log.sealed(author)
        ):
            return False
        return kind != ENTRY_OP or all(self._fleeting(change) for change in decode_body(body)[1])

    def _fleeting(self, change: list[Any]) -> bool:
        if change[0] == CLOCK:
            return True
        schema = self._peer.schemas.get(change[1])
        return change[0] == INSERT and schema is not None and schema.kind & STREAM == STREAM
