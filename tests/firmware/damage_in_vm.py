"""A damaged log read over and renewed in the MicroPython VM: damage_in_vm.py PATH..."""

import gc
import sys

sys.path[:0] = sys.argv[1:]

from nor import Nor  # noqa: E402

from hedgerow.codec.schema import STREAM  # noqa: E402  (the path comes first)
from hedgerow.log import ENTRY_OP  # noqa: E402
from hedgerow.peer import Peer  # noqa: E402
from hedgerow_device import flashframes as frames  # noqa: E402
from hedgerow_device.counting import Counting  # noqa: E402
from hedgerow_device.flashlog import FlashLog  # noqa: E402
from hedgerow_device.flashring import HEADER  # noqa: E402

KINDS = {"readings": STREAM}

nor = Nor(16, 1024)
board = Peer(FlashLog(nor), 0, kinds=KINDS)
author = board.author
readings = Counting(board, "readings")
for at in range(60):
    board.insert("readings", {"n": readings.count + 1, "t": at}, at)
places = []
for seq in range(board.log.ring.tail, board.log.ring.seq + 1):
    reader = frames.Reader(board.log.ring, seq, HEADER)
    while reader.next():
        if reader.type == ENTRY_OP:
            places.append((seq % nor.count * nor.size + reader.start, reader.last))
for bit in range(8):
    cells = bytearray(nor.cells)
    place, number = places[20 + bit]
    cells[place + 3 + bit] ^= 1 << bit
    gc.collect()
    board = Peer(FlashLog(Nor(16, 1024, cells)), 0, kinds=KINDS)
    assert board.author != author and board.former == {author: 61}, board.former
    assert board.lost(author) == [(number, number)]
    assert len([1 for entry in board.log.read(author, 0, 0, 1 << 20) if entry[0] == ENTRY_OP]) == 60
    assert Counting(board, "readings").count == 60
    cells[nor.size + bit] ^= 1
    board = Peer(FlashLog(Nor(16, 1024, cells)), 0, kinds=KINDS)
    assert board.former == {author: 61} and len(board.log.authors()) == 2
print("PASSED")
