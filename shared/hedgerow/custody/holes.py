"""The seen vector: what has been applied, and the holes in it (SPEC 5.4)."""

from .. import limits
from ..errors import HedgerowError


class SeenVector:
    """The seen vector: per author the number up to which all is applied, skipped or listed as a hole."""

    def __init__(self) -> None:
        self._seen: dict = {}
        self._holes: dict = {}

    def seen(self, author: bytes) -> int:
        """Return the number up to which nothing of the author is news."""
        return self._seen.get(author, 0)

    def holes(self, author: bytes) -> list:
        """Return [(first, last)], ascending and apart."""
        return list(self._holes.get(author, ()))

    def covers(self, author: bytes, number: int) -> bool:
        """Say whether an operation has been seen and is no hole: it must not be applied again."""
        if number > self.seen(author):
            return False
        for first, last in self._holes.get(author, ()):
            if first <= number <= last:
                return False
        return True

    def advance(self, author: bytes, number: int) -> None:
        """Count an operation as seen; what it leaps over becomes a hole, one in a hole fills it."""
        seen = self.seen(author)
        if number > seen:
            if number > seen + 1:
                self._add_hole(author, seen + 1, number - 1)
            self._seen[author] = number
            return
        kept: list = []
        for first, last in self._holes.get(author, ()):
            if first <= number <= last:
                kept += [hole for hole in ((first, number - 1), (number + 1, last)) if hole[0] <= hole[1]]
            else:
                kept.append((first, last))
        self._set_holes(author, kept)

    def lose(self, author: bytes, first: int, last: int) -> None:
        """List a seen range as a hole: evicted, withheld, or lost with the flash."""
        last = min(last, self.seen(author))
        if first <= last:
            self._add_hole(author, first, last)

    def _add_hole(self, author: bytes, first: int, last: int) -> None:
        merged: list = []
        for hole in self._holes.get(author, ()):
            if hole[1] + 1 < first or last + 1 < hole[0]:
                merged.append(hole)
            else:
                first = min(first, hole[0])
                last = max(last, hole[1])
        merged.append((first, last))
        merged.sort()
        self._set_holes(author, merged)

    def _set_holes(self, author: bytes, holes: list) -> None:
        if len(holes) > limits.MAX_HOLES:
            raise HedgerowError("HOLES_FULL", str(len(holes)))
        if holes:
            self._holes[author] = holes
        elif author in self._holes:
            del self._holes[author]
