"""The index of documents in RAM: which operations name a document by an id (SPEC 5.12).

A key maps to one number, operation number and author slot packed, or to a tuple of them: a document with one
operation costs one entry of a dict and no object besides.
"""

_SLOT_BITS = 14
_SLOT_MASK = (1 << _SLOT_BITS) - 1


class RamIndex:
    """`complete` says that it covers the whole log; a new one does not yet."""

    def __init__(self) -> None:
        self.complete = False
        self._entries: dict = {}
        self._authors: list = []

    def get(self, key: int) -> list:
        """Return [(author, number)] under a key, in the order in which they were added."""
        found = self._entries.get(key)
        if found is None:
            return []
        if isinstance(found, int):
            found = (found,)
        return [(self._authors[packed & _SLOT_MASK], packed >> _SLOT_BITS) for packed in found]

    def add(self, key: int, author: bytes, number: int) -> None:
        """Enter an operation under a key; again is no change."""
        packed = number << _SLOT_BITS | self._slot(author)
        found = self._entries.get(key)
        if found is None:
            self._entries[key] = packed
        elif isinstance(found, int):
            if found != packed:
                self._entries[key] = (found, packed)
        elif packed not in found:
            self._entries[key] = found + (packed,)

    def remove(self, key: int, author: bytes, number: int) -> None:
        """Take an operation out from under a key."""
        found = self._entries.get(key)
        if found is None or author not in self._authors:
            return
        packed = number << _SLOT_BITS | self._slot(author)
        left = [entry for entry in ((found,) if isinstance(found, int) else found) if entry != packed]
        if not left:
            del self._entries[key]
        else:
            self._entries[key] = left[0] if len(left) == 1 else tuple(left)

    def clear(self) -> None:
        """Forget everything."""
        self._entries = {}
        self._authors = []
        self.complete = False

    def _slot(self, author: bytes) -> int:
        if author not in self._authors:
            self._authors.append(bytes(author))
        return self._authors.index(author)
