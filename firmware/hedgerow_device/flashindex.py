"""Where an author's entries are: few numbers per author, and a bound for all authors together."""

from array import array

from hedgerow.limits import const

# Sectors noted for all authors together.
MAX_INDEX = const(1024)

# No author comes to this number.
_ABOVE = const(0xFFFFFFFF)

# What the summary of a sector may ask for that has one author and few values.
MAX_FRESH = const(128)
# The least that is planned for a slice.
MIN_SLICE = const(48)
# A summary's frame; a sector that asks for a longer one has none.
MAX_SUMMARY = const(900)
# What stays free where a sector does without a summary: a reclaimed and a clean frame.
FORGONE = const(48)
# Of a summary: its frame, the fixed numbers in it, a reclaimed and a clean frame behind.
_SUMMARY = const(48)


class AuthorIndex:
    """What the log knows of one author: `slot`, `held`, `sealed`, and in which sectors it begins with which
    number. `here` is the sector in which its frames may follow without another author frame, 0 for none;
    `touched` the sector whose summary names it, `used` the bytes of its entries there, `low` and `high` the
    bounds of what is beside the run there, 0 for nothing; `lowest` and `highest` those in the whole ring.

    `seqs[i]` is a sector in which the author has entries, `floors[i]` the number it held before the first
    of them there; both rise. A last floor may have no sector as yet. Sectors may be missing once it is
    `thinned`, then searches begin earlier.
    """

    # The sector that was written when something of a receipted author was found to stay (flashplaces).
    stays = 0

    def __init__(self, slot: int):
        self.slot = slot
        self.here = self.touched = self.used = self.low = self.high = self.lowest = self.highest = 0
        self.held = 0
        self.sealed = 0
        self.thinned = False
        self.seqs = array("I")
        self.floors = array("I")

    def introduced(self, seq: int, held: int) -> None:
        """Note that entries of the author follow in sector `seq`; where memory runs out nothing is noted."""
        if not self.seqs or self.seqs[-1] != seq:
            if len(self.floors) == len(self.seqs):
                self.floors.append(held)
            # Above all numbers, should memory run out before the sector has its place.
            self.floors[-1] = _ABOVE
            self.seqs.append(seq)
            self.floors[-1] = held
        self.here = seq

    def touch(self, seq: int) -> bool:
        """Have the summary of sector `seq` name the author; say whether that is new."""
        if self.touched == seq:
            return False
        self.touched = seq
        self.used = self.low = self.high = 0
        return True

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


class Marks:
    """What the summary of the sector that is written is going to say, and how far the checkpoint has come.

    Slots of `new` authors, `reserve` bytes kept free for the summary, of which `plan` are for a slice.
    `begun` is the sector with the first slice of the cycle under way, `whole` that of the last complete one,
    0 for none; the next slice begins in `slot` behind `after`, its last sector (-1: with the author itself),
    or with slot 64 behind the position `after`.
    """

    def __init__(self):
        self.new = bytearray()
        self.forgone = False
        self.reserve = self.plan = 0
        self.begun = self.whole = self.slot = 0
        self.after = -1

    def begin(self, plan: int) -> None:
        """Begin a sector whose slice takes about `plan` bytes."""
        self.new = bytearray()
        self.plan = plan
        self.forgone = False
        self.reserve = plan + _SUMMARY

    def forgo(self) -> None:
        """Keep no room for a summary of this sector."""
        self.forgone = True
        self.reserve = FORGONE

    def touched(self, index: AuthorIndex, seq: int) -> None:
        """Have the summary of sector `seq`, which is written, name an author."""
        if index.touch(seq):
            self.take(5 + 2 * size_of(index.held + 0x800))

    def came(self, slot: int) -> None:
        """Have the summary give the author of a slot."""
        self.new.append(slot)
        self.take(9)

    def take(self, size: int) -> None:
        """Keep so much more room for the summary."""
        # A longer summary is not written.
        if self.forgone:
            return
        self.reserve = min(self.reserve + size, MAX_SUMMARY + _SUMMARY)

    def noted(self) -> None:
        """Keep room for the position of a control frame."""
        self.take(4)


def size_of(number: int) -> int:
    """Return how many bytes a varint takes."""
    size = 1
    while number > 0x7F:
        number >>= 7
        size += 1
    return size


def bound(authors: dict, limit: int) -> None:
    """Keep at most `limit` sectors in all indexes together."""
    if sum([len(index.seqs) for index in authors.values()]) > limit:
        from .flashthin import thin

        thin(authors, limit)
