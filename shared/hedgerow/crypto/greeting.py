"""What comes before the records of a session with keys: a channel's messages in records of their own.

SPEC 7.11.
"""

import struct

from .. import limits
from ..errors import HedgerowError
from ..limits import const

# Version and kind of a record that holds a part of a message, and of the one that holds its last part.
PART = const(0x12)
END = const(0x13)
PLAIN = const(0x10)
HEAD = const(3)


class Greeting:
    """A channel on the link of one session. Where it is `optional`, who speaks without keys is heard too.

    `at_once`: what takes long is done at once; otherwise a slice at each call of give().
    `plain` says that the other side spoke without keys, `begun` that something was said about keys. See
    Channel for the others.
    """

    def __init__(self, channel: object, optional: bool = False, at_once: bool = True):
        self.channel = channel
        self.plain = False
        self.begun = False
        self._optional = optional
        self._at_once = at_once
        self._more = False
        self._heard = self._out = b""

    @property
    def done(self) -> bool:
        """Whether there are keys."""
        return self.channel.done

    @property
    def error(self) -> HedgerowError | None:
        return self.channel.error

    @property
    def claims(self) -> object:
        """What the other side's credential says, once there are keys."""
        return self.channel.claims

    def unseal(self, record: bytes, sequence: int) -> bytes:
        return self.channel.hearing.unseal(record, sequence)

    def seal(self, sequence: int, payload: bytes) -> bytes:
        return self.channel.sending.seal(sequence, payload)

    def take(self, record: bytes, now: int) -> None:
        """Take a whole record; HANDSHAKE_INVALID, and SESSION_PLAIN for who must have keys and has none."""
        kind = record[2]
        if kind not in (PART, END):
            # What is said in the clear is nobody's word; it gets its answer in the clear.
            self.plain = True
            self.channel.close()
            if kind != PLAIN or not self._optional:
                raise HedgerowError("SESSION_PLAIN", "no handshake")
            return
        self.begun = True
        self._heard += record[HEAD:]
        if len(self._heard) > limits.MAX_UNPROVEN:
            raise HedgerowError("HANDSHAKE_INVALID", "%d bytes" % len(self._heard))
        if kind == END:
            message = bytes(self._heard)
            self._heard = b""
            self.channel.receive(message, now)
            self._work(now)

    def _work(self, now: int) -> None:
        self._more = self.channel.work(now)
        while self._more and self._at_once:
            self._more = self.channel.work(now)

    def give(self, limit: int, now: int) -> bytes:
        """Return the next record, of at most so many bytes, b"" for none."""
        if not self._out:
            if not self.done:
                self._work(now)
            self._out = self.channel.outgoing()
        size = min(limit, limits.FIRST_RECORD) - HEAD
        part = self._out[:size]
        self._out = self._out[size:]
        if not part:
            return b""
        self.begun = True
        return struct.pack(">HB", 1 + len(part), PART if self._out else END) + part

    def wakes(self, now: int) -> int:
        """Return when give() is to be called whatever happens."""
        return now if self._more else self.channel.due()
