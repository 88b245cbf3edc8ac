"""The log contract, a lap of reclaiming and a remount, in the MicroPython VM: flash_in_vm.py PATH..."""

import gc
import sys

sys.path[:0] = sys.argv[1:]

from log_contract import CHECKS  # noqa: E402
from nor import Nor  # noqa: E402

from hedgerow.custody.receipt import Receipt  # noqa: E402  (the path comes first)
from hedgerow.log import ENTRY_OP, ENTRY_SEAL, STATE_RECEIPT  # noqa: E402
from hedgerow_device.flashlog import FlashLog  # noqa: E402

KEEPER = b"keeper-1"


def new() -> object:
    nor = Nor(16)
    return lambda: FlashLog(nor)


passed = 0
for check in CHECKS:
    check(new)
    # One 64 KiB image at a time: a heap in pieces has no room for a second.
    gc.collect()
    passed += 1

nor = Nor(8, 1024)
log = FlashLog(nor)
me = log.author
for number in range(1, 1001):
    log.append(ENTRY_OP, me, number, number, b"reading %d" % number)
    if number % 8 == 0:
        log.append(ENTRY_SEAL, me, number - 7, number, b"seal")
        log.put(STATE_RECEIPT, me + KEEPER, Receipt(KEEPER, 1, me, number).encode())
assert nor.erases > 16
passed += 1

again = FlashLog(nor)
assert (again.author, again.held(me), again.sealed(me), again.damaged) == (me, 1000, 1000, 0)
operations = [entry for entry in again.read(me, 0, 0, 1 << 20) if entry[0] == ENTRY_OP]
assert operations[-1] == (ENTRY_OP, 1000, 1000, b"reading 1000")
assert [entry[1] for entry in operations] == list(range(operations[0][1], 1001))
passed += 1
print("PASSED", passed)
