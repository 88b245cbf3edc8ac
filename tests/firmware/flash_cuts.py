"""Power cuts for the flash log: torn operations, a seeded workload, and what must hold after any cut."""

import random
from collections.abc import Callable, Iterator

from nor import Nor

from hedgerow.custody.receipt import Receipt
from hedgerow.errors import HedgerowError
from hedgerow.log import ENTRY_OP, ENTRY_SEAL, ENTRY_SKIP, STATE_CONFIG, STATE_RECEIPT, STATE_SCHEMA
from hedgerow_device.flashlog import FlashLog

KEEPER = b"keeper-1"
OTHERS = (b"author-b", b"author-c")
Operation = tuple[str, int, int, bytes]
Cells = bytearray


class Oracle:
    """What the log acknowledged: entries per author, values, and at most one action under way."""

    def __init__(self) -> None:
        self.author: bytes | None = None
        self.entries: dict[bytes, list[tuple[int, int, int, bytes]]] = {}
        self.values: dict[tuple[int, bytes], bytes] = {}
        self.pending: tuple[str, tuple[object, ...]] | None = None

    def held(self, author: bytes) -> int:
        return max((e[2] for e in self.entries.get(author, ()) if e[0] != ENTRY_SEAL), default=0)

    def sealed(self, author: bytes) -> int:
        return max((e[2] for e in self.entries.get(author, ()) if e[0] == ENTRY_SEAL), default=0)

    def receipted(self, author: bytes) -> int:
        value = self.values.get((STATE_RECEIPT, author + KEEPER))
        return Receipt.decode(value).number if value else 0

    def settle(self) -> None:
        """Take the action under way as done."""
        assert self.pending
        name, args = self.pending
        self.pending = None
        if name == "append":
            kind, author, first, last, body = args
            self.entries.setdefault(author, []).append((kind, first, last, body))  # type: ignore[arg-type]
        else:
            kind, key, value = args
            self.values[kind, key] = value  # type: ignore[index,assignment]

    def check(self, log: FlashLog) -> None:
        """Compare a log that was just mounted; an action under way may have happened or not."""
        if self.author is None:
            if self.entries or self.values:
                raise AssertionError("no author, but entries")
            self.author = log.author
        assert log.author == self.author, "another author"
        if self.pending:
            if self._happened(log):
                self.settle()
            self.pending = None
        assert log.damaged == 0
        assert set(log.authors()) == set(self.entries), "authors"
        for author, entries in self.entries.items():
            self._check_author(log, author, entries)
        for (kind, key), value in self.values.items():
            assert log.get(kind, key) == value, f"value {kind} {key!r}"
        for kind in (STATE_CONFIG, STATE_RECEIPT, STATE_SCHEMA):
            assert dict(log.items(kind)) == {k[1]: v for k, v in self.values.items() if k[0] == kind}

    def _happened(self, log: FlashLog) -> bool:
        assert self.pending
        name, args = self.pending
        if name == "put":
            return bool(log.get(args[0], args[1]) == args[2])
        kind, author, _, last, _ = args
        if kind == ENTRY_SEAL:
            return bool(log.sealed(author) >= last)  # type: ignore[operator]
        return bool(log.held(author) >= last)  # type: ignore[operator]

    def _check_author(self, log: FlashLog, author: bytes, entries: list[tuple[int, int, int, bytes]]) -> None:
        assert log.held(author) == self.held(author), "held"
        assert log.sealed(author) == self.sealed(author), "sealed"
        receipted = self.receipted(author)
        found = log.read(author, 0, 0, 1 << 30)
        for entry in found:
            assert entry in entries, f"invented {entry}"
        # The newest own seal may have been copied behind younger operations.
        numbers = [entry[2] for entry in found if entry[0] != ENTRY_SEAL]
        assert numbers == sorted(set(numbers)), "out of order"
        missing = [entry for entry in entries if entry[2] > receipted and entry not in found]
        assert not missing, f"lost {missing[0]}"
        tail = log.read(author, receipted, receipted, 1 << 30)
        assert [entry for entry in entries if entry[2] > receipted] == tail, "read from the receipt"
        if author == log.author and entries:
            newest = [entry for entry in entries if entry[0] == ENTRY_OP][-1]
            assert newest in log.read(author, newest[2] - 1, self.sealed(author), 1 << 30), "newest own"


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
            self.oracle.settle()

    def free(self, log: FlashLog) -> Iterator[tuple[str, tuple[object, ...]]]:
        """Receipt everything; one receipt may only find room once another has freed the oldest sector."""
        oracle = self.oracle
        waiting = [author for author in log.authors() if oracle.held(author) > oracle.receipted(author)]
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
        author = log.author if rng.random() < 0.7 else rng.choice(OTHERS)
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
        if die < 0.24 and author != log.author:
            return "append", (ENTRY_SKIP, author, held + 1, held + rng.randint(1, 300), rng.randbytes(5))
        size = rng.randint(120, 180) if die > 0.98 else rng.randint(8, 40)
        return "append", (ENTRY_OP, author, held + 1, held + 1, rng.randbytes(size))

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
        oracle = Oracle()
        workload = Workload(seed, oracle)
        log = FlashLog(nor)
        self.author = log.author
        self.formatted = len(self.trace)
        rng = random.Random(seed + 1)
        while nor.erases < laps * count:
            start = len(self.trace)
            name, args = workload._choose(log)
            if rng.random() < 0.02:
                log = FlashLog(nor)
            try:
                getattr(log, name)(*args)
            except HedgerowError as error:
                assert error.code == "LOG_FULL", error
                for action in workload.free(log):
                    self.actions.append((start, len(self.trace), action))
                    start = len(self.trace)
                continue
            oracle.pending = (name, args)
            oracle.settle()
            self.actions.append((start, len(self.trace), (name, args)))
            if rng.random() < 0.02:
                log.prepare()
        oracle.author = self.author
        oracle.check(FlashLog(nor))

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
    log = FlashLog(nor)
    oracle.check(log)
    workload = Workload(seed, oracle)
    for _ in range(4):
        workload.act(log)
    oracle.check(FlashLog(nor))
