"""The log in memory: the shortest implementation of the Log port; its methods are documented here."""

from . import limits
from .custody.receipt import Receipt
from .custody.skip import RECEIPTED, Skip
from .errors import HedgerowError
from .log import ENTRY_OP, ENTRY_SEAL, ENTRY_SKIP, STATE_RECEIPT, check_entry, check_replace, new_author

# What a store notes beside the entries of the run.
_FILL = limits.const(3)
_DROP = limits.const(4)
_CUT = limits.const(5)
_REPLACE = limits.const(6)
_LEAVE = limits.const(7)
# What an entry takes besides its body, and how much room operations leave to what makes some.
_OVERHEAD = limits.const(8)
_RESERVE = limits.const(8192)


class MemoryStore:
    """What a MemoryLog has committed; a new MemoryLog on it stands for the peer after a power cut."""

    def __init__(self, author: bytes = b"", incarnation: int = 1):
        self.author = author or new_author()
        self.incarnation = incarnation
        self.entries: list = []
        self.state: dict = {}


class MemoryLog:
    """A Log in memory.

    `author` is 8 bytes, `incarnation` counts the restores of this store. Entries are tuples
    (kind, author, first, last, body): an operation (first == last), a seal over held operations, or a
    skip that stands in the place of numbers. They make the author's run; beside it lie operations that
    were filled in. With a `capacity` in bytes, entries above the receipts have no more room than that: it
    stands for a log that takes back what is receipted. While `urgent` is set, operations may use the reserve
    that is there for making room.
    """

    damaged = 0

    def __init__(self, store: MemoryStore | None = None, most_authors: int = 10000, capacity: int = 0):
        self.store = store or MemoryStore()
        self._most_authors = most_authors
        self._capacity = capacity
        self.urgent = False
        self._counted: int | None = None
        self.author = self.store.author
        self.incarnation = self.store.incarnation
        self._authors: list = []
        self._entries: dict = {}
        self._operations: dict = {}
        self._held: dict = {}
        self._sealed: dict = {}
        self._state = dict(self.store.state)
        self._pending: list = []
        self._arrivals: list = []
        self._places: dict = {}
        for entry in self.store.entries:
            self._take(entry)

    def _take(self, entry: tuple) -> None:
        kind, author, first, last, body = entry
        if kind == _LEAVE:
            self._authors.remove(author)
            for table in (self._entries, self._operations, self._held, self._sealed):
                table.pop(author, None)
            return
        if author not in self._entries:
            self._authors.append(author)
            self._entries[author] = []
            self._operations[author] = {}
        if kind == _DROP:
            self._forget(author, first, last)
        elif kind == _CUT:
            self._fall(author, last)
        elif kind == _FILL:
            self._arrive(author, first, body)
        elif kind == _REPLACE:
            self._put_skip(author, first, last, body)
        else:
            self._entries[author].append((kind, first, last, body))
            if kind == ENTRY_SEAL:
                self._sealed[author] = max(last, self.sealed(author))
                return
            self._held[author] = last
            if kind == ENTRY_OP:
                self._arrive(author, first, body)

    def _arrive(self, author: bytes, number: int, body: bytes) -> None:
        self._operations[author][number] = body
        self._arrivals.append((author, number))
        self._places[author, number] = len(self._arrivals)

    def _note(self, kind: int, author: bytes, first: int, last: int, body: bytes) -> None:
        entry = (kind, bytes(author), first, last, bytes(body))
        self._take(entry)
        # What is appended is above every receipt, as a rule; for the rest the entries are counted again.
        self._counted = self._counted + len(body) + _OVERHEAD if self._counted and kind < _FILL else None
        self._pending.append(entry)

    def _make_place(self, author: bytes) -> None:
        """Let the longest silent author go that is spent, if need be; AUTHORS_FULL if none is."""
        if author in self._entries or len(self._entries) < self._most_authors:
            return
        from .spent import frontier, keep_names, owned

        keepers: dict = {}
        for key, _ in self.items(STATE_RECEIPT):
            keepers.setdefault(key[:8], []).append(key[8:])
        staying = owned(self)
        names = keep_names(self)
        for other in sorted(self._authors, key=self._newest):
            if other in staying or self._keeps_any(other, names):
                continue
            if self.held(other) <= frontier(self, other, keepers.get(other, [])):
                return self.let_go(other)
        raise HedgerowError("AUTHORS_FULL", str(self._most_authors))

    def _keeps_any(self, author: bytes, names: list) -> bool:
        """Say whether something of an author is here that was asked for, or for its document's sake."""
        run = {entry[1] for entry in self._entries[author] if entry[0] == ENTRY_OP}
        for number, body in self._operations[author].items():
            if number not in run or [1 for name in names if name in body]:
                return True
        return False

    def _newest(self, author: bytes) -> int:
        """Return the place of the newest arrival of an author, 0 for none."""
        return max([self._places.get((author, number), 0) for number in self._operations[author]] or [0])

    def let_go(self, author: bytes) -> None:
        """Forget an author whose operations are all receipted: its place is another's; receipts stay."""
        self._note(_LEAVE, author, 0, 0, b"")

    def _check_room(self, kind: int, size: int) -> None:
        if self._capacity:
            room = self._capacity - self._open_bytes() - size - _OVERHEAD
            if room < (_RESERVE if kind == ENTRY_OP and not self.urgent else 0):
                raise HedgerowError("LOG_FULL", "%d of %d bytes are left" % (max(room, 0), self._capacity))

    def _open_bytes(self) -> int:
        """Return the bytes of entries that no receipt covers."""
        if self._counted is not None:
            return self._counted
        receipted = frontiers(self.items(STATE_RECEIPT))
        total = 0
        for author in self._authors:
            number = receipted.get(author, 0)
            total += sum([len(e[3]) + _OVERHEAD for e in self._entries[author] if e[2] > number])
        self._counted = total
        return total

    # ---- the run

    def append(self, kind: int, author: bytes, first: int, last: int, body: bytes) -> None:
        """Add an entry; it counts at once and is durable after commit().

        Raises LOG_OUT_OF_ORDER unless it extends what is held (operation, skip) or covers it (seal),
        AUTHORS_FULL for an author over the limit if none is spent (SPEC 5.19), LOG_FULL if there is no room.
        """
        check_entry(kind, first, last, self.held(author))
        self._check_room(kind, len(body))
        self._make_place(author)
        self._note(kind, author, first, last, body)

    def renew(self) -> None:
        """Go on as a new author in a new incarnation, durable on return.

        The author so far is one like others from then on.
        """
        self.commit()
        self.author = self.store.author = new_author()
        self.incarnation = self.store.incarnation = self.incarnation + 1

    def damage(self) -> list:
        """Return [(author, first, last)] of own entries that proved lost since the last call.

        What lies above held may have been used, and is not known. Other logs than those on flash find none;
        `damaged` counts what was found.
        """
        return []

    def commit(self) -> None:
        """Make everything appended and put durable; nothing is acknowledged before this returns."""
        self.store.entries += self._pending
        self.store.state = dict(self._state)
        self._pending = []

    def authors(self) -> list:
        """Return the authors with entries, in the order in which they came."""
        return list(self._authors)

    def placed(self) -> list:
        """Return the authors that take a place, if of some there is nothing any more."""
        return self.authors()

    def held(self, author: bytes) -> int:
        """Return the number up to which every operation is held or skipped, 0 for none."""
        return self._held.get(author, 0)

    def sealed(self, author: bytes) -> int:
        """Return the greatest number that a seal covers, 0 for none."""
        return self._sealed.get(author, 0)

    def read(self, author: bytes, held: int, sealed: int, max_bytes: int) -> list:
        """Return [(kind, first, last, body)] in log order: what a holder of (held, sealed) lacks.

        Operations and skips that reach above `held`, seals that reach above `sealed`; at least one entry
        if there is any, then no more than fit `max_bytes` of bodies. Operations that were dropped are left
        out, and those that were filled in may be.
        """
        found: list = []
        for entry in self._entries.get(author, ()):
            if entry[2] <= (sealed if entry[0] == ENTRY_SEAL else held):
                continue
            max_bytes -= len(entry[3])
            if found and max_bytes < 0:
                break
            found.append(entry)
        return found

    def cut(self, author: bytes, held: int) -> None:
        """Give up what reaches above `held` of another author, so that it can come again."""
        if author == self.author:
            raise HedgerowError("LOG_OUT_OF_ORDER", "own operations are not given up")
        if held < self.held(author):
            self._note(_CUT, author, held, held, b"")

    def _fall(self, author: bytes, held: int) -> None:
        for kind, first, last, _ in self._entries[author]:
            if kind == ENTRY_SKIP and first <= held < last:
                held = first - 1
        kept = []
        for entry in self._entries[author]:
            if entry[2] <= held:
                kept.append(entry)
            elif entry[0] == ENTRY_OP:
                self._operations[author].pop(entry[1], None)
        self._entries[author] = kept
        self._held[author] = held
        self._sealed[author] = max([entry[2] for entry in kept if entry[0] == ENTRY_SEAL] or [0])

    def replace(self, author: bytes, first: int, last: int, body: bytes) -> None:
        """Put a skip in the place of own operations up to what is held, which are gone then.

        So are skips that lie wholly inside, and seals that end inside; one that ends at `last` stays, for the
        next seal names it. LOG_OUT_OF_ORDER for another author's, what is not held, or a part of a skip.
        """
        check_replace(author == self.author, first, last, self.held(author))
        for kind, low, high, _ in self._entries[author]:
            if kind == ENTRY_SKIP and low <= last and high >= first and (low < first or high > last):
                raise HedgerowError("LOG_OUT_OF_ORDER", "a part of the skip %d-%d" % (low, high))
        self._note(_REPLACE, author, first, last, body)

    def _put_skip(self, author: bytes, first: int, last: int, body: bytes) -> None:
        kept: list = []
        skip = (ENTRY_SKIP, first, last, body)
        for entry in self._entries[author]:
            kind, low, high, _ = entry
            if skip and high >= first and kind != ENTRY_SEAL:
                kept.append(skip)
                skip = None
            inside = first <= low and high <= last
            if not inside or (kind == ENTRY_SEAL and high == last):
                kept.append(entry)
        if skip:
            kept.append(skip)
        self._entries[author] = kept
        for number in [number for number in self._operations[author] if first <= number <= last]:
            del self._operations[author][number]

    def storage(self) -> dict:
        """Return how full the log is, in bytes: {"capacity", "used", "free", "open", "receipted", ...}.

        "capacity" and "free" are None where nothing is set. "open" is what no receipt covers; "live" is what
        the log must keep; "carried" what it has moved to keep it, and "dropped" what lies dead in it; logs on
        flash add "sectors", "erases_min", "erases_max", "erases_mean"; "programmed" counts since it was
        opened. "life_days" is None where nothing is known.
        """
        used = sum([len(e[3]) + _OVERHEAD for author in self._authors for e in self._entries[author]])
        count = self._open_bytes()
        return {
            "capacity": self._capacity or None,
            "used": used,
            "free": max(self._capacity - count, 0) if self._capacity else None,
            "open": count,
            "live": used,
            "receipted": used - count,
            "carried": 0,
            "dropped": 0,
            "life_days": None,
        }

    # ---- beside the run

    def fill(self, author: bytes, number: int, body: bytes) -> None:
        """Keep an operation apart from the run: in a hole, or above what is held. No change if it is here."""
        if self.fetch(author, number) is None:
            self._make_place(author)
            self._note(_FILL, author, number, number, body)

    def fetch(self, author: bytes, number: int) -> bytes | None:
        """Return the stored form of an operation that is here, else None."""
        return self._operations.get(author, {}).get(number)

    def seen(self, author: bytes) -> int:
        """Return the greatest number that is here, in the run or beside it, or held; 0 for none."""
        return max([self.held(author)] + list(self._operations.get(author, ())))

    def drop(self, author: bytes, first: int, last: int) -> None:
        """Forget operations for good; their numbers are holes from then on, and frontiers stay."""
        if author in self._entries:
            self._note(_DROP, author, first, last, b"")

    def _forget(self, author: bytes, first: int, last: int) -> None:
        self._entries[author] = [
            entry for entry in self._entries[author] if entry[0] != ENTRY_OP or not first <= entry[1] <= last
        ]
        operations = self._operations[author]
        for number in [number for number in operations if first <= number <= last]:
            del operations[number]

    def missing(self, author: bytes) -> list:
        """Return [(first, last, kind)], ascending: the ranges up to held without an operation here.

        `kind` is that of the skip in their place, RECEIPTED for what was dropped.
        """
        skips = [entry for entry in self._entries.get(author, ()) if entry[0] == ENTRY_SKIP]
        here = sorted(self._operations.get(author, ()))
        found: list = []
        number = 1
        for present in here + [self.held(author) + 1]:
            end = min(present - 1, self.held(author))
            while number <= end:
                kind, last = _reason(skips, number, end)
                if found and found[-1][2] == kind and found[-1][1] == number - 1:
                    found[-1] = (found[-1][0], last, kind)
                else:
                    found.append((number, last, kind))
                number = last + 1
            number = max(number, present + 1)
        return found

    # ---- arrivals

    def position(self) -> int:
        """Return the position of the operation that arrived last, 0 if none did."""
        return len(self._arrivals)

    def since(self, position: int, max_bytes: int, gone: bool = False) -> list:
        """Return [(position, author, number, body)]: operations in the order of their arrival.

        Those behind `position` (0: all), at least one if there is any, then no more than fit `max_bytes`.
        What is not here any more is left out; what came twice comes once, at its last place. What a log has
        moved may show up again behind that. With `gone` come those too that may be here again after a boot.
        """
        found: list = []
        while position < len(self._arrivals):
            author, number = self._arrivals[position]
            position += 1
            body = self.fetch(author, number)
            if body is None or self._places[author, number] != position:
                continue
            max_bytes -= len(body)
            if found and max_bytes < 0:
                break
            found.append((position, author, number, body))
        return found

    # ---- durable values

    def put(self, kind: int, key: bytes, value: bytes) -> None:
        """Set a small durable value; it is durable after commit()."""
        self._state[kind, bytes(key)] = bytes(value)
        if kind == STATE_RECEIPT:
            self._counted = None

    def get(self, kind: int, key: bytes) -> bytes | None:
        """Return a value, or None."""
        return self._state.get((kind, key))

    def items(self, kind: int) -> list:
        """Return [(key, value)] of a kind, ordered by key."""
        return sorted((key[1], value) for key, value in self._state.items() if key[0] == kind)

    def close(self) -> None:
        """Forget what was not committed."""
        self._pending = []


def _reason(skips: list, number: int, end: int) -> tuple:
    """Return (kind, last): why a number is not here, and up to which number, at most `end`, that holds."""
    for _, first, last, body in skips:
        if first <= number <= last:
            return Skip.decode(body).kind, min(last, end)
        if number < first:
            end = min(end, first - 1)
    return RECEIPTED, end


def frontiers(receipts: list) -> dict:
    """Return {author: number} of stored receipts, [(key, value)]; what cannot be read says nothing."""
    found: dict = {}
    for _, value in receipts:
        try:
            receipt = Receipt.decode(value)
        except HedgerowError:
            continue
        found[receipt.author] = max(receipt.number, found.get(receipt.author, 0))
    return found
