"""How long each operation takes on this VM: times_in_vm.py PATH... prints {operation: milliseconds}."""

import json
import sys
import time

ROUNDS = 10


def times() -> dict:
    """Return {operation: milliseconds}."""
    from kit import Random

    from hedgerow.crypto.port import P256, finish, seal

    p256 = P256(Random(1).bytes)
    private, public = finish(p256.make_key())
    signature = finish(p256.sign(private, b"message"))
    work = {
        "agree": lambda: finish(p256.agree(private, public)),
        "sign": lambda: finish(p256.sign(private, b"message")),
        "verify": lambda: finish(p256.verify(public, b"message", signature)),
        "seal of 220 bytes": lambda: seal(private[:16], private[:13], b"12345", bytes(220)),
    }
    # CPython has another clock.
    now = getattr(time, "ticks_us", None) or (lambda: time.perf_counter_ns() // 1000)
    found = {}
    for name in work:
        best = 1000000
        for _ in range(ROUNDS):
            before = now()
            work[name]()
            best = min(best, now() - before)
        found[name] = best / 1000
    return found


if __name__ == "__main__":
    sys.path[:0] = sys.argv[1:]
    print(json.dumps(times()))
