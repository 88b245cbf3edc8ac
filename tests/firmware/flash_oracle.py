"""What a log acknowledged, so that it can be asked for it again.

Bodies are operations on documents of a kept collection, whose ids below `DOCUMENTS` are those that live: the
newest operation that an author ever wrote of one, be it its deletion, is alive. `PINNED` is the id of what is
filled in and always kept. What has no id, or a greater one, need not be kept once it is receipted.
"""

from functools import lru_cache

from hedgerow.codec.schema import KEEP, STREAM, Schema
from hedgerow.custody.receipt import Receipt
from hedgerow.log import ENTRY_OP, ENTRY_SEAL, ENTRY_SKIP, STATE_RECEIPT, local_author
from hedgerow.operation import decode_body
from hedgerow_device.flashlog import FlashLog

KEEPER = b"keeper-1"
OTHERS = (b"author-b", b"author-c")
PLANTS = Schema("plants", KEEP, (("height", None),))
READINGS = Schema("readings", STREAM, (("height", None),))
DOCUMENTS = 4
PINNED = 100
Entry = tuple[int, int, int, bytes]
Action = tuple[str, tuple[object, ...]]


@lru_cache(maxsize=8192)
def ids(body: bytes) -> tuple[int, ...]:
    """Return the ids of the documents that a body changes or deletes."""
    return tuple(change[2] for change in decode_body(body)[1] if change[2] is not None)


@lru_cache(maxsize=8192)
def living(body: bytes) -> tuple[int, ...]:
    """Return those that live."""
    return tuple(document for document in ids(body) if document < DOCUMENTS)


class Oracle:
    """Entries per author in log order, values, what lies beside the runs, and at most one action under way.

    `frontiers` are (held, sealed) by author; `filled` bodies by (author, number); `dropped` are (author,
    number) of the run that were forgotten; `newest` numbers by (author, document).
    """

    def __init__(self) -> None:
        self.author: bytes | None = None
        self.entries: dict[bytes, list[Entry]] = {}
        self.frontiers: dict[bytes, tuple[int, int]] = {}
        self.values: dict[tuple[int, bytes], bytes] = {}
        self.filled: dict[tuple[bytes, int], bytes] = {}
        self.dropped: set[tuple[bytes, int]] = set()
        self.newest: dict[tuple[bytes, int], int] = {}
        self.pending: Action | None = None

    def copy(self) -> "Oracle":
        """Return one that can go another way."""
        other = Oracle()
        other.author = self.author
        other.entries = {author: list(entries) for author, entries in self.entries.items()}
        other.frontiers = dict(self.frontiers)
        other.values = dict(self.values)
        other.filled = dict(self.filled)
        other.dropped = set(self.dropped)
        other.newest = dict(self.newest)
        other.pending = self.pending
        return other

    def held(self, author: bytes) -> int:
        return self.frontiers.get(author, (0, 0))[0]

    def sealed(self, author: bytes) -> int:
        return self.frontiers.get(author, (0, 0))[1]

    def receipted(self, author: bytes) -> int:
        if author == self.local:
            return self.held(author)
        value = self.values.get((STATE_RECEIPT, author + KEEPER))
        return Receipt.decode(value).number if value else 0

    @property
    def local(self) -> bytes:
        return local_author(self.author or b"")

    def is_own(self, author: bytes) -> bool:
        """Say whether the log itself writes as this author."""
        return author in (self.author, self.local)

    def open(self, nor: object) -> FlashLog:
        """Mount a log that keeps what the oracle says is alive."""
        log = FlashLog(nor)
        log.keeps = self.keeps
        # A log that never acknowledged anything may be formatted once more.
        if self.author is None:
            self.author = log.author
        return log

    def keeps(self, author: bytes, number: int, body: bytes, tight: bool = False) -> bool:
        """Say whether an operation is alive; where room is short, only our own."""
        if tight and not self.is_own(author):
            return False
        if PINNED in ids(body):
            return self.filled.get((author, number)) == body
        if (author, number) in self.dropped:
            return False
        return any(self.newest.get((author, document)) == number for document in living(body))

    def here(self, author: bytes) -> list[Entry]:
        """Return the entries of an author's run that nobody dropped."""
        if not self.dropped:
            return self.entries.get(author, [])
        return [
            entry
            for entry in self.entries.get(author, ())
            if entry[0] != ENTRY_OP or (author, entry[1]) not in self.dropped
        ]

    # ---- actions

    def settle(self, log: FlashLog | None = None) -> None:
        """Take the action under way as done; a cut without its outcome takes it from the log."""
        assert self.pending
        name, args = self.pending
        self.pending = None
        getattr(self, f"_{name}")(log, *args)

    def _idle(self, _: object, name: str) -> None:
        """Nothing that shows was done: a sector was erased ahead, or the log was closed."""

    def _append(self, _: object, kind: int, author: bytes, first: int, last: int, body: bytes) -> None:
        self.entries.setdefault(author, []).append((kind, first, last, body))
        held, sealed = self.frontiers.get(author, (0, 0))
        if kind == ENTRY_SEAL:
            self.frontiers[author] = (held, max(sealed, last))
            return
        self.frontiers[author] = (last, sealed)
        if kind == ENTRY_OP:
            self.filled.pop((author, first), None)
            self.dropped.discard((author, first))
            for document in living(body):
                self.newest[author, document] = first

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
                if entry[0] == ENTRY_SEAL:
                    # Where receipted seals ended may not be known any more.
                    assert entry[2] > held or entry[2] <= self.receipted(author), "I1: a seal fell too low"
                else:
                    assert entry[2] > to or entry[1] > held, "I1: fell too low"
                if entry[0] == ENTRY_OP:
                    self.dropped.discard((author, entry[1]))
        self.entries[author] = kept
        self.frontiers[author] = (held, sealed)

    def _replace(self, _: object, author: bytes, first: int, last: int, body: bytes) -> None:
        kept: list[Entry] = []
        placed = False
        for entry in self.entries[author]:
            inside = first <= entry[1] and entry[2] <= last
            if inside and entry[0] == ENTRY_SEAL:
                # The next seal names the one that ends with the range.
                inside = entry[2] < last
            elif inside and not placed:
                kept.append((ENTRY_SKIP, first, last, body))
                placed = True
            if not inside:
                kept.append(entry)
        assert placed
        self.entries[author] = kept
        for number in range(first, last + 1):
            self.filled.pop((author, number), None)
            self.dropped.discard((author, number))

    # ---- what must hold

    def check(self, log: FlashLog, deep: bool = True) -> None:
        """Compare a log that was just mounted; an action under way may have happened or not."""
        from flash_invariants import check

        check(log, self, deep)
