"""Power cuts for the flash log: torn operations, a seeded workload, and what must hold after any cut.

The first byte of a body stands for its document: up to `DOCUMENTS` are kept, and the newest operation that
an author ever wrote of one is alive; `PINNED` is that of filled operations that are always kept.
"""

import random
from collections.abc import Callable, Iterator

from nor import Nor

from hedgerow.custody.receipt import Receipt
from hedgerow.custody.skip import RECEIPTED, Skip
from hedgerow.errors import HedgerowError
from hedgerow.log import ENTRY_OP, ENTRY_SEAL, ENTRY_SKIP, STATE_CONFIG, STATE_RECEIPT, STATE_SCHEMA
from hedgerow_device.flashlog import FlashLog
from hedgerow_device.flashreclaim import local_author

KEEPER = b"keeper-1"
OTHERS = (b"author-b", b"author-c")
DOCUMENTS = 4
PINNED = 100
FREE = 255
Operation = tuple[str, int, int, bytes]
Cells = bytearray


class Oracle:
    """What the log acknowledged: entries per author, values, and at most one action under way."""

    def __init__(self) -> None:
        self.author: bytes | None = None
        self.entries: dict[bytes, list[tuple[int, int, int, bytes]]] = {}
        self.values: dict[tuple[int, bytes], bytes] = {}
        self.filled: dict[tuple[bytes, int], bytes] = {}
        self.dropped: set[tuple[bytes, int]] = set()
        self.newest: dict[tuple[bytes, int], int] = {}
        self.pending: tuple[str, tuple[object, ...]] | None = None

    def held(self, author: bytes) -> int:
        return max((e[2] for e in self.entries.get(author, ()) if e[0] != ENTRY_SEAL), default=0)

    def sealed(self, author: bytes) -> int:
        return max((e[2] for e in self.entries.get(author, ()) if e[0] == ENTRY_SEAL), default=0)

    def receipted(self, author: bytes) -> int:
        if author == self.local:
            return self.held(author)
        value = self.values.get((STATE_RECEIPT, author + KEEPER))
        return Receipt.decode(value).number if value else 0

    @property
    def local(self) -> bytes:
        return local_author(self.author or b"")

    def open(self, nor: Nor) -> FlashLog:
        """Mount a log that keeps what the oracle says is alive."""
        log = FlashLog(nor)
        log.keeps = self.keeps
        # A log that never acknowledged anything may be formatted once more.
        if self.author is None or not (self.entries or self.values):
            self.author = log.author
        return log

    def keeps(self, author: bytes, number: int, body: bytes, tight: bool = False) -> bool:
        """Say whether an operation is alive."""
        if tight:
            return False
        if body[0] == PINNED:
            return self.filled.get((author, number)) == body
        return self.newest.get((author, body[0])) == number and (author, number) not in self.dropped

    def settle(self, log: FlashLog | None = None) -> None:
        """Take the action under way as done; a cut without its outcome takes it from the log."""
        assert self.pending
        name, args = self.pending
        self.pending = None
        getattr(self, f"_{name}")(log, *args)

    def _append(self, _: object, kind: int, author: bytes, first: int, last: int, body: bytes) -> None:
        self.entries.setdefault(author, []).append((kind, first, last, body))
        if kind == ENTRY_OP:
            self.filled.pop((author, first), None)
            self.dropped.discard((author, first))
            if body[0] < DOCUMENTS:
                self.newest[author, body[0]] = first

    def _put(self, _: object, kind: int, key: bytes, value: bytes) -> None:
        self.values[kind, key] = value

    def _fill(self, _: object, author: bytes, number: int, body: bytes) -> None:
        self.filled[author, number] = body

    def _drop(self, _: object, author: bytes, first: int, last: int) -> None:
        for number in range(first, last + 1):
            self.filled.pop((author, number), None)
            if number <= self.held(author):
                self.dropped.add((author, number))

    def _cut(
        self, log: FlashLog | None, author: bytes, to: int, fallen: tuple[int, int] | None = None
    ) -> None:
        held, sealed = fallen or (log.held(author), log.sealed(author))  # type: ignore[union-attr]
        assert sealed <= held <= to
        kept = []
        for entry in self.entries[author]:
            if entry[2] <= (sealed if entry[0] == ENTRY_SEAL else held):
                kept.append(entry)
            else:
                # Where receipted seals ended may not be known any more.
                gone = entry[0] == ENTRY_SEAL and entry[2] <= self.receipted(author)
                assert gone or entry[2] > to or entry[1] > held, "fell too low"
                if entry[0] == ENTRY_OP:
                    self.dropped.discard((author, entry[1]))
        self.entries[author] = kept

    def check(self, log: FlashLog) -> None:
        """Compare a log that was just mounted; an action under way may have happened or not."""
        if self.author is None:
            if self.entries or self.values:
                raise AssertionError("no author, but entries")
            self.author = log.author
        assert log.author == self.author, "another author"
        if self.pending:
            if self._happened(log):
                self.settle(log)
            self.pending = None
        assert log.damaged == 0
        assert set(log.authors()) == {author for author in self.entries if self.held(author)}, "authors"
        for author, entries in self.entries.items():
            self._check_author(log, author, entries)
        self._check_arrivals(log)
        for (kind, key), value in self.values.items():
            assert log.get(kind, key) == value, f"value {kind} {key!r}"
        for kind in (STATE_CONFIG, STATE_RECEIPT, STATE_SCHEMA):
            assert dict(log.items(kind)) == {k[1]: v for k, v in self.values.items() if k[0] == kind}

    def _happened(self, log: FlashLog) -> bool:
        assert self.pending
        name, args = self.pending
        if name == "put":
            return bool(log.get(args[0], args[1]) == args[2])
        if name == "fill":
            return bool(log.fetch(args[0], args[1]) == args[2])
        if name == "drop":
            author, first, last = args
            return not [n for n in range(first, last + 1) if log.fetch(author, n)]  # type: ignore[operator,call-overload]
        if name == "cut":
            return bool(log.held(args[0]) < self.held(args[0]))  # type: ignore[arg-type]
        kind, author, _, last, _ = args
        if kind == ENTRY_SEAL:
            return bool(log.sealed(author) >= last)  # type: ignore[operator]
        return bool(log.held(author) >= last)  # type: ignore[operator]

    def _check_author(self, log: FlashLog, author: bytes, entries: list[tuple[int, int, int, bytes]]) -> None:
        assert log.held(author) == self.held(author), "held"
        assert log.sealed(author) == self.sealed(author), "sealed"
        receipted = self.receipted(author)
        here = [entry for entry in entries if entry[0] != ENTRY_OP or (author, entry[1]) not in self.dropped]
        found = log.read(author, 0, 0, 1 << 30)
        for entry in found:
            assert entry in here, f"invented {entry}"
        # The newest own seal may have been copied behind younger operations.
        numbers = [entry[2] for entry in found if entry[0] != ENTRY_SEAL]
        assert numbers == sorted(set(numbers)), "out of order"
        missing = [entry for entry in here if entry[2] > receipted and entry not in found]
        assert not missing, f"lost {missing[0]}"
        tail = log.read(author, receipted, receipted, 1 << 30)
        assert [entry for entry in here if entry[2] > receipted] == tail, "read from the receipt"
        operations = [entry for entry in entries if entry[0] == ENTRY_OP]
        if author in (log.author, self.local) and operations and operations[-1] in here:
            newest = operations[-1]
            assert newest in log.read(author, newest[2] - 1, self.sealed(author), 1 << 30), "newest own"

    def _check_arrivals(self, log: FlashLog) -> None:
        """What is here is what may be, and all that must be; every way of asking says the same."""
        arrived = log.since(0, 1 << 30)
        positions = [entry[0] for entry in arrived]
        assert positions == sorted(set(positions)), "positions"
        assert log.position() >= max(positions, default=0)
        present = {(author, number): body for _, author, number, body in arrived}
        run = {
            (author, entry[1]): entry[3]
            for author, entries in self.entries.items()
            for entry in entries
            if entry[0] == ENTRY_OP and (author, entry[1]) not in self.dropped
        }
        for dot, body in present.items():
            assert body == self.filled.get(dot, run.get(dot)), f"invented {dot}"
        for dot, body in run.items():
            own = dot[0] in (self.author, self.local) and self.keeps(*dot, body)
            if dot not in self.filled and (dot[1] > self.receipted(dot[0]) or own):
                assert dot in present, f"lost {dot}"
        for author in self.entries:
            gaps = {n for first, last, _ in log.missing(author) for n in range(first, last + 1)}
            here = {number for name, number in present if name == author and number <= log.held(author)}
            assert gaps == set(range(1, log.held(author) + 1)) - here, "missing"
        for dot in list(present)[:: max(1, len(present) // 4)]:
            assert log.fetch(*dot) == present[dot]
        if arrived:
            middle = arrived[len(arrived) // 2][0]
            assert log.since(middle, 1 << 30) == arrived[len(arrived) // 2 + 1 :]


class Workload:
    """Does one seeded action after another on a log and tells the oracle before and after."""

    def __init__(self, seed: int, oracle: Oracle):
        self.rng = random.Random(seed)
        self.oracle = oracle
        self.refused = 0

    def act(self, log: FlashLog) -> None:
        """Do one action; make room with receipts if the log is full."""
        name, args = self._choose(log)
        self.oracle.pending = (name, args)
        try:
            getattr(log, name)(*args)
        except HedgerowError as error:
            assert error.code == "LOG_FULL", error
            self.oracle.pending = None
            self.refused += 1
            for _ in self.free(log):
                pass
        else:
            if name == "fill" and log.fetch(args[0], args[1]) != args[2]:
                self.oracle.pending = None  # it was here already
            else:
                self.oracle.settle(log)

    def free(self, log: FlashLog) -> Iterator[tuple[str, tuple[object, ...]]]:
        """Receipt everything; one receipt may only find room once another has freed the oldest sector."""
        oracle = self.oracle
        waiting = [author for author in log.authors() if oracle.held(author) > oracle.receipted(author)]
        assert waiting or self.pinned() > 2, "full of nothing"
        for _ in range(len(waiting)):
            for author in tuple(waiting):
                args = self._receipt_up_to(author, self.oracle.held(author))
                self.oracle.pending = ("put", args)
                try:
                    log.put(*args)
                except HedgerowError as error:
                    assert error.code == "LOG_FULL", error
                    self.oracle.pending = None
                else:
                    self.oracle.settle()
                    waiting.remove(author)
                    yield "put", args
        assert not waiting, "a full log that receipts do not free"

    def _choose(self, log: FlashLog) -> tuple[str, tuple[object, ...]]:
        rng = self.rng
        oracle = self.oracle
        die = rng.random()
        author = log.author if rng.random() < 0.6 else rng.choice((*OTHERS, oracle.local))
        if die < 0.1 and self._seal(author)[1]:
            return self._seal(author)
        if die < 0.17 and self._receipt(author)[1]:
            return self._receipt(author)
        if die < 0.2:
            key = rng.choice((b"epoch", b"n"))
            return "put", (STATE_CONFIG, key, rng.randbytes(4))
        if die < 0.22:
            key = rng.choice((b"sch1", b"sch2", b"sch3"))
            return "put", (STATE_SCHEMA, key, rng.randbytes(rng.randint(20, 60)))
        held = oracle.held(author)
        if die < 0.24 and author in OTHERS:
            skip = Skip(held + 1, held + rng.randint(1, 300), RECEIPTED)
            return "append", (ENTRY_SKIP, author, skip.first, skip.last, skip.encode())
        if die < 0.36:
            return self._beside(author, held)
        size = rng.randint(120, 180) if die > 0.98 else rng.randint(8, 40)
        first = rng.randrange(DOCUMENTS) if rng.random() < 0.2 else FREE
        return "append", (ENTRY_OP, author, held + 1, held + 1, bytes((first,)) + rng.randbytes(size - 1))

    def pinned(self) -> int:
        """Return how many filled operations are to be kept."""
        return sum(body[0] == PINNED for body in self.oracle.filled.values())

    def _beside(self, author: bytes, held: int) -> tuple[str, tuple[object, ...]]:
        """Fill, drop or cut something of an author."""
        rng = self.rng
        receipted = self.oracle.receipted(author)
        die = rng.random()
        if die < 0.3 and author in OTHERS and held > receipted:
            return "cut", (author, rng.randint(receipted, held - 1))
        if die < 0.6 and held:
            first = rng.randint(max(1, held - 30), held)
            return "drop", (author, first, first + rng.choice((0, 0, 3, 20)))
        first = PINNED if self.pinned() < 2 and rng.random() < 0.2 else FREE
        number = max(1, held + rng.randint(-30, 6)) if author in OTHERS else max(1, held - rng.randint(0, 30))
        return "fill", (author, number, bytes((first,)) + rng.randbytes(20))

    def _seal(self, author: bytes) -> tuple[str, tuple[object, ...]]:
        first, last = self.oracle.sealed(author) + 1, self.oracle.held(author)
        args = (ENTRY_SEAL, author, first, last, self.rng.randbytes(60)) if last >= first else ()
        return "append", args

    def _receipt(self, author: bytes) -> tuple[str, tuple[object, ...]]:
        number = self.oracle.sealed(author)
        if number <= self.oracle.receipted(author):
            return "put", ()
        return "put", self._receipt_up_to(author, number)

    def _receipt_up_to(self, author: bytes, number: int) -> tuple[int, bytes, bytes]:
        return STATE_RECEIPT, author + KEEPER, Receipt(KEEPER, 1, author, number).encode()


# ---- torn operations

Tear = Callable[[random.Random, bytes, bytes], bytes]


def _bits(rng: random.Random, before: bytes, after: bytes) -> bytes:
    """Each bit that changes has changed or not."""
    return bytes(b ^ ((b ^ a) & rng.getrandbits(8)) for b, a in zip(before, after, strict=True))


def _prefix(rng: random.Random, before: bytes, after: bytes) -> bytes:
    cut = rng.randrange(len(after))
    return after[:cut] + before[cut:]


def _torn_byte(rng: random.Random, before: bytes, after: bytes) -> bytes:
    cut = rng.randrange(len(after))
    return after[:cut] + _bits(rng, before[cut : cut + 1], after[cut : cut + 1]) + before[cut + 1 :]


def _suffix(rng: random.Random, before: bytes, after: bytes) -> bytes:
    cut = rng.randrange(1, len(after) + 1)
    return before[:cut] + after[cut:]


def _hole(rng: random.Random, before: bytes, after: bytes) -> bytes:
    low, high = sorted(rng.randrange(len(after) + 1) for _ in range(2))
    return after[:low] + before[low:high] + after[high:]


def _none(rng: random.Random, before: bytes, after: bytes) -> bytes:
    return before


def _garbage(rng: random.Random, before: bytes, after: bytes) -> bytes:
    return rng.randbytes(len(after))


PROGRAM_TEARS: dict[str, Tear] = {
    "prefix": _prefix, "torn byte": _torn_byte, "bits": _bits, "suffix": _suffix, "hole": _hole,
}  # fmt: skip
ERASE_TEARS: dict[str, Tear] = {
    "none": _none, "prefix": _prefix, "suffix": _suffix, "bits": _bits, "garbage": _garbage,
}  # fmt: skip


def span(operation: Operation, size: int) -> tuple[int, bytes]:
    """Return where in the cells an operation works, and what it would leave there."""
    if operation[0] == "erase":
        return operation[1] * size, b"\xff" * size
    return operation[1] * size + operation[2], operation[3]


def tear(cells: Cells, operation: Operation, size: int, model: str, rng: random.Random) -> Cells:
    """Return the cells after a cut within an operation."""
    torn = bytearray(cells)
    at, after = span(operation, size)
    before = bytes(cells[at : at + len(after)])
    model_of = ERASE_TEARS if operation[0] == "erase" else PROGRAM_TEARS
    torn[at : at + len(after)] = model_of[model](rng, before, after)
    return torn


# ---- a recorded run


class Recording:
    """A run of the workload over `laps` laps of a ring: the operations, and the acknowledged actions."""

    def __init__(self, seed: int, *, count: int = 12, size: int = 512, laps: float = 2.2):
        self.count = count
        self.size = size
        self.trace: list[Operation] = []
        nor = Nor(count, size, trace=self.trace)
        self.actions: list[tuple[int, int, tuple[str, tuple[object, ...]]]] = []
        self.counts: dict[str, int] = {}
        self.refused = 0
        oracle = Oracle()
        workload = Workload(seed, oracle)
        log = oracle.open(nor)
        self.author = log.author
        self.formatted = len(self.trace)
        rng = random.Random(seed + 1)
        while nor.erases < laps * count:
            start = len(self.trace)
            name, args = workload._choose(log)
            if rng.random() < 0.02:
                log = oracle.open(nor)
            try:
                getattr(log, name)(*args)
            except HedgerowError as error:
                assert error.code == "LOG_FULL", error
                self.refused += 1
                for action in workload.free(log):
                    self.actions.append((start, len(self.trace), action))
                    start = len(self.trace)
                continue
            if name == "cut":
                args = (*args, (log.held(args[0]), log.sealed(args[0])))
            if name == "fill" and log.fetch(args[0], args[1]) != args[2]:
                continue
            self.counts[name] = self.counts.get(name, 0) + 1
            oracle.pending = (name, args)
            oracle.settle()
            self.actions.append((start, len(self.trace), (name, args)))
            if rng.random() < 0.02:
                log.prepare()
        oracle.author = self.author
        oracle.check(oracle.open(nor))

    def oracle_at(self, index: int) -> Oracle:
        """Return what had been acknowledged, and what was under way, at the operation with this index."""
        oracle = Oracle()
        oracle.author = self.author if index >= self.formatted else None
        for start, end, action in self.actions:
            if end <= index:
                oracle.pending = action
                oracle.settle()
            elif start <= index:
                oracle.pending = action
        return oracle

    def states(self) -> Iterator[tuple[int, Operation, Cells]]:
        """Yield (index, operation, cells before it) over the whole run."""
        cells = bytearray(b"\xff" * (self.count * self.size))
        for index, operation in enumerate(self.trace):
            yield index, operation, cells
            at, after = span(operation, self.size)
            cells[at : at + len(after)] = after


def survive(recording: Recording, index: int, cells: Cells, seed: int) -> None:
    """Mount torn cells, check, go on, mount again, check again."""
    oracle = recording.oracle_at(index)
    nor = Nor(recording.count, recording.size, bytearray(cells))
    log = oracle.open(nor)
    oracle.check(log)
    workload = Workload(seed, oracle)
    for _ in range(4):
        workload.act(log)
    oracle.check(oracle.open(nor))
