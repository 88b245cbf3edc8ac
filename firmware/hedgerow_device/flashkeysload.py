"""Opening the document index on flash, from its newest keys frame back (SPEC 9.16)."""

from array import array

from hedgerow.codec.varint import read_uint
from hedgerow.errors import HedgerowError

from . import flashframes as frames
from .flashkeys import CHUNK, PLACE, SLICE


def load(index: object, log: object) -> None:
    """Learn where the chains of a FlashIndex begin; LOG_DAMAGED if a frame is not whole."""
    ring = log.ring
    lsn = log.newest_keys
    left = -1
    known = bytearray()
    while left and lsn and lsn >= ring.tail * ring.size:
        reader = frames.Reader(ring, lsn // ring.size, lsn % ring.size)
        if not reader.next() or reader.type != frames.KEYS:
            raise HedgerowError("LOG_DAMAGED", "a keys frame in sector %d" % (lsn // ring.size))
        # No longer than the window, and just read.
        i = ring.fetch(reader.seq, reader.at, reader.size)
        data = ring.window[i : i + reader.size]
        numbers = []
        i = 0
        for _ in range(5):
            number, i = read_uint(data, i)
            numbers.append(number)
        if left < 0:
            left = _begin(index, lsn, numbers)
            known = bytearray(left >> 3)
        left -= _learn_frame(index, known, data, i, lsn, lsn + reader.at - reader.start, numbers)
        lsn = lsn - numbers[3] if numbers[3] else 0


def _begin(index: object, lsn: int, numbers: list) -> int:
    """Take over what the newest frame says of the whole index; return how many chains there are."""
    count = numbers[0] * SLICE
    if count > index.most or count & (count - 1) or not count:
        raise HedgerowError("LOG_DAMAGED", "%d chains" % count)
    index.count = count
    size = min(count, CHUNK)
    empty = bytes(4 * size)
    index.heads = [array("I", empty) for _ in range(0, count, size)]
    index.safe = index.durable = lsn - numbers[2]
    index.made = numbers[4]
    index.newest = lsn
    index.cursor = (numbers[1] + 1) * SLICE & (count - 1)
    return count


def _learn_frame(
    index: object, known: bytearray, data: memoryview, i: int, lsn: int, body: int, numbers: list
) -> int:
    """Take the beginnings of chains from a frame, where no younger one knows better; return how many.

    `known` has a bit for each chain; `body` is where the frame's body stands.
    """
    begins: list = []
    for _ in range(SLICE):
        back, i = read_uint(data, i)
        begins.append(back and (lsn - back) & PLACE)
    newest: dict = {}
    while i < len(data):
        here = (body + i) & PLACE
        i = index.parse(data, i, here)
        newest[index.key & (index.count - 1)] = here
    found = 0
    for chain in newest:
        found += _learn(index.heads, known, chain, newest[chain])
    for i in range(SLICE):
        # There may be more chains by now; what was one then began as this one.
        for chain in range(numbers[1] * SLICE + i, index.count, numbers[0] * SLICE):
            found += _learn(index.heads, known, chain, begins[i])
    return found


def _learn(heads: list, known: bytearray, chain: int, head: int) -> bool:
    if known[chain >> 3] >> (chain & 7) & 1:
        return False
    known[chain >> 3] |= 1 << (chain & 7)
    heads[chain >> 8][chain & 0xFF] = head
    return True
