"""Bytes on a link: what one session costs per reading, counted on real exchanges between real peers.

Every function returns figures: {"figure", "value", "unit", "goal", "beside"}. The hello of both sides is
counted apart; everything else, in both directions, is in.
"""

import json
import random
from collections.abc import Callable

import cbor2

from hedgerow.codec.decimal import Decimal
from hedgerow.codec.schema import STREAM
from hedgerow.log import MemoryLog
from hedgerow.operation import SOURCE_GATEWAY, SOURCE_KEEPER
from hedgerow.peer import Peer
from hedgerow.sync import frames, hello
from hedgerow.sync.exchange import Exchange

from .figure import Figure, figure

READINGS = 50
AUTHORS = 54
JITTER_MS = 40
INTERVAL_MS = 60_000
# 2026-06-01T00:00:00Z in milliseconds since 2000
START_UTC_MS = 833_587_200_000


class Count:
    """The bytes of one exchange: in all, and in the frames of some types."""

    def __init__(self) -> None:
        self.total = 0
        self.hello = 0
        self.seals = 0
        self.seal_count = 0
        self.schemas = 0
        self.segments = 0
        self.receipts = 0

    def add(self, record: bytes) -> None:
        self.total += len(record)
        for kind, body in frames.read_frames(record[frames.RECORD_HEAD : -frames.RECORD_TAG]):
            size = frames.frame_size(len(body))
            kind &= ~frames.CONTINUED
            if kind == frames.HELLO:
                self.hello += size
            elif kind == frames.SEAL:
                self.seals += size
                self.seal_count += 1
            elif kind == frames.SCHEMA:
                self.schemas += size
            elif kind == frames.SEGMENT:
                self.segments += size
            elif kind == frames.RECEIPT:
                self.receipts += size


def exchange(central: Peer, other: Peer, now: int) -> Count:
    """Hold one exchange to its end and count its bytes."""
    count = Count()
    ends = (Exchange(central, now, central=True), Exchange(other, now))
    while not all(end.finished for end in ends):
        moved = False
        for at in (0, 1):
            record = ends[at].outgoing(1200, now)
            if record:
                moved = True
                count.add(record)
                now += 5
                ends[1 - at].receive(record, now)
        if not moved:
            now += 50
        for end in ends:
            if end.error:
                raise end.error
    return count


def series(count: int, seed: int = 1) -> list[tuple[int, Decimal, Decimal]]:
    """Return (uptime ms, temperature, humidity): one-decimal values that wander, timing that jitters."""
    source = random.Random(seed)
    temperature, humidity = 394, 512
    rows = []
    for at in range(count):
        temperature += source.randint(-6, 6)
        humidity = min(1000, max(0, humidity + source.randint(-12, 12)))
        uptime = 600_000 + at * INTERVAL_MS + source.randint(-JITTER_MS, JITTER_MS)
        rows.append((uptime, Decimal(temperature, -1), Decimal(humidity, -1)))
    return rows


def new_gateway() -> Peer:
    gateway = Peer(MemoryLog(), 0, name="gateway", role=hello.GATEWAY)
    gateway.set_time(START_UTC_MS, 5, SOURCE_GATEWAY, 0)
    return gateway


def new_keeper() -> Peer:
    keeper = Peer(MemoryLog(), 0, name="keeper", keeper=True)
    keeper.set_time(START_UTC_MS, 5, SOURCE_KEEPER, 0)
    return keeper


def new_board() -> Peer:
    return Peer(MemoryLog(), 0, name="board", kinds={"readings": STREAM})


def record(board: Peer, rows: list[tuple[int, Decimal, Decimal]]) -> int:
    for uptime, temperature, humidity in rows:
        board.insert("readings", {"temperature": temperature, "humidity": humidity}, uptime)
    return rows[-1][0] + 1000


def meet(board: Peer, gateway: Peer) -> None:
    """Let the two have met before: schema, time and boot record are over there."""
    record(board, [(1000, Decimal(390, -1), Decimal(500, -1))])
    for now in (2000, 3000):
        exchange(gateway, board, now)


def plain_rows(rows: list[tuple[int, Decimal, Decimal]]) -> list[dict[str, float]]:
    """Return readings as others would write them: one object each, with its time."""
    return [
        {"t": START_UTC_MS + uptime, "temperature": float(str(one)), "humidity": float(str(two))}
        for uptime, one, two in rows
    ]


def plain_bytes(rows: list[dict[str, float]]) -> dict[str, float]:
    """Return the bytes per row as JSON and as CBOR with names."""
    sizes = [len(json.dumps(row, separators=(",", ":"))) for row in rows]
    packed = [len(cbor2.dumps(row, canonical=True)) for row in rows]
    return {"json": sum(sizes) / len(rows), "cbor_names": sum(packed) / len(rows)}


def link_bytes_per_reading() -> list[Figure]:
    """50 readings of one author in one session that the gateway opens: without seals, and under one.

    A board that seals every 32 operations has one or two seals over 50; `all_seals` is what this one had.
    """
    gateway, board = new_gateway(), new_board()
    meet(board, gateway)
    rows = series(READINGS)
    count = exchange(gateway, board, record(board, rows))
    bare = (count.total - count.hello - count.seals) / READINGS
    beside = plain_bytes(plain_rows(rows))
    beside["hello"] = count.hello / READINGS
    one_seal = count.seals / count.seal_count / READINGS
    sealed = {**beside, "all_seals": bare + count.seals / READINGS}
    return [
        figure("link.bytes_per_reading", bare, "B", 6.6, beside),
        figure("link.bytes_per_reading_sealed", bare + one_seal, "B", 9.0, sealed),
    ]


def link_bytes_per_reading_of_many_authors() -> list[Figure]:
    """54 authors with one reading each, which a gateway passes on in one session, unsealed."""
    gateway, keeper = new_gateway(), new_keeper()
    boards = [new_board() for _ in range(AUTHORS)]
    for board in boards:
        meet(board, gateway)
    for now in (4000, 5000):
        exchange(gateway, keeper, now)
    rows = series(AUTHORS)
    for board, row in zip(boards, rows, strict=True):
        record(board, [row])
        gateway.ingest(board.author, board.log.held(board.author), [last_body(board)])
    gateway.commit()
    count = exchange(gateway, keeper, rows[-1][0] + 1000)
    beside = plain_bytes(plain_rows(rows))
    beside["hello"] = count.hello / AUTHORS
    return [
        figure("link.bytes_per_reading_54_authors", (count.total - count.hello) / AUTHORS, "B", 30.0, beside)
    ]


def last_body(board: Peer) -> bytes:
    held = board.log.held(board.author)
    body: bytes = board.log.read(board.author, held - 1, held, 1)[0][3]
    return body


def link_bytes_of_an_empty_exchange() -> list[Figure]:
    """A session of two peers that have nothing new to say; the hello counts as the handshake."""
    gateway, keeper = new_gateway(), new_keeper()
    record(gateway, series(READINGS))
    for now in (5_000_000, 5_001_000):
        exchange(gateway, keeper, now)
    count = exchange(gateway, keeper, 5_002_000)
    return [
        figure("link.empty_exchange", count.total - count.hello, "B", 100.0, {"hello": float(count.hello)})
    ]


FIGURES: list[Callable[[], list[Figure]]] = [
    link_bytes_per_reading,
    link_bytes_per_reading_of_many_authors,
    link_bytes_of_an_empty_exchange,
]
