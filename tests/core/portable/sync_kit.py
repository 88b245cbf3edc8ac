"""Peers, pipes and the invariants that every sync test checks. Runs on CPython and MicroPython."""

from hedgerow.codec.decimal import Decimal
from hedgerow.codec.schema import STREAM
from hedgerow.log import ENTRY_OP, ENTRY_SEAL, ENTRY_SKIP, MemoryLog, MemoryStore
from hedgerow.operation import SOURCE_KEEPER, decode_body
from hedgerow.peer import Peer
from hedgerow.sync import hello
from hedgerow.sync.exchange import Exchange

KINDS = {"readings": STREAM}
UTC = 900000000000


def board(name: str = "board", store: MemoryStore | None = None, now: int = 0, **options: object) -> Peer:
    """Open a board on a store that outlives it."""
    return Peer(MemoryLog(store or MemoryStore()), now, name=name, kinds=KINDS, **options)


def gateway(store: MemoryStore | None = None, now: int = 0, **options: object) -> Peer:
    return board("gateway", store, now, role=hello.GATEWAY, **options)


def keeper(store: MemoryStore | None = None, now: int = 0) -> Peer:
    """Open a keeper that knows the time to within 5 ms."""
    peer = board("keeper", store, now, keeper=True)
    peer.set_time(UTC + now, 5, SOURCE_KEEPER, now)
    return peer


def record(peer: Peer, count: int, now: int = 1000, every: int = 250) -> int:
    """Write readings of two one-decimal values; return the time after the last."""
    for at in range(count):
        document = {"t": Decimal(394 + at * 7 % 40, -1), "h": Decimal(512 - at * 3 % 50, -1)}
        peer.insert("readings", document, now)
        now += every
    return now


def operations(log: MemoryLog, author: bytes) -> list:
    """Return [(number, body)] of the operations that a log holds, in log order."""
    return [(entry[1], entry[3]) for entry in log.read(author, 0, 0, 1 << 30) if entry[0] == ENTRY_OP]


def durable(peer: Peer) -> MemoryLog:
    """Return the log as it would be after a power cut now."""
    return MemoryLog(peer.log.store)


def check_copies(peers: list) -> None:
    """What a peer holds of another is a prefix of what its author wrote: no hole, no double, nothing else."""
    authors = {peer.author: peer for peer in peers}
    for peer in peers:
        log = durable(peer)
        for author in log.authors():
            number = 0
            for kind, first, last, body in log.read(author, 0, 0, 1 << 30):
                if kind == ENTRY_SEAL:
                    assert last <= number, "a seal over what is not held"
                    continue
                assert first == number + 1, "%d follows %d" % (first, number)
                number = last
                if kind == ENTRY_SKIP:
                    continue
                decode_body(body)
                truth = authors[author].log.read(author, first - 1, 1 << 40, 1)
                assert truth and truth[0][1:] == (first, last, body), "not what the author wrote"
            assert number == log.held(author)


def check_receipts(peers: list) -> None:
    """A receipt says no more than its keeper holds durably, sealed."""
    keepers = {peer.author: durable(peer) for peer in peers if peer.keeper}
    for peer in peers:
        for author in peer.log.authors():
            receipt = peer.receipt(author)
            if receipt:
                log = keepers[receipt.keeper]
                assert receipt.number <= min(log.held(author), log.sealed(author)), "receipt above the sealed"


def check(peers: list) -> None:
    check_copies(peers)
    check_receipts(peers)


class Pipe:
    """Two exchanges on a link that delivers bytes in chunks, `delay` ms later, and may break.

    `cut` maps a direction (0: from the first, 1: from the second) to the number of bytes after which the
    link is gone for both.
    """

    def __init__(
        self,
        first: Exchange,
        second: Exchange,
        now: int,
        *,
        chunk: int = 20,
        delay: int = 4,
        cut: dict | None = None,
    ):
        self.ends = (first, second)
        self.now = now
        self.chunk = chunk
        self.delay = delay
        self.cut = cut or {}
        self.sent = [0, 0]
        self.records: list = [[], []]
        self.broken = False

    def step(self) -> bool:
        """Carry one record in each direction; return whether anything moved."""
        moved = False
        for at in (0, 1):
            data = self.ends[at].outgoing(1200, self.now)
            if data and not self.broken:
                moved = True
                self.records[at].append(data)
                self._carry(at, data)
        return moved

    def _carry(self, at: int, data: bytes) -> None:
        self.now += self.delay
        left = self.cut[at] - self.sent[at] if at in self.cut else len(data)
        self.broken = left < len(data)
        data = data[: max(0, left)]
        self.sent[at] += len(data)
        for start in range(0, len(data), self.chunk):
            self.ends[1 - at].receive(data[start : start + self.chunk], self.now)

    def run(self, limit: int = 2000) -> "Pipe":
        """Go on until both are finished or the link is broken, passing over silent times."""
        first, second = self.ends
        for _ in range(limit):
            if self.broken or (first.finished and second.finished):
                return self
            if not self.step():
                ends = [end for end in self.ends if not end.finished]
                self.now = max(self.now + 1, min([end.next_wakeup(self.now) for end in ends]))
        raise AssertionError("the exchange does not end")


def converse(first: Peer, second: Peer, now: int, **options: object) -> Pipe:
    """Hold one exchange, opened by the first peer; return the pipe when it has ended or broken."""
    linger = options.pop("linger_ms", 0)
    return Pipe(
        Exchange(first, now, central=True, linger_ms=linger), Exchange(second, now), now, **options
    ).run()


def sync(first: Peer, second: Peer, now: int, **options: object) -> Pipe:
    """Hold one exchange that must end well."""
    pipe = converse(first, second, now, **options)
    for end in pipe.ends:
        assert end.error is None, end.error
    return pipe
