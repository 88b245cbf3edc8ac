"""Which operations name a document by its id: the document index in RAM (SPEC 5.12).

A key is the first 30 bits of a hash of a document's collection and id, so two documents may share one. A
log that can keep an index has one as its `index`; for another log the documents are found with a RamIndex.
Every implementation passes `check_index` of tests/core/index_contract.py.
"""

from . import limits

_SHARDS = limits.const(16)


class RamIndex:
    """The shortest implementation of the document index; its methods are documented here.

    `position` is the log's position up to which all operations have been entered. Who has caught up sets it,
    once, and from then on enters what arrives; an index beside a log moves it on by itself.
    """

    def __init__(self):
        self.position = 0
        self._authors: list = []
        self._slots: dict = {}
        # A dictionary grows by a copy: many small ones never need a large free piece of the heap.
        self._shards: list = [{} for _ in range(_SHARDS)]

    def get(self, key: int) -> list:
        """Return [(author, number)] of the operations under a key, in any order."""
        return [self._dot(packed) for packed in _packed(self._shards[key % _SHARDS].get(key, ()))]

    def add(self, key: int, author: bytes, number: int) -> None:
        """Put an operation under a key; again changes nothing."""
        shard = self._shards[key % _SHARDS]
        packed = self._pack(author, number)
        before = _packed(shard.get(key, ()))
        if packed not in before:
            shard[key] = before + (packed,) if before else packed

    def remove(self, key: int, author: bytes, number: int) -> None:
        """Take an operation away from under a key, if it is there."""
        shard = self._shards[key % _SHARDS]
        packed = self._pack(author, number)
        left = tuple([other for other in _packed(shard.get(key, ())) if other != packed])
        if left:
            shard[key] = left if len(left) > 1 else left[0]
        else:
            shard.pop(key, None)

    def noted(self) -> None:
        """Hear that the operation which came in last has been entered whole."""

    def clear(self) -> None:
        """Forget everything, to be filled anew from the start of the log."""
        self.__init__()

    def _pack(self, author: bytes, number: int) -> int:
        # Up to slot 63 and number 0xffffff this is a small integer, which lies in the dictionary itself.
        # A slot may be any number: what is above 16 bits of it stands above the number.
        slot = self._slots.get(author)
        if slot is None:
            slot = self._slots[bytes(author)] = len(self._authors)
            self._authors.append(bytes(author))
        return slot >> 16 << 48 | number >> 24 << 40 | (slot & 0xFFFF) << 24 | number & 0xFFFFFF

    def _dot(self, packed: int) -> tuple:
        slot = packed >> 48 << 16 | packed >> 24 & 0xFFFF
        return self._authors[slot], (packed >> 40 & 0xFF) << 24 | packed & 0xFFFFFF


def _packed(found: object) -> tuple:
    return found if isinstance(found, tuple) else (found,)
