"""Sync a log of documents with the server at a URL: `python -m bench.rate_client DOCUMENTS.json LOG URL`.

Prints {"seconds", "documents"}: from the connection until the keeper's receipt covers the last document.
"""

import asyncio
import json
import sys
import time
from pathlib import Path

from hedgerow.codec.decimal import Decimal
from hedgerow.log import MemoryLog, MemoryStore
from hedgerow.peer import Peer
from hedgerow_gateway import open_peer
from hedgerow_gateway.sqlite_log import SqliteLog

_LIMIT_S = 240
_LOOK_S = 0.002


def fill(path: Path, documents: list[dict[str, object]]) -> int:
    """Write the documents as a peer in memory would, and put them in the file in one commit.

    Returns the number of the last one.
    """
    log = SqliteLog(path)
    store = MemoryStore(log.author)
    peer = Peer(MemoryLog(store), 0)
    for at, document in enumerate(documents):
        fields = {
            name: Decimal.parse(str(value)) if isinstance(value, float) else value
            for name, value in document.items()
        }
        peer.insert("readings", fields, 1000 + at)
    peer.seal(1000 + len(documents))
    for kind, author, first, last, body in store.entries:
        log.append(kind, author, first, last, body)
    for (kind, key), value in store.state.items():
        log.put(kind, key, value)
    log.commit()
    log.close()
    return peer.log.held(peer.author)


async def main(path: Path, url: str, last: int) -> float:
    async with open_peer(path, url) as peer:
        # The uplink has its first turn when this coroutine waits.
        began = time.perf_counter()
        # What the peer writes itself when it connects, a clock record, is sealed a second later.
        while (await peer.astatus())[peer.author]["receipted"] < last:
            if time.perf_counter() - began > _LIMIT_S:
                raise TimeoutError
            await asyncio.sleep(_LOOK_S)
        return time.perf_counter() - began


if __name__ == "__main__":
    documents = json.loads(Path(sys.argv[1]).read_text())
    log = Path(sys.argv[2])
    last = fill(log, documents)
    seconds = asyncio.run(main(log, sys.argv[3], last))
    print(json.dumps({"seconds": seconds, "documents": len(documents)}))
