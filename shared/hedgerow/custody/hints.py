"""Receipts that nothing shows to be their keeper's, where they say more than was heard of their author."""

from .. import limits
from .receipt import Receipt


class Hints:
    """Counts each up to where its author was heard of, until the next boot (SPEC 5.6.6)."""

    def __init__(self):
        # author -> [[receipt, up to which number it counts]]
        self._entries: dict = {}

    def of(self, author: bytes) -> list:
        """Return the hints over an author."""
        return [hint for hint, _ in self._entries.get(author, ())]

    def numbers(self, author: bytes) -> list:
        """Return [(keeper, up to which number its hint counts)] of an author."""
        return [(hint.keeper, number) for hint, number in self._entries.get(author, ())]

    def note(self, receipt: Receipt, heard: int) -> bool:
        """Keep a hint that counts up to `heard`; say whether it says or counts for more than one before."""
        if receipt.author not in self._entries and len(self._entries) >= limits.MAX_AUTHORS:
            self._entries.clear()
        entries = self._entries.setdefault(receipt.author, [])
        for entry in entries:
            if entry[0].keeper == receipt.keeper:
                before = entry[0].number, entry[1]
                # The last one: the greatest would be whatever somebody made up.
                entry[0] = receipt
                entry[1] = max(entry[1], heard)
                return receipt.number > before[0] or entry[1] > before[1]
        if len(entries) >= limits.MAX_RECEIPTS:
            entries.pop(0)
        entries.append([receipt, heard])
        return True

    def reach(self, ledger: object, author: bytes, heard: int, bridge: bool) -> None:
        """More was heard of an author: hints that say no more than that count whole; with `bridge`, where the
        operation behind comes, the others up to there.
        """
        for entry in self._entries.pop(author, ()):
            if entry[0].number <= heard:
                ledger.take(entry[0], True, heard)
            else:
                self._entries.setdefault(author, []).append(entry)
                if bridge:
                    entry[1] = max(entry[1], heard)
