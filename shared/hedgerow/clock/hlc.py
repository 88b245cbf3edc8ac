"""Hybrid logical clock: 8-byte stamps that compare as bytes (SPEC 2.1 to 2.4).

A stamp is 48 bits of milliseconds since 2000-01-01T00:00:00Z and a 16-bit counter, both big-endian.
Within a boot the milliseconds are a recorded base plus the uptime, so the uptime can be read back.
"""

from ..errors import HedgerowError

ZERO = bytes(8)


def pack(ms: int, counter: int = 0) -> bytes:
    """Return the stamp of a moment in milliseconds since 2000."""
    if ms < 0 or ms >> 48 or counter < 0 or counter >> 16:
        raise HedgerowError("CLOCK_RANGE", str(ms) + "/" + str(counter))
    return ms.to_bytes(6, "big") + counter.to_bytes(2, "big")


def stamp_ms(stamp: bytes) -> int:
    """Return a stamp's milliseconds since 2000."""
    return int.from_bytes(stamp[:6], "big")


def wire(stamp: bytes) -> bytes:
    """Return a stamp as it is stored and sent: 6 bytes while its counter is 0, else 8."""
    return stamp if stamp[6] or stamp[7] else stamp[:6]


def unwire(data: object) -> bytes:
    """Return the stamp of its stored form."""
    if isinstance(data, bytes):
        if len(data) == 6:
            return data + b"\0\0"
        if len(data) == 8 and (data[6] or data[7]):
            return data
    raise HedgerowError("STAMP_INVALID", repr(data)[:48])


def above(stamp: bytes) -> bytes:
    """Return the next greater stamp."""
    number = int.from_bytes(stamp, "big") + 1
    if number >> 64:
        raise HedgerowError("CLOCK_RANGE", "no stamp is greater")
    return number.to_bytes(8, "big")


class Clock:
    """One author's clock: `base_ms` + uptime, and never at or below the last stamp given out."""

    def __init__(self, base_ms: int, last: bytes = ZERO):
        self.base_ms = base_ms
        self.last = last

    def tick(self, uptime: int) -> bytes:
        """Return the stamp of an operation written now, `uptime` milliseconds after the boot."""
        stamp = pack(self.base_ms + uptime)
        self.last = stamp if stamp > self.last else above(self.last)
        return self.last

    def jump(self, base_ms: int) -> None:
        """Move the base forward; the operation that follows must carry a clock record with it."""
        if base_ms < self.base_ms:
            raise HedgerowError("CLOCK_RANGE", "a clock does not jump back")
        self.base_ms = base_ms
