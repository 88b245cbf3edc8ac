"""The log in memory as a board has it: what is receipted makes room, what a power cut leaves is known."""

from collections.abc import Callable

from hedgerow.codec.schema import Schema, is_stream
from hedgerow.errors import HedgerowError
from hedgerow.log import ENTRY_OP, ENTRY_SEAL, ENTRY_SKIP, STATE_RECEIPT, STATE_SCHEMA
from hedgerow.memory import MemoryLog, MemoryStore, frontiers
from hedgerow.operation import CLOCK, decode_body
from hedgerow_sim import limits

Entry = tuple[int, bytes, int, int, bytes]
RunEntry = tuple[int, int, int, bytes]
# As MemoryLog notes it: an operation beside the run.
_FILL = 3


class BoardStore(MemoryStore):
    """What a BoardLog has committed: entries, how far each author was held, and what made room sealed."""

    def __init__(self, author: bytes):
        super().__init__(author)
        self.base: dict[bytes, tuple[int, int]] = {}
        self.arrivals = 0


class BoardLog(MemoryLog):
    """A MemoryLog with at most about `entries` entries of receipted stream operations.

    `arrived(author, number, body)` is called with every operation that comes into the run or beside it.
    """

    # What a MemoryLog has inside; its face to tools leaves that out.
    store: BoardStore
    _authors: list[bytes]
    _entries: dict[bytes, list[RunEntry]]
    _operations: dict[bytes, dict[int, bytes]]
    _held: dict[bytes, int]
    _sealed: dict[bytes, int]
    _arrivals: list[tuple[bytes, int]]
    _places: dict[tuple[bytes, int], int]
    _counted: int | None

    def __init__(
        self,
        store: BoardStore,
        most_authors: int,
        entries: int = limits.LOG_ENTRIES,
        arrived: Callable[[bytes, int, bytes], None] | None = None,
    ):
        self._ring = entries
        self._full = entries
        self._base = store.arrivals
        self._arrived: Callable[[bytes, int, bytes], None] | None = None
        self.cuts: list[tuple[bytes, int]] = []
        super().__init__(store, most_authors)
        for author in store.base:
            if author not in self._entries:
                self._begin(author)
        self._arrived = arrived

    def _begin(self, author: bytes) -> None:
        self._authors.append(author)
        self._entries[author] = []
        self._operations[author] = {}
        store = self.store
        held, sealed = store.base.get(author, (0, 0))
        if held:
            self._held[author] = held
        if sealed:
            self._sealed[author] = sealed

    def _take(self, entry: Entry) -> None:
        if entry[1] not in self._entries:
            self._begin(entry[1])
        super()._take(entry)  # type: ignore[misc]
        base = self.store.base.get(entry[1], (0, 0))
        if entry[0] <= ENTRY_SKIP and self.held(entry[1]) < base[0]:
            # What stands in the log is older than what made room.
            self._held[entry[1]] = base[0]

    def _arrive(self, author: bytes, number: int, body: bytes) -> None:
        self._operations[author][number] = body
        self._arrivals.append((author, number))
        self._places[author, number] = self._base + len(self._arrivals)
        if self._arrived:
            self._arrived(author, number, body)

    def cut(self, author: bytes, held: int) -> None:
        """See MemoryLog.cut; it is a stated drop."""
        self.cuts.append((author, held))
        super().cut(author, held)

    def let_go(self, author: bytes) -> None:
        """See MemoryLog.let_go."""
        self.store.base.pop(author, None)
        super().let_go(author)

    def _fall(self, author: bytes, held: int) -> None:
        super()._fall(author, held)  # type: ignore[misc]
        base = self.store.base.get(author, (0, 0))
        if held < base[0]:
            self.store.base[author] = (held, min(held, base[1]))
        self._sealed[author] = max(self._sealed[author], min(base[1], held))

    def position(self) -> int:
        """See MemoryLog.position."""
        return self._base + len(self._arrivals)

    def since(self, position: int, max_bytes: int, gone: bool = False) -> list[tuple[int, bytes, int, bytes]]:
        """See MemoryLog.since."""
        found: list[tuple[int, bytes, int, bytes]] = []
        at = max(position - self._base, 0)
        while at < len(self._arrivals):
            author, number = self._arrivals[at]
            at += 1
            body = self.fetch(author, number)
            if body is None or self._places.get((author, number)) != self._base + at:
                continue
            max_bytes -= len(body)
            if found and max_bytes < 0:
                break
            found.append((self._base + at, author, number, body))
        return found

    def seen(self, author: bytes) -> int:
        """See MemoryLog.seen."""
        operations = self._operations.get(author)
        return max(self.held(author), max(operations)) if operations else self.held(author)

    def commit(self) -> None:
        """See MemoryLog.commit; a log over its size forgets what a ring would take back."""
        super().commit()
        if len(self.store.entries) > self._full:
            self.reclaim()

    def reclaim(self) -> None:
        """Forget receipted stream operations and their seals; own newest ones stay, for the clock's sake."""
        receipted = frontiers(self.items(STATE_RECEIPT))
        streams = set()
        for _, encoded in self.items(STATE_SCHEMA):
            schema = Schema.decode(encoded) if encoded else None
            if schema and is_stream(schema.kind):
                streams.add(schema.name)
        entries: list[tuple[int, Entry]] = []
        store = self.store
        for author in self._authors:
            number = receipted.get(author, 0)
            if author == self.author:
                number = min(number, self.sealed(author))
            run = self._entries[author]
            kept = [entry for entry in run if entry[2] > number or not self._may_go(author, entry, streams)]
            self._let_go(author, run, kept)
            entries += self._in_order(author, kept)
        entries.sort(key=_place)
        store.entries = [entry for _, entry in entries]
        # A log that is opened anew counts as this one, or on from here: what it has moved shows up again.
        places = [place for place, entry in entries if entry[0] in (ENTRY_OP, _FILL)]
        whole = places == list(range(self.position() - len(places) + 1, self.position() + 1))
        store.arrivals = self.position() - (len(places) if whole else 0)
        self._trim()
        self._counted = None
        self._full = max(self._ring, 2 * len(entries))

    def _let_go(self, author: bytes, run: list[RunEntry], kept: list[RunEntry]) -> None:
        """Drop what of an author's run is not kept, and note how far it was held and sealed."""
        numbers = {entry[1] for entry in kept if entry[0] == ENTRY_OP}
        seals = {entry[2] for entry in kept if entry[0] == ENTRY_SEAL}
        sealed = [self.store.base.get(author, (0, 0))[1]]
        for kind, first, last, _ in run:
            if kind == ENTRY_OP and first not in numbers:
                self._operations[author].pop(first, None)
                self._places.pop((author, first), None)
            elif kind == ENTRY_SEAL and last not in seals:
                sealed.append(last)
        self.store.base[author] = (self.held(author), max(sealed))
        self._entries[author] = kept

    def _in_order(self, author: bytes, kept: list[RunEntry]) -> list[tuple[int, Entry]]:
        """An author's entries with the places of their arrival, or of what they follow."""
        found: list[tuple[int, Entry]] = []
        place = 0
        for kind, first, last, body in kept:
            if kind == ENTRY_OP:
                place = self._places.get((author, first), place)
            found.append((place, (kind, author, first, last, body)))
        run = {entry[1] for entry in kept if entry[0] == ENTRY_OP}
        for number, body in self._operations[author].items():
            if number not in run:
                found.append((self._places[author, number], (_FILL, author, number, number, body)))
        return found

    def _may_go(self, author: bytes, entry: tuple[int, int, int, bytes], streams: set[bytes]) -> bool:
        kind, _, last, body = entry
        if author == self.author and last >= (self.sealed if kind == ENTRY_SEAL else self.held)(author):
            return False
        if kind != ENTRY_OP:
            return True
        try:
            changes = decode_body(body)[1]
        except HedgerowError:
            return False
        return all(change[0] == CLOCK or change[1] in streams for change in changes)

    def _trim(self) -> None:
        """Let go of the places of arrivals that are gone, from the front."""
        arrivals = self._arrivals
        at = 0
        while at < len(arrivals) and self._places.get(arrivals[at]) != self._base + at + 1:
            at += 1
        del arrivals[:at]
        self._base += at


def _place(entry: tuple[int, Entry]) -> int:
    return entry[0]
