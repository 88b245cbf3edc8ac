"""Take operations in and merge them, on MicroPython and CPython alike: apply.py COUNT PATH..., paths first.

Prints the milliseconds from segments to operations in a log and documents merged, the count, and a check.
"""

import sys

sys.path[:0] = sys.argv[2:]

import gc  # noqa: E402  (the path comes first)
import time  # noqa: E402

from hedgerow.clock import hlc  # noqa: E402
from hedgerow.codec.decimal import Decimal  # noqa: E402
from hedgerow.codec.schema import KEEP, schema_for  # noqa: E402
from hedgerow.codec.segment import decode_segment, encode_segment  # noqa: E402
from hedgerow.document import Document  # noqa: E402
from hedgerow.log import MemoryLog  # noqa: E402
from hedgerow.operation import INSERT, UPDATE, decode_body, encode_body  # noqa: E402
from hedgerow.peer import Peer  # noqa: E402

AUTHOR = b"author-1"
RUN = 50
# Every fourth operation updates a document that is there.
UPDATE_EVERY = 4


def ticks() -> int:
    return time.ticks_ms() if hasattr(time, "ticks_ms") else time.monotonic_ns() // 1000000


def segments(count: int, schema: object) -> list:
    made = []
    for start in range(0, count, RUN):
        bodies = []
        for at in range(start, start + RUN):
            document = {"t": Decimal(394 + at * 7 % 40, -1), "h": Decimal(512 - at * 3 % 50, -1)}
            values = schema.pack(document)
            change = [INSERT, schema.name, None, values]
            if at % UPDATE_EVERY == UPDATE_EVERY - 1:
                change = [UPDATE, schema.name, [AUTHOR, at], values]
            bodies.append(encode_body(hlc.pack(833587200000 + at * 60000), [change]))
        made.append(encode_segment(AUTHOR, start + 1, bodies, {schema.name: schema}))
    return made


def apply(peer: Peer, data: bytes, documents: dict) -> None:
    author, first, bodies = decode_segment(data, peer.schemas)
    peer.ingest(author, first, bodies)
    peer.commit()
    for number, body in enumerate(bodies, first):
        stamp, changes = decode_body(body)
        for change in changes:
            key = number if change[2] is None else change[2][1]
            document = documents.get(key)
            if document is None:
                document = documents[key] = Document()
            document.apply(change, peer.schemas[change[1]], stamp, author)


count = int(sys.argv[1])
schema = schema_for("readings", KEEP, {"t": Decimal(0, -1), "h": Decimal(0, -1)})
peer = Peer(MemoryLog(), 0)
peer.ingest_schema(schema.encoded)
made = segments(count, schema)
documents: dict = {}
gc.collect()
began = ticks()
for data in made:
    apply(peer, data, documents)
spent = ticks() - began
shown = sum([1 for document in documents.values() if document.value()])
print(spent, peer.log.held(AUTHOR), shown)
