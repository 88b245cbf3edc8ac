"""The log of simulated boards: the contract of every log, and what makes room without a trace of harm."""

import random

from log_contract import CHECKS

from hedgerow.codec.decimal import Decimal
from hedgerow.codec.schema import STREAM
from hedgerow.custody.receipt import Receipt
from hedgerow.log import ENTRY_OP
from hedgerow.peer import Peer
from hedgerow_sim.board_log import BoardLog, BoardStore


def _new() -> object:
    store = BoardStore(random.randbytes(8))
    return lambda: BoardLog(store, 10_000, 4)


def test_contract() -> None:
    for check in CHECKS:
        check(_new)


class Life:
    """A board that writes, is receipted and loses power, on a log of `entries`."""

    def __init__(self, seed: int, entries: int):
        self.rng = random.Random(seed)
        self.store = BoardStore(b"author-a")
        self.entries = entries
        self.now = 0
        self.open()

    def open(self) -> None:
        self.peer = Peer(BoardLog(self.store, 64, self.entries), self.now, kinds={"readings": STREAM})

    def write(self) -> None:
        self.now += 1000
        kind = "notes" if self.rng.random() < 0.1 else "readings"
        self.peer.insert(kind, {"t": Decimal(self.now, -1)}, self.now)
        if self.rng.random() < 0.3:
            self.peer.seal(self.now)

    def receipt(self) -> None:
        sealed = self.peer.log.sealed(b"author-a")
        if sealed:
            self.peer.ingest_receipt(Receipt(b"keeper-1", 1, b"author-a", self.rng.randint(1, sealed)))
            self.peer.commit()


def test_what_is_receipted_makes_room_and_the_rest_stays() -> None:
    """Frontiers, seals and what is open are the same in a log that has all and in one that makes room."""
    for seed in range(20):
        small, whole = Life(seed, 8), Life(seed, 1 << 30)
        for _ in range(300):
            turn = small.rng.random()
            whole.rng.random()
            for life in (small, whole):
                if turn < 0.7:
                    life.write()
                elif turn < 0.9:
                    life.receipt()
                else:
                    life.open()
            a, b = small.peer.log, whole.peer.log
            for author in b.authors():
                assert (a.held(author), a.sealed(author)) == (b.held(author), b.sealed(author))
            open_from = small.peer.receipted(b"author-a")
            assert open_from == whole.peer.receipted(b"author-a")
            wanted = [
                entry for entry in b.read(b"author-a", open_from, 1 << 30, 1 << 30) if entry[0] == ENTRY_OP
            ]
            found = [
                entry for entry in a.read(b"author-a", open_from, 1 << 30, 1 << 30) if entry[0] == ENTRY_OP
            ]
            assert [entry[:3] for entry in found] == [entry[:3] for entry in wanted]
        assert len(small.store.entries) < len(whole.store.entries) / 2


def test_documents_that_are_kept_make_no_room() -> None:
    life = Life(1, 8)
    life.peer.insert("notes", {"text": "stays"}, 5)
    number = life.peer.log.held(b"author-a")
    for _ in range(100):
        life.write()
        life.peer.seal(life.now)
        life.receipt()
    life.open()
    assert life.peer.log.fetch(b"author-a", number) is not None
    assert life.peer.log.fetch(b"author-a", number + 1) is None


def test_what_was_not_committed_is_gone() -> None:
    store = BoardStore(b"author-a")
    log = BoardLog(store, 64)
    log.append(ENTRY_OP, b"author-b", 1, 1, b"x")
    assert BoardLog(store, 64).held(b"author-b") == 0
