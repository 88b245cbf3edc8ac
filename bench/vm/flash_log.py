"""Our log on the counting flash: appends, laps, collection. Each case returns counters for the host."""

from flash_nor import LogNor, beyond

from hedgerow.custody.receipt import Receipt
from hedgerow.errors import HedgerowError
from hedgerow.log import ENTRY_OP, STATE_RECEIPT
from hedgerow_device.flashlog import FlashLog

KEEPER = b"keeper-1"
# Operations between receipts, of each author; of more authors at a time the ring has no room for.
RECEIPT_EVERY = 64
MOST_AT_A_TIME = 16
# What the firmware leaves free (device_peer.py): the ring that is measured is the board's.
SPARE = 7


class Random:
    """The same numbers on every VM."""

    def __init__(self, seed: int):
        self._state = seed * 2 + 1

    def below(self, limit: int) -> int:
        """Return a number from 0 on below a limit of at most 2**16."""
        self._state = (self._state * 69069 + 12345) & 0x3FFFFFFF
        return (self._state >> 14) * limit >> 16

    def bytes(self, count: int) -> bytes:
        """Return random bytes."""
        return bytes([self.below(256) for _ in range(count)])


def author(log: object, index: int) -> bytes:
    """Return the log's own author for 0, another one for others."""
    return log.author if index == 0 else b"other%03d" % index


def receipt(log: object, name: bytes) -> None:
    """Let a keeper receipt all that is held of an author."""
    held = log.held(name)
    if held:
        log.put(STATE_RECEIPT, name + KEEPER, Receipt(KEEPER, 1, name, held).encode())


class Appends:
    """Appends to a log, watched: `most` bytes beyond own frame and one moved, `most_erases` in one append.

    With `idle` a sector is erased ahead between two appends, as the node does when the radio is idle.
    """

    def __init__(self, sectors: int, authors: int, idle: bool):
        self.device = LogNor(sectors)
        self.log = FlashLog(self.device)
        self.log.spare = SPARE
        self.names = [author(self.log, index) for index in range(authors)]
        self.idle = idle
        self.payload = self.count = self.most = self.most_erases = self.most_receipt = 0
        self.erases_in_appends = 0

    def append(self, name: bytes, body: bytes) -> int:
        """Append an operation; returns its number."""
        log = self.log
        device = self.device
        number = log.held(name) + 1
        device.call = []
        erases = device.erases
        log.append(ENTRY_OP, name, number, number, body)
        log.commit()
        self.payload += len(body)
        self.count += 1
        self.most = max(self.most, beyond(device.call))
        erases = device.erases - erases
        self.erases_in_appends += erases
        self.most_erases = max(self.most_erases, erases)
        if self.idle:
            log.prepare()
        return number

    def receipts(self) -> None:
        """Let a keeper receipt everything."""
        for name in self.names:
            self.device.call = []
            receipt(self.log, name)
            self.most_receipt = max(self.most_receipt, sum([size for _, size in self.device.call]))
            if self.idle:
                self.log.prepare()

    def result(self) -> dict:
        """Return everything counted."""
        found = self.device.counters()
        found["payload"] = self.payload
        found["appends"] = self.count
        found["most_beyond"] = self.most
        found["most_erases"] = self.most_erases
        found["most_in_receipt"] = self.most_receipt
        found["erases_in_appends"] = self.erases_in_appends
        found["sectors_opened"] = self.log.ring.seq
        return found


def appends(size: int, laps: int, sectors: int, authors: int, idle: bool) -> dict:
    """Readings of `size` bytes, each durable, for so many laps around the ring; receipted now and then."""
    run = Appends(sectors, authors, idle)
    random = Random(size)
    body = bytearray(random.bytes(size))
    while run.log.ring.seq <= laps * sectors:
        for _ in range(RECEIPT_EVERY * min(authors, MOST_AT_A_TIME)):
            body[random.below(size)] = random.below(256)
            run.append(run.names[random.below(authors)], bytes(body))
        run.receipts()
    return run.result()


def collect(percent: int, size: int, laps: int, sectors: int, authors: int, idle: bool) -> dict:
    """Documents that are kept fill so much of the ring and are updated, each as likely as another.

    Counted after as many laps again. `frames_in_use` is the mean number of frames between tail and end.
    """
    run = Appends(sectors, authors, idle)
    log = run.log
    random = Random(percent)
    newest: dict = {name: {} for name in run.names}

    def keeps(name: bytes, number: int, body: bytes, tight: bool = False) -> bool:
        return newest[name].get(body[0] << 8 | body[1]) == number

    log.keeps = keeps
    body = bytearray(random.bytes(size))
    frame = size + 8
    documents = (
        percent * (sectors - SPARE - sectors // 16) * (log.ring.size - 190 - 28 * authors) // frame // 100
    )

    def update(document: int) -> None:
        body[0] = document >> 8
        body[1] = document & 0xFF
        name = run.names[document % authors]
        newest[name][document] = run.append(name, bytes(body))
        if run.count % (RECEIPT_EVERY * min(authors, MOST_AT_A_TIME)) == 0:
            run.receipts()

    try:
        for document in range(documents):
            update(document)
        while log.ring.seq <= laps * sectors:
            update(random.below(documents))
        before = run.device.counters()
        start = (run.payload, run.count)
        used = samples = 0
        while log.ring.seq <= 2 * laps * sectors:
            update(random.below(documents))
            samples += 1
            used += in_use(log) >> 8
    except HedgerowError as error:
        return {"refused": str(error), "documents": documents, "appends": run.count}
    found = run.result()
    found["measured"] = less(run.device.counters(), before)
    found["measured"]["payload"] = run.payload - start[0]
    found["measured"]["appends"] = run.count - start[1]
    found["documents"] = documents
    found["bytes_in_use"] = used * 256 // samples
    return found


def in_use(log: object) -> int:
    """Return the bytes of the ring between its oldest frame that has not been moved and its newest."""
    ring = log.ring
    return (ring.seq - ring.tail) * ring.size + ring.end - getattr(log, "cursor", 0)


def less(after: dict, before: dict) -> dict:
    """Return the counters less those of before."""
    found: dict = {}
    for name in after:
        if isinstance(after[name], dict):
            found[name] = less(after[name], before[name])
        else:
            found[name] = after[name] - before[name]
    return found
