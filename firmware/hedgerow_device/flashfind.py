"""Finding the newest sector of a ring (SPEC 9.5). Done once, then unloaded."""

from hedgerow.limits import const

from .flashring import Header

# Sectors in a row without a header that a search steps over.
_PASS = const(5)


def find(ring: object) -> Header | None:
    """Find the newest sector and go there; return its header, None if the device holds no log."""
    newest = search(ring) or _look_everywhere(ring)
    ring.mended = {}
    ring.forget_gaps(True)
    slot = newest.seq + 1 if newest else 0
    if newest is None or not (ring.blank(slot % ring.count) or ring.header_in(slot % ring.count)):
        from .flashrepair import mend_newest

        newest = mend_newest(ring, newest)
        if newest:
            ring.mended[newest.seq] = newest
    if newest:
        ring.seq = newest.seq
        ring.tail = max(newest.tail, newest.seq - ring.count + 1)
        ring.erases = newest.erases
        ring.author = newest.author
        ring.incarnation = newest.incarnation
        ring.checkpoint = newest.checkpoint
        ring.end = ring.size
    return newest


def search(ring: object) -> Header | None:
    """Find the newest sector by halves: those of its lap come first; None if that is not clear.

    What was passed over, torn or erased ahead says nothing, not even if it has an older header: the
    sectors behind it do.
    """
    lap = -1
    for slot in range(1, _PASS + 2):
        header = ring.header_in(slot)
        if header and header.seq % ring.count == slot and header.seq - slot > lap:
            lap = header.seq - slot
    header = ring.header_in(0)
    if header and header.seq == lap + ring.count:
        return header
    low = 0
    high = ring.count
    newest = None
    while lap >= 0 and high - low > 1:
        middle = at = (low + high) // 2
        header = None
        clear = lap == 0
        while at <= middle + _PASS and at < high:
            header = ring.header_in(at)
            if header and header.seq == lap + at:
                break
            clear = clear or header is not None
            header = None
            at += 1
        if header:
            low = at
            newest = header
        elif clear or at == high:
            high = middle
        else:
            return None
    return newest


def _look_everywhere(ring: object) -> Header | None:
    newest = None
    for slot in range(ring.count):
        header = ring.header_in(slot)
        if header and header.seq % ring.count == slot and (newest is None or header.seq > newest.seq):
            newest = header
    return newest
