"""The contract of the document index on flash in the MicroPython VM: keys_in_vm.py PATH..."""

import gc
import sys

sys.path[:0] = sys.argv[1:]

from index_contract import CHECKS  # noqa: E402
from keys_kit import compare, key_of, know, write  # noqa: E402
from nor import Nor  # noqa: E402

from hedgerow_device.flashlog import FlashLog  # noqa: E402  (the path comes first)


def new() -> object:
    gc.collect()
    log = FlashLog(Nor(32))
    know(log, [b"author-a", b"author-b"] + [b"author%02d" % number for number in range(50)])
    return log.index


passed = 0
for check in CHECKS:
    check(new)
    passed += 1

gc.collect()
nor = Nor(32)
log = FlashLog(nor)
for number in range(300):
    at = write(log, log.author, "plant %d" % number)
    log.index.add(key_of("plant %d" % number), log.author, at)
    log.index.noted()
assert compare(log, log.index) == 300
passed += 1

again = FlashLog(nor)
assert again.newest_keys
assert compare(again, again.index) == 300
passed += 1
print("PASSED", passed)
