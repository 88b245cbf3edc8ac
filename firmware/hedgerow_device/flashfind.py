"""Finding a ring's newest sector and its end, and beginning a log (SPEC 9.5). Done once, then unloaded."""

from binascii import crc32

from hedgerow.limits import const
from hedgerow.log import ENTRY_SEAL, ENTRY_SKIP

from .flashring import PASSED, Header

# Sectors in a row without a header that a search steps over.
_PASS = const(5)
_FIRST = const(1)
# How often the last frame is read until it is whole once more.
_TRIES = const(16)


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


def step_back(ring: object) -> None:
    """Give up the newest sector, which holds nothing of its own: it will be erased and used again.

    Its header has said where the sector before it ends, and may say so again: nothing is added there.
    """
    here = ring.header(ring.seq)
    passed = here and here.flags & PASSED
    seq = ring.seq - 1
    while passed and seq > ring.tail and ring.header(seq) is None:
        seq -= 1
    ring.end = ring.end_of(seq)
    ring.seq = seq
    before = ring.header(seq)
    ring.erases = before.erases if before else ring.erases
    ring.checkpoint = before.checkpoint if before else 0
    ring.closed = True
    ring.heal = None
    ring.ended = (0, 0)
    ring.forget()


def erased(ring: object, seq: int, at: int) -> bool:
    """Say whether every byte of a sector from `at` on is erased."""
    while at < ring.size:
        take = min(len(ring.window), ring.size - at)
        start = ring.fetch(seq, at, take)
        for value in ring.window[start : start + take]:
            if value != 0xFF:
                return False
        at += take
    return True


def begin(ring: object, author: bytes) -> None:
    """Begin a new log."""
    ring.author = author
    ring.incarnation = 1
    ring.tail = _FIRST
    ring.seq = _FIRST - 1
    ring.open(0)


def _is_whole(frame: bytes, seq: int, held: int) -> bool:
    """Say whether these bytes are a frame of sector `seq`, padded or not, of an author that holds `held`."""
    lead = 1 if frame[0] < 0x80 else 2
    end = lead + (frame[0] if lead == 1 else (frame[0] & 0x7F) << 8 | frame[1])
    check = (crc32(memoryview(frame)[:end], seq) ^ held) & 0xFFFFFF
    return int.from_bytes(frame[end : end + 3], "big") == check


def look_at_end(ring: object, reader: object) -> bool:
    """Say whether all behind the last frame of the newest sector is erased; have that frame programmed again
    as it was read: its cells may read as whole now and as torn the next time.
    """
    blank = erased(ring, ring.seq, reader.end)
    start = reader.start
    if not start:
        return blank
    held = 0
    if reader.type <= ENTRY_SKIP:
        held = reader.held[reader.slot] if reader.type == ENTRY_SEAL else reader.first - 1
    for _ in range(_TRIES):
        # That is in the window yet, unless something else was read in between.
        where = ring.fetch(ring.seq, start, reader.end - start)
        frame = bytes(ring.window[where : where + reader.end - start])
        if _is_whole(frame, ring.seq, held):
            ring.heal = (start, frame)
            return blank
        ring.forget()
    return False


def look(ring: object, window: int, take: int) -> None:
    """Read through a window of `window` bytes, `take` of them at a time."""
    ring.forget()
    ring.window = memoryview(bytearray(window))
    ring.take = take
