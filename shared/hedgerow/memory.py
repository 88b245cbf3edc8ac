"""The log in memory: the shortest implementation of the Log port; its methods are documented here."""

from .errors import HedgerowError
from .log import ENTRY_SEAL, check_entry, new_author


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
    skip that stands in the place of numbers.
    """

    def __init__(self, store: MemoryStore | None = None, most_authors: int = 10000):
        self.store = store or MemoryStore()
        self._most_authors = most_authors
        self.author = self.store.author
        self.incarnation = self.store.incarnation
        self._entries: dict = {}
        self._held: dict = {}
        self._sealed: dict = {}
        self._state = dict(self.store.state)
        self._pending: list = []
        self._authors: list = []
        for entry in self.store.entries:
            self._take(entry)

    def _take(self, entry: tuple) -> None:
        kind, author, first, last, body = entry
        if author not in self._entries:
            self._authors.append(author)
            self._entries[author] = []
        self._entries[author].append((kind, first, last, body))
        if kind == ENTRY_SEAL:
            self._sealed[author] = max(last, self.sealed(author))
        else:
            self._held[author] = last

    def append(self, kind: int, author: bytes, first: int, last: int, body: bytes) -> None:
        """Add an entry; it counts at once and is durable after commit().

        Raises LOG_OUT_OF_ORDER unless it extends what is held (operation, skip) or covers it (seal), and
        AUTHORS_FULL for an author over the limit.
        """
        check_entry(kind, first, last, self.held(author))
        if author not in self._entries and len(self._authors) >= self._most_authors:
            raise HedgerowError("AUTHORS_FULL", str(self._most_authors))
        entry = (kind, bytes(author), first, last, bytes(body))
        self._take(entry)
        self._pending.append(entry)

    def commit(self) -> None:
        """Make everything appended and put durable; nothing is acknowledged before this returns."""
        self.store.entries += self._pending
        self.store.state = dict(self._state)
        self._pending = []

    def authors(self) -> list:
        """Return the authors with entries, in the order in which they came."""
        return list(self._authors)

    def held(self, author: bytes) -> int:
        """Return the number up to which every operation is held or skipped, 0 for none."""
        return self._held.get(author, 0)

    def sealed(self, author: bytes) -> int:
        """Return the greatest number that a seal covers, 0 for none."""
        return self._sealed.get(author, 0)

    def read(self, author: bytes, held: int, sealed: int, max_bytes: int) -> list:
        """Return [(kind, first, last, body)] in log order: what a holder of (held, sealed) lacks.

        Operations and skips that reach above `held`, seals that reach above `sealed`; at least one entry
        if there is any, then no more than fit `max_bytes` of bodies.
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

    def put(self, kind: int, key: bytes, value: bytes) -> None:
        """Set a small durable value; it is durable after commit()."""
        self._state[kind, bytes(key)] = bytes(value)

    def get(self, kind: int, key: bytes) -> bytes | None:
        """Return a value, or None."""
        return self._state.get((kind, key))

    def items(self, kind: int) -> list:
        """Return [(key, value)] of a kind, ordered by key."""
        return sorted((key[1], value) for key, value in self._state.items() if key[0] == kind)

    def close(self) -> None:
        """Forget what was not committed."""
        self._pending = []
