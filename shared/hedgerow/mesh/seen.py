"""Which frames were heard before, and from how many senders: a table of fixed size (SPEC 6.4)."""

from array import array

_WAYS = 4
_ONES = b"\0\1\1\2\1\2\2\3\1\2\2\3\2\3\3\4"


class Seen:
    """Remembers about the last `size` frames (a multiple of 4) in 5 bytes each; a look-up allocates nothing.

    Identities are below 2^30 and spread evenly; 0 stands for an empty place, so it counts as 1. Each falls
    in one set of four, where it takes the place that was filled first.
    """

    def __init__(self, size: int = 256):
        self.size = size
        self._sets = size // _WAYS
        self._keys = array("I", bytes(4 * size))
        self._senders = bytearray(size)
        self._next = bytearray(self._sets)

    def note(self, identity: int, who: int) -> int:
        """Remember a frame from a sender (only its last 3 bits count): 0 if the frame is new, else from how
        many senders it is known now, at least."""
        count = self.again(identity, who)
        if count:
            return count
        identity = identity or 1
        row = identity % self._sets
        base = row * _WAYS
        at = self._next[row]
        self._next[row] = (at + 1) % _WAYS
        self._keys[base + at] = identity
        self._senders[base + at] = 1 << (who & 7)
        return 0

    def again(self, identity: int, who: int) -> int:
        """Note a frame that is remembered, as note() does; 0, and no change, for one that is not."""
        identity = identity or 1
        base = identity % self._sets * _WAYS
        keys = self._keys
        # Asked for most of what is heard, so without a loop.
        if keys[base] != identity:
            base += 1
            if keys[base] != identity:
                base += 1
                if keys[base] != identity:
                    base += 1
                    if keys[base] != identity:
                        return 0
        bit = self._senders[base] | 1 << (who & 7)
        self._senders[base] = bit
        return _ONES[bit & 15] + _ONES[bit >> 4]

    def senders(self, identity: int) -> int:
        """Return from how many senders a frame is known, 0 if it is not."""
        at = self._find(identity)
        if at < 0:
            return 0
        bits = self._senders[at]
        return _ONES[bits & 15] + _ONES[bits >> 4]

    def forget(self, identity: int) -> None:
        """Let a frame count as new when it is heard again."""
        at = self._find(identity)
        if at >= 0:
            self._keys[at] = 0

    def _find(self, identity: int) -> int:
        identity = identity or 1
        base = identity % self._sets * _WAYS
        for at in range(base, base + _WAYS):
            if self._keys[at] == identity:
                return at
        return -1


class Marks:
    """Remembers about the last `size` identities (a multiple of 4) by 16 bits each, as Seen does by all.

    One in 16,384 that was never noted is taken for one that was.
    """

    def __init__(self, size: int):
        self.size = size
        # Whether there is one at all.
        self.any = False
        self._sets = size // _WAYS
        self._keys = array("H", bytes(2 * size))
        self._next = bytearray(self._sets)

    def _find(self, identity: int) -> int:
        sets = self._sets
        base = identity % sets * _WAYS
        mark = identity // sets % 0xFFFF + 1
        keys = self._keys
        if keys[base] == mark:
            return base
        if keys[base + 1] == mark:
            return base + 1
        if keys[base + 2] == mark:
            return base + 2
        return base + 3 if keys[base + 3] == mark else -1

    def note(self, identity: int) -> None:
        """Remember an identity, below 2^30."""
        self.any = True
        if self._find(identity) < 0:
            row = identity % self._sets
            at = self._next[row]
            self._next[row] = (at + 1) % _WAYS
            self._keys[row * _WAYS + at] = identity // self._sets % 0xFFFF + 1

    def has(self, identity: int) -> bool:
        """Say whether an identity is remembered."""
        # Asked for all that is heard, so _find() stands here once more.
        sets = self._sets
        base = identity % sets * _WAYS
        mark = identity // sets % 0xFFFF + 1
        keys = self._keys
        return (
            keys[base] == mark or keys[base + 1] == mark or keys[base + 2] == mark or keys[base + 3] == mark
        )

    def forget(self, identity: int) -> None:
        """Remember it no more."""
        at = self._find(identity)
        if at >= 0:
            self._keys[at] = 0


class Recent:
    """Remembers about the last `size` identities for `period` ms, and none for twice as long, as Marks do."""

    def __init__(self, size: int, period: int, now: int):
        self._period = period
        self._until = now + period
        self._now = Marks(size)
        self._before = Marks(size)

    def _turn(self, now: int) -> None:
        stale = now - self._until >= self._period
        self._before = Marks(self._now.size) if stale else self._now
        self._now = Marks(self._now.size)
        self._until = now + self._period

    def note(self, identity: int, now: int) -> None:
        """Remember an identity from now on."""
        if now >= self._until:
            self._turn(now)
        self._now.note(identity)

    def has(self, identity: int, now: int) -> bool:
        """Say whether an identity is remembered."""
        if now >= self._until:
            self._turn(now)
        return self._now.has(identity) or (self._before.any and self._before.has(identity))

    def forget(self, identity: int) -> None:
        """Remember it no more."""
        self._now.forget(identity)
        self._before.forget(identity)


def who_of(address: object) -> int:
    """Return 8 bits of an address (bytes, text or an integer), the same on every VM."""
    if isinstance(address, int):
        return (address & 0xFFFF) * 40503 >> 8 & 0xFF
    who = 0
    for item in address if isinstance(address, bytes) else address.encode():
        who = (who * 33 ^ item) & 0xFFFF
    return who * 40503 >> 8 & 0xFF
