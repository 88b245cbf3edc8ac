"""What an author's index (flashindex) is asked for seldom: by mounts, cuts, and what is beside the runs."""

from array import array


def keep(index: object, places: list) -> None:
    """Forget all sectors but those at some places of the lists; none where memory runs out."""
    seqs = array("I", [index.seqs[i] for i in places])
    index.floors = array("I", [index.floors[i] for i in places])
    index.seqs = seqs


def drop_below(index: object, tail: int) -> None:
    """Forget the sectors below `tail`."""
    if index.seqs and index.seqs[0] < tail:
        keep(index, [i for i, seq in enumerate(index.seqs) if seq >= tail])


def fall(index: object, held: int, sealed: int) -> None:
    """Let both frontiers fall, and forget the sectors that begin above them."""
    index.here = 0
    index.held = held
    index.sealed = sealed
    keep(index, [i for i, floor in enumerate(index.floors) if floor <= held])


def tidy(index: object, tail: int) -> None:
    """Put sectors that came in any order in order, without those below `tail` and above a later fall."""
    pairs = sorted([(s, f) for s, f in zip(index.seqs, index.floors) if s >= tail and f <= index.held])
    kept: list = []
    for seq, floor in pairs:
        while kept and kept[-1][1] > floor:
            kept.pop()
        if not kept or kept[-1][0] != seq:
            kept.append((seq, floor))
    seqs = array("I", [pair[0] for pair in kept])
    index.floors = array("I", [pair[1] for pair in kept])
    index.seqs = seqs


def state(index: object) -> tuple:
    """Return what a cut lets fall, for restore()."""
    return index.here, index.held, index.sealed, index.seqs, index.floors


def restore(index: object, before: tuple) -> None:
    """Undo what a cut did that the numbers know already."""
    index.here, index.held, index.sealed, index.seqs, index.floors = before


def thin(authors: dict, limit: int) -> None:
    """Thin the longest indexes until all of them together have at most `limit` sectors.

    Of a thinned one every other sector is forgotten, but not the last: searches begin earlier then.
    """
    while sum([len(index.seqs) for index in authors.values()]) > limit:
        longest = None
        for index in authors.values():
            if longest is None or len(index.seqs) > len(longest.seqs):
                longest = index
        if len(longest.seqs) < 2:
            return
        longest.thinned = True
        keep(longest, [i for i in range(len(longest.seqs)) if (len(longest.seqs) - i) & 1])


def span(index: object, first: int, last: int) -> None:
    """Note that something of these numbers is beside the run in the ring."""
    index.lowest = min(index.lowest or first, first)
    index.highest = max(index.highest, last)


def noted_beside(log: object, index: object, first: int, last: int) -> None:
    """See flashsummary: something of these numbers is beside the run in the sector that is written."""
    if not index.low:
        log.marks.take(10)
    index.low = min(index.low or first, first)
    index.high = max(index.high, last)
    span(index, first, last)


def last_sector(index: object) -> int:
    """Return the newest sector with entries of the author, 0 for none."""
    return index.seqs[-1] if index.seqs else 0
