"""Where an author's entries are: few numbers per author, and a bound for all authors together."""

from array import array

from hedgerow.limits import const

# Sectors noted for all authors together.
MAX_INDEX = const(1024)


class AuthorIndex:
    """What the log knows of one author: `slot`, `held`, `sealed`, and in which sectors it begins with which
    number. `here` is the sector in which its frames may follow without another author frame, 0 for none.

    `seqs[i]` is a sector in which the author has entries, `floors[i]` the number it held before the first
    of them there; both rise. Sectors may be missing once it is `thinned`, then searches begin earlier. `bytes`
    is what the frames of its run take.
    """

    def __init__(self, slot: int):
        self.slot = slot
        self.here = 0
        self.held = 0
        self.sealed = 0
        self.bytes = 0
        self.thinned = False
        self.seqs = array("I")
        self.floors = array("I")

    def introduced(self, seq: int, held: int) -> None:
        """Note that entries of the author follow in sector `seq`."""
        self.here = seq
        self.seqs.append(seq)
        self.floors.append(held)

    def start(self, number: int, tail: int) -> int:
        """Return the sector to begin with in search of what follows on `number`."""
        found = tail
        for i, floor in enumerate(self.floors):
            if floor > number:
                break
            found = self.seqs[i]
        return max(found, tail)

    def after(self, seq: int) -> int:
        """Return the next sector after `seq` that may have entries of the author."""
        if not self.thinned:
            for known in self.seqs:
                if known > seq:
                    return known
            return 1 << 32
        return seq + 1

    def last_sector(self) -> int:
        """Return the newest sector with entries of the author, 0 for none."""
        return self.seqs[-1] if self.seqs else 0

    def fall(self, held: int, sealed: int) -> None:
        """Let both frontiers fall, and forget the sectors that begin above them."""
        self.here = 0
        self.held = held
        self.sealed = sealed
        self._keep([i for i, floor in enumerate(self.floors) if floor <= held])

    def thin(self) -> None:
        """Forget every other sector, but not the last: searches begin earlier then."""
        self.thinned = True
        self._keep([i for i in range(len(self.seqs)) if (len(self.seqs) - i) & 1])

    def drop_below(self, tail: int) -> None:
        """Forget the sectors below `tail`."""
        if self.seqs and self.seqs[0] < tail:
            self._keep([i for i, seq in enumerate(self.seqs) if seq >= tail])

    def _keep(self, places: list) -> None:
        self.seqs = array("I", [self.seqs[i] for i in places])
        self.floors = array("I", [self.floors[i] for i in places])


def bound(authors: dict, limit: int) -> None:
    """Thin the longest indexes until all of them together have at most `limit` sectors."""
    while sum([len(index.seqs) for index in authors.values()]) > limit:
        longest = None
        for index in authors.values():
            if longest is None or len(index.seqs) > len(longest.seqs):
                longest = index
        if len(longest.seqs) < 2:
            return
        longest.thin()
