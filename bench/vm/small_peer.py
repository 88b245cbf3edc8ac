"""A Small Peer with the modules of a board, its log on a NOR flash that lies in a file, not in the heap.

main(FLASH, COUNT) records COUNT readings, syncs over standard input and output with a keeper on the host, and
returns. For VMs that are driven from outside: start(FLASH), record(COUNT), load_central(), live() between
top-level calls. It is compiled as the firmware is, or the compiler's garbage would be measured too.
"""

import gc
import sys

SECTORS = 128
SECTOR = 4096
# An erase takes no room in the heap.
ERASED = 64
RECORD = 640
STEP_MS = 50
# As in device_peer.py, which has it folded away on a board
CREDIT = 1024
COLLECTION = "readings"

peer = None
now = 1000


class Flash:
    """A block device with MicroPython's extended interface on a file of SECTORS sectors."""

    def __init__(self, path: str):
        with open(path, "wb") as file:
            for _ in range(SECTORS * (SECTOR // ERASED)):
                file.write(b"\xff" * ERASED)
        self._file = open(path, "r+b")

    def readblocks(self, block: int, buffer: bytearray, offset: int = 0) -> None:
        """Fill the buffer."""
        self._file.seek(block * SECTOR + offset)
        self._file.readinto(buffer)

    def writeblocks(self, block: int, data: bytes, offset: int) -> None:
        """Program."""
        self._file.seek(block * SECTOR + offset)
        self._file.write(data)
        self._file.flush()

    def ioctl(self, command: int, argument: int) -> int:
        """4 counts the sectors, 5 gives their size, 6 erases one."""
        if command == 6:
            for at in range(0, SECTOR, ERASED):
                self.writeblocks(argument, b"\xff" * ERASED, at)
        return {4: SECTORS, 5: SECTOR}.get(command, 0)


def start(path: str) -> None:
    """Load what a board that records has loaded, and open its peer."""
    global peer
    import os

    import hedgerow.log

    if not hasattr(os, "urandom"):
        # The WebAssembly VM has no randomness; one board needs none.
        hedgerow.log.new_author = lambda: b"author-1"
    try:
        import machine  # noqa: F401
    except ImportError:
        # It has none either; what is measured here calls nothing of it.
        sys.modules["machine"] = sys
    import hedgerow_device.app
    import hedgerow_device.device_peer
    import hedgerow_device.node
    import hedgerow_device.sensor
    from hedgerow.codec.schema import STREAM
    from hedgerow_device.flashlog import FlashLog

    make = hedgerow_device.device_peer.DevicePeer
    peer = make(FlashLog(Flash(path)), lambda: now, name="board", kinds={COLLECTION: STREAM}, credit=CREDIT)


def record(count: int) -> None:
    """Record readings of one decimal value, as the firmware's sensor program does."""
    global now
    from hedgerow.codec.decimal import Decimal

    for at in range(count):
        now += STEP_MS
        if at % 16 == 0:
            gc.collect()
        peer.insert(COLLECTION, {"board": "board", "n": at + 1, "value": Decimal(394 + at * 7 % 40, -1)}, now)


def turn(link: object) -> list:
    """Let a link say what it has to say; returns the records."""
    global now
    now += 20
    said = []
    link.pump(now)
    while SAID:
        said.append(SAID.pop(0))
    return said


SAID: list = []


def open_link() -> object:
    """The firmware's own link, whose chunks are whole records here."""
    from hedgerow_device.link import Link

    return Link(peer, 0, 3 + RECORD, SAID.append, now, linger_ms=None, central=False)


def sync_with_host() -> None:
    """Sync over standard streams: records with their own length before them; two zeros end a turn."""
    link = open_link()
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    while not link.finished:
        for data in turn(link):
            sink.write(data)
        sink.write(b"\0\0")
        while True:
            head = source.read(2)
            size = head[0] << 8 | head[1]
            if not size:
                break
            link.receive(head + source.read(size), now)
    sink.write(b"\xff\xff")
    if link.error:
        raise link.error


def load_central() -> None:
    """Load what a relay has loaded besides, once it has made a connection itself."""
    import hedgerow_device.central  # noqa: F401


def select() -> None:
    """Look at all documents for one row."""
    peer.look_limit = None
    rows = peer.execute("SELECT * FROM readings WHERE n = 1").rows
    if len(rows) != 1:
        raise ValueError("%d rows" % len(rows))


def live() -> int:
    """Bytes of the heap that are in use after a collection."""
    gc.collect()
    gc.collect()
    return gc.mem_alloc()


def main(path: str, count: int) -> None:
    """Do it all in one process; prints what was reached."""
    gc.threshold(8192)
    start(path)
    record(count)
    sync_with_host()
    print("held", peer.log.held(peer.author), "receipted", peer.receipted(peer.author), "live", live())
