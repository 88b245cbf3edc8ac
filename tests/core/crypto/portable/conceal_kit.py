"""Peers with and without keys of confidential collections, for tests on both VMs."""

from hedgerow.application import ReadyPeer
from hedgerow.codec.schema import CONFIDENTIAL, KEEP, STREAM
from hedgerow.crypto.confidential import author_key
from hedgerow.crypto.grants import hold
from hedgerow.memory import MemoryLog, MemoryStore

WHOLE = bytes(range(32))
NEWER = bytes(range(32, 64))
KINDS = {"visits": STREAM | CONFIDENTIAL, "doors": KEEP | CONFIDENTIAL}
NAMES = ("visits", "doors")


def peer(author: bytes, keys: list | None = None, **options: object) -> ReadyPeer:
    options.setdefault("kinds", dict(KINDS))
    made = ReadyPeer(MemoryLog(MemoryStore(author * 8)), lambda: 1000, **options)
    if keys is not None:
        hold(made, keys)
    return made


def whole(epoch: int = 1, key: bytes = WHOLE) -> list:
    return [[name, epoch, key] for name in NAMES]


def own(author: bytes, epoch: int = 1, key: bytes = WHOLE) -> list:
    return [[name, epoch, author_key(key, author * 8)] for name in NAMES]


def carry(source: ReadyPeer, to: ReadyPeer) -> None:
    """Bring all that a peer wrote to another one."""
    for name in source.schemas:
        to.ingest_schema(source.schemas[name].encoded)
    author = source.author
    bodies = [source.log.fetch(author, n) for n in range(1, source.log.held(author) + 1)]
    to.ingest(author, 1, bodies)
    to.commit()


def rows(of: ReadyPeer, collection: str) -> list:
    found = of.execute("SELECT * FROM " + collection).rows
    return [{name: row[name] for name in row if name[:1] != "_" or name == "_id"} for row in found]
