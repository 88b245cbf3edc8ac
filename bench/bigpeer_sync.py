"""Documents a second that a Big Peer takes over a WebSocket, beside PouchDB into express-pouchdb.

The sender is that of `sync.rate`. Ours count when the receipt is back: merged, in the outbox, and behind
an fsync of SQLite or PostgreSQL. PouchDB's LevelDB does not wait for the disk.
"""

import contextlib
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from hedgerow.errors import HedgerowError

from .bigpeer_kit import postgres
from .figure import Figure, figure, skip
from .sync_rate import _client, _round, _server, documents, pouchdb

DOCUMENTS = 10_000
ROUNDS = 3
PATH = "/api/hedgerow/v1/sync"


@contextlib.contextmanager
def big_peer(folder: Path, store: str = "") -> Iterator[str]:
    """Serve a Big Peer in a process of its own; yields its port."""
    command = [sys.executable, "-m", "bench.bigpeer_server", str(folder / "bigpeer"), store]
    with _server([part for part in command if part], dict(os.environ)) as port:
        yield port


def _sent(folder: Path, content: Path, store: str = "") -> float:
    with big_peer(folder, store) as port:
        url = f"ws://127.0.0.1:{port}{PATH}"
        command = [sys.executable, "-m", "bench.rate_client", str(content), str(folder / "sender.db"), url]
        return _client(command, dict(os.environ), content)


def _on_postgres(folder: Path, content: Path) -> float:
    with postgres() as server:
        return _sent(folder, content, server.url())


def documents_per_second() -> list[Figure]:
    """The best of some rounds of each, which take turns."""
    ways = {"sqlite": _sent, "postgresql": _on_postgres, "pouchdb": pouchdb}
    best: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="hedgerow-bench-") as folder:
        content = Path(folder, "documents.json")
        content.write_text(json.dumps(documents(DOCUMENTS)))
        for _ in range(ROUNDS):
            for name, way in list(ways.items()):
                try:
                    best[name] = max(best.get(name, 0.0), _round(way, content))
                except HedgerowError as error:
                    del ways[name]
                    skip(f"bigpeer.sync beside {name}", error)
    value = best.pop("sqlite", None)
    return [figure("bigpeer.sync.documents", value, "1/s", beside=best)]


FIGURES = [documents_per_second]
