"""Boards with small logs that are offline for long, and what a keeper makes of them. Runs on both VMs."""

from hedgerow.application import ReadyPeer
from hedgerow.codec.decimal import Decimal
from hedgerow.codec.schema import STREAM
from hedgerow.errors import HedgerowError
from hedgerow.log import ENTRY_SKIP, MemoryLog, MemoryStore
from hedgerow.operation import CLOCK, SOURCE_KEEPER, decode_body
from hedgerow.sync.hello import RELAY

KINDS = {"readings": STREAM, "alarms": STREAM}
CAPACITY = 24000
UTC = 900000000000


class Rig:
    """A peer on a small log with a clock that moves a second with every write.

    `written` maps the numbers of its operations to (collection, value), `refused` counts the others.
    """

    def __init__(self, full: dict | None = None, capacity: int = CAPACITY, **options: object):
        self.now = 0
        self.store = MemoryStore()
        self.capacity = capacity
        self.full = full
        self.options = options
        self.written: dict = {}
        self.refused = 0
        self.open()

    def open(self) -> None:
        """Open the peer on its log, as after a power cut."""
        self.now += 1000
        log = MemoryLog(self.store, capacity=self.capacity)
        self.peer = ReadyPeer(
            log, lambda: self.now, name="board", kinds=KINDS, role=RELAY, full=self.full, **self.options
        )

    def record(self, count: int, collection: str = "readings", **more: object) -> None:
        """Write readings; what is refused is counted."""
        for _ in range(count):
            self.now += 1000
            value = len(self.written) * 7 % 1000
            document = {"board": "b1", "n": len(self.written), "value": Decimal(value, -1)}
            document.update(more)
            try:
                number = self.peer.insert(collection, document, self.now)
            except HedgerowError as error:
                assert error.code == "LOG_FULL", error
                self.refused += 1
            else:
                self.written[number] = (collection, value)


def keeper(capacity: int = 0) -> ReadyPeer:
    """Open a keeper that knows the time."""
    top = ReadyPeer(MemoryLog(MemoryStore()), lambda: 0, name="keeper", kinds=KINDS, keeper=True)
    top.set_time(UTC, 5, SOURCE_KEEPER, 0)
    return top


def documents(peer: ReadyPeer, author: bytes) -> dict:
    """Return {number: [document, ...]} of an author's operations that a peer holds, clock records apart."""
    found: dict = {}
    for number in range(1, peer.log.held(author) + 1):
        body = peer.log.fetch(author, number)
        for change in decode_body(body)[1] if body else ():
            if change[0] != CLOCK:
                document = peer.schemas[change[1]].unpack(change[3])
                document["collection"] = peer.schemas[change[1]].collection
                found.setdefault(number, []).append(document)
    return found


def check_all_named(rig: Rig, top: ReadyPeer, reasons: tuple) -> dict:
    """Insist that each reading arrived as it was or is named lost; return how many by reason."""
    author = rig.peer.author
    held = documents(top, author)
    lost = top.losses(author)
    counts: dict = {}
    for number in rig.written:
        collection, value = rig.written[number]
        if number in held:
            assert [doc["value"].mantissa for doc in held[number]] == [value], number
            assert held[number][0]["collection"] == collection
            continue
        named = [row for row in lost if row["first"] <= number <= row["last"]]
        assert len(named) == 1 and named[0]["reason"] in reasons, (number, named)
        counts[named[0]["reason"]] = counts.get(named[0]["reason"], 0) + 1
    return counts


def skips(peer: ReadyPeer) -> list:
    """Return (first, last) of the skips in a peer's own run."""
    author = peer.author
    return [entry[1:3] for entry in peer.log.read(author, 0, 0, 1 << 30) if entry[0] == ENTRY_SKIP]
