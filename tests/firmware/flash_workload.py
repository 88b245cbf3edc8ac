"""A seeded workload for the flash log: one action of the port after another, told to an oracle.

Where receipts stop coming, the log gets full; then everything is receipted.
"""

import random
from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

from flash_oracle import DOCUMENTS, KEEPER, OTHERS, PINNED, PLANTS, READINGS, Action, Oracle, ids

from hedgerow.custody.receipt import Receipt
from hedgerow.custody.skip import DROPPED, LOST, RECEIPTED, Skip
from hedgerow.errors import HedgerowError
from hedgerow.log import (
    ENTRY_OP,
    ENTRY_SEAL,
    ENTRY_SKIP,
    STATE_CONFIG,
    STATE_PEER,
    STATE_RECEIPT,
    STATE_SCHEMA,
)
from hedgerow.operation import DELETE, INSERT, UPDATE, encode_body
from hedgerow_device.flashlog import FlashLog
from hedgerow_sim.nor import Nor


class Step(NamedTuple):
    """An action, the operations `start` to `end` of the trace that it took, the oracle before it, and whether
    the log was mounted for it."""

    start: int
    end: int
    action: Action
    oracle: Oracle
    mounted: bool


class Workload:
    """Does one seeded action after another on a log and tells the oracle before and after.

    With `nor`, which is traced, `steps` says what each action took of the trace; `on_step(log)` is called
    after each. `quiet` stops receipts until the log is full, `counts` and `refused` say how often what was
    done.
    """

    def __init__(self, seed: int | str, oracle: Oracle, nor: Nor | None = None):
        self.rng = random.Random(seed)
        self.oracle = oracle
        self.nor = nor
        self.steps: list[Step] = []
        self.on_step: Callable[[FlashLog], None] | None = None
        self.counts: dict[str, int] = {}
        self.quiet = False
        self.refused = 0
        self._mounted = False

    # ---- doing

    def act(self, log: FlashLog) -> FlashLog:
        """Do one action, with receipts if the log is full; return the log, which may be mounted anew."""
        die = self.rng.random()
        if self.nor and die < 0.03:
            return self.boot(log, clean=die < 0.015)
        if die < 0.05:
            self._idle(log, "prepare")
        self._try(log, *self._choose(log))
        return log

    def write(self, log: FlashLog, author: bytes) -> None:
        """Append an operation of an author."""
        number = self.oracle.held(author) + 1
        self._try(log, "append", (ENTRY_OP, author, number, number, self._body(author, log.ring.size)))

    def _try(self, log: FlashLog, name: str, args: tuple[object, ...]) -> None:
        """Do an action if there is one, or what makes room for it."""
        if args and self._do(log, name, args) == "full":
            self.refused += 1
            self.quiet = False
            self._free(log)

    def boot(self, log: FlashLog, clean: bool) -> FlashLog:
        """Mount anew, after a shutdown if `clean`."""
        assert self.nor
        if clean:
            self._idle(log, "close")
        self.counts["boot"] = self.counts.get("boot", 0) + 1
        self._mounted = True
        return self.oracle.open(self.nor)

    def _idle(self, log: FlashLog, name: str) -> None:
        self._do(log, name, (), ("idle", (name,)))

    def _do(self, log: FlashLog, name: str, args: tuple[object, ...], action: Action | None = None) -> str:
        """Call a method; return "full" if the log refused. The step is noted, and settled."""
        oracle = self.oracle
        trace = self.nor.trace if self.nor else None
        start = len(trace) if trace is not None else 0
        before = oracle.copy() if trace is not None else oracle
        oracle.pending = action or (name, args)
        pending = oracle.pending
        outcome = "done"
        try:
            getattr(log, name)(*args)
        except HedgerowError as error:
            if error.code != "LOG_FULL":
                raise
            outcome = "full"
        if name == "cut":
            pending = (name, (*args, (log.held(args[0]), log.sealed(args[0]))))
        # What is there already is not filled in.
        if outcome == "full" or (name == "fill" and log.fetch(args[0], args[1]) != args[2]):
            pending = ("idle", (name,))
        else:
            self.counts[name] = self.counts.get(name, 0) + 1
        oracle.pending = pending
        oracle.settle(log)
        if trace is not None:
            self.steps.append(Step(start, len(trace), pending, before, self._mounted))
            self._mounted = False
            if self.on_step:
                self.on_step(log)
        return outcome

    def _free(self, log: FlashLog) -> None:
        """Receipt everything; one receipt may only find room once another has freed the oldest sector."""
        oracle = self.oracle
        waiting = [author for author in log.authors() if oracle.held(author) > oracle.receipted(author)]
        assert waiting or self.pinned() > 2, "I8: full of nothing"
        for _ in range(len(waiting)):
            for author in tuple(waiting):
                if self._do(log, "put", self._receipt_up_to(author, oracle.held(author))) == "done":
                    waiting.remove(author)
        assert not waiting, "I8: a full log that receipts do not free"

    # ---- choosing

    def _choose(self, log: FlashLog) -> Action:
        rng = self.rng
        oracle = self.oracle
        die = rng.random()
        author = log.author if rng.random() < 0.6 else rng.choice((*OTHERS, oracle.local))
        if die < 0.1 and self._seal(author)[1]:
            return self._seal(author)
        if die < 0.17 and not self.quiet and self._receipt(author)[1]:
            return self._receipt(author)
        if die < 0.2:
            kind, key = rng.choice(((STATE_CONFIG, b"epoch"), (STATE_CONFIG, b"n"), (STATE_PEER, b"peer")))
            return "put", (kind, key, rng.randbytes(4))
        if die < 0.22:
            schema = rng.choice((PLANTS, READINGS))
            if log.get(STATE_SCHEMA, schema.name) is None:
                return "put", (STATE_SCHEMA, schema.name, schema.encoded)
            return "put", (STATE_CONFIG, rng.choice((b"name", b"area")), rng.randbytes(rng.randint(20, 60)))
        held = oracle.held(author)
        if die < 0.24 and author in OTHERS:
            skip = Skip(held + 1, held + rng.randint(1, 300), RECEIPTED)
            return "append", (ENTRY_SKIP, author, skip.first, skip.last, skip.encode())
        if die < 0.36:
            return self._beside(author, held)
        if die < 0.4 and hasattr(log, "replace"):
            return self._thinning(log.author)
        return "append", (ENTRY_OP, author, held + 1, held + 1, self._body(author, log.ring.size))

    def _body(self, author: bytes, size: int) -> bytes:
        """Return a body, small or, for sectors of `size` bytes, large; of no, one or many documents."""
        rng = self.rng
        die = rng.random()
        stamp = (self.oracle.held(author) + 1).to_bytes(6, "big") + bytes(2)
        if die < 0.06:
            self.counts["many"] = self.counts.get("many", 0) + 1
            large = rng.random() < 0.6
            # What lives must fit the ring: large ones are of documents that do not.
            low, high = (DOCUMENTS, 20) if large else (0, DOCUMENTS + 2)
            each = size // 16 if large else 4
            changes = [_update(rng, rng.randrange(low, high), each) for _ in range(rng.randint(2, 5))]
            return encode_body(stamp, changes)
        if die < 0.1:
            self.counts["tombstone"] = self.counts.get("tombstone", 0) + 1
            return encode_body(stamp, [[DELETE, PLANTS.name, rng.randrange(DOCUMENTS)]])
        if die < 0.28:
            return encode_body(stamp, [_update(rng, rng.randrange(DOCUMENTS), rng.randint(1, 40))])
        return encode_body(stamp, [[INSERT, READINGS.name, None, [rng.randbytes(rng.randint(1, 60))]]])

    def pinned(self) -> int:
        """Return how many filled operations are to be kept."""
        return sum(PINNED in ids(body) for body in self.oracle.filled.values())

    def _beside(self, author: bytes, held: int) -> Action:
        """Fill, drop or cut something of an author."""
        rng = self.rng
        receipted = self.oracle.receipted(author)
        die = rng.random()
        if die < 0.3 and author in OTHERS and held > receipted:
            return "cut", (author, rng.randint(receipted, held - 1))
        if die < 0.6 and held:
            first = rng.randint(max(1, held - 30), held)
            return "drop", (author, first, first + rng.choice((0, 0, 3, 20)))
        document = PINNED if self.pinned() < 2 and rng.random() < 0.2 else rng.randrange(DOCUMENTS, 20)
        number = max(1, held + rng.randint(-30, 6)) if author in OTHERS else max(1, held - rng.randint(0, 30))
        return "fill", (author, number, encode_body(bytes(8), [_update(rng, document, 12)]))

    def _thinning(self, author: bytes) -> Action:
        """Put a lost skip in the place of a few own open entries, skips among them."""
        rng = self.rng
        receipted = self.oracle.receipted(author)
        open_ = [e for e in self.oracle.here(author) if e[0] != ENTRY_SEAL and e[1] > receipted]
        if len(open_) < 3:
            return "replace", ()
        begin = rng.randrange(len(open_) - 2)
        chosen = open_[begin : begin + rng.randint(1, 6)]
        # The newest one stays, and so does what has a neighbour that was dropped.
        while len(chosen) > 1 and (chosen[-1] == open_[-1] or chosen[-1][2] - chosen[0][1] >= 40):
            chosen.pop()
        if any(after[1] != before[2] + 1 for before, after in pairwise(chosen)):
            chosen = chosen[:1]
        first, last = chosen[0][1], chosen[-1][2]
        skip = Skip(first, last, LOST, [DROPPED, rng.randbytes(6)])
        return "replace", (author, first, last, skip.encode())

    def _seal(self, author: bytes) -> Action:
        first, last = self.oracle.sealed(author) + 1, self.oracle.held(author)
        args = (ENTRY_SEAL, author, first, last, self.rng.randbytes(60)) if last >= first else ()
        return "append", args

    def _receipt(self, author: bytes) -> Action:
        number = self.oracle.sealed(author)
        if number <= self.oracle.receipted(author):
            return "put", ()
        return "put", self._receipt_up_to(author, number)

    def _receipt_up_to(self, author: bytes, number: int) -> tuple[int, bytes, bytes]:
        return STATE_RECEIPT, author + KEEPER, Receipt(KEEPER, 1, author, number).encode()


def _update(rng: random.Random, document: int, size: int) -> list[object]:
    """Return a change of a document."""
    return [UPDATE, PLANTS.name, document, [rng.randbytes(size)]]
