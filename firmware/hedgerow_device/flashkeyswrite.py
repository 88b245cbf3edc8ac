"""Writing the document index on flash (SPEC 9.16): the frames with its entries, and long chains anew."""

from array import array

from hedgerow.codec.varint import write_uint
from hedgerow.errors import HedgerowError
from hedgerow.limits import const

from . import flashframes as frames
from .flashkeys import CHUNK, ENTRY, OVERHEAD, PLACE, REMOVED, SLICE, check
from .flashring import NotTaken

# Once so many entries for each chain have been made, there become four times as many: each time, what a chain
# already holds gets into the way of all that come from it.
_LOAD = const(2)
_PARTS_LOG2 = const(2)
_KEYS = const(8)
_SPARE = const(3)


def write(index: object, count: int, cut: int) -> bool:
    """Program a frame with the first entries of the buffer; False if that cannot be done now.

    They stay in the buffer if the sector does not take them: the next one may. `cut` is a chain that
    begins anew with them, -1 for none. The position goes with the last of them.
    """
    log = index.log
    ring = index.ring
    if cut < 0 and index.made > _LOAD * index.count and index.count < index.most:
        _part(index)
    try:
        log.room(OVERHEAD + count * ENTRY, None, _SPARE)
    except HedgerowError:
        # Most likely LOG_FULL. The log says so to who writes what matters; it is not asked again soon.
        index.refused = ring.seq + ring.tail
        return False
    start = ring.seq * ring.size + ring.end
    position = index.safe if count * 4 == len(index.buffer) else index.durable
    lead = 2
    body, heads = _body(index, start, lead, count, cut, position)
    if len(body) < 0x7F:
        lead = 1
        body, heads = _body(index, start, lead, count, cut, position)
    try:
        ring.program(frames.control_frame(ring.seq, _KEYS, body))
    except NotTaken:
        return True
    except HedgerowError:
        return False
    for chain in heads:
        index.heads[chain >> 8][chain & 0xFF] = heads[chain] & PLACE
    index.buffer = index.buffer[4 * count :]
    index.durable = position
    index.newest = log.newest_keys = start
    index.cursor = (index.cursor + SLICE) & (index.count - 1)
    return True


def _part(index: object) -> None:
    """Let each chain go on as several, which share what is there."""
    for _ in range(_PARTS_LOG2):
        if index.count < index.most:
            if index.count < CHUNK:
                index.heads[0].extend(index.heads[0])
            else:
                index.heads += [array("I", heads) for heads in index.heads]
            index.count *= 2


def _body(index: object, start: int, lead: int, count: int, cut: int, position: int) -> tuple:
    """Return (body of the frame that begins at `start`, newest place of each chain in it)."""
    ring = index.ring
    body = bytearray()
    write_uint(body, index.count // SLICE)
    write_uint(body, index.cursor // SLICE)
    write_uint(body, max(0, start - position))
    write_uint(body, start - index.newest if index.newest else 0)
    write_uint(body, index.made)
    for chain in range(index.cursor, index.cursor + SLICE):
        head = index.head(chain)
        # What is dead would look young again after 2**30 bytes.
        index.heads[chain >> 8][chain & 0xFF] = head
        write_uint(body, start - index.full(head) if head else 0)
    heads: dict = {}
    buffer = index.buffer
    for i in range(0, 4 * count, 4):
        key, place = buffer[i], buffer[i + 3]
        chain = key & (index.count - 1)
        before = heads.get(chain, 0)
        if not before and chain != cut and index.head(chain):
            before = index.full(index.head(chain))
        here = start + lead + 1 + len(body)
        entry = bytearray((0, key >> 24, key >> 16 & 0xFF, key >> 8 & 0xFF, key & 0xFF, buffer[i + 1]))
        write_uint(entry, buffer[i + 2])
        write_uint(entry, here - before if before else 0)
        write_uint(entry, here - index.full(place) if place else 0)
        entry[0] = check(memoryview(entry)[1:], ring.seq)
        body.extend(entry)
        heads[chain] = here
    return body, heads


def renew(index: object, chain: int) -> None:
    """Write the entries of a chain that count anew, as its only ones, if they fit one frame."""
    index.long = -1
    index.flush()
    if index.log.collecting or index.busy or index.buffer:
        return
    known: dict = {}
    live = array("I")
    place = index.head(chain)
    while place:
        place = index.look_at(place)
        name = (index.key, index.where & 0x3F, index.number)
        if name not in known:
            known[name] = True
            if not index.where & REMOVED and (not index.at or index.alive(index.at)):
                live.extend(array("I", (index.key, index.where, index.number, index.at)))
    if 0 < len(live) <= 4 * index.room:
        index.buffer = live
        index.busy = True
        try:
            write(index, len(live) // 4, chain)
        finally:
            index.busy = False
