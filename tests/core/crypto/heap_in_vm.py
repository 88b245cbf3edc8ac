"""What one side of a handshake takes of the heap: heap_in_vm.py SIDE FILE PATH...

Without messages it plays both sides and prints what they say, in hexadecimal; with them it is one side
alone, 0 who begins or 1, and prints its live bytes: after the imports, more at most during the handshake,
more when it is done and resumed contacts are kept; then the slices and the longest one in microseconds.
"""

import gc
import sys
import time

sys.path[:0] = sys.argv[3:]

from crypto_kit import GROUP, Gate, Issuer, link, member  # noqa: E402

from hedgerow.crypto import initiator, responder  # noqa: E402, F401
from hedgerow.crypto.channel import Answering, Opening  # noqa: E402


def live() -> int:
    gc.collect()
    return gc.mem_alloc()


def peer(at: int) -> object:
    root = Issuer(1)
    return member(3 + at, root.delegate(2), root.roots)


def main(at: int, path: str) -> None:
    if at == 2:
        near, far = Opening(peer(0), 0, None, Gate([GROUP])), Answering(peer(1), 0)
        with open(path, "w") as file:  # noqa: PTH123  (MicroPython has no pathlib)
            file.write(" ".join([message.hex() for message in link(near, far)]))
        return
    with open(path) as file:  # noqa: PTH123
        heard = [bytes.fromhex(word) for word in file.read().split()][1 - at :: 2]
    own = peer(at)
    base = most = live()
    side = Answering(own, 0) if at else Opening(own, 0, None, Gate([GROUP]))
    slices = longest = 0
    while not side.done:
        more = True
        while more:
            before = time.ticks_us()
            more = side.work(0)
            slices += 1
            longest = max(longest, time.ticks_diff(time.ticks_us(), before))
            most = max(most, live())
        side.outgoing()
        if side.error:
            raise side.error
        if heard and not side.done:
            side.receive(heard.pop(0), 0)
    side = None
    print(base, most - base, live() - base, slices, longest)


main(int(sys.argv[1]), sys.argv[2])
