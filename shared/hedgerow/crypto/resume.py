"""Meeting again without public keys: a secret of the last handshake, and fresh nonces of both (SPEC 11.8).

14, 16 and 8 bytes. Nothing is written for a contact: a power cut at any moment leaves what was there before.
"""

from hashlib import sha256

from .. import limits
from ..errors import HedgerowError
from .kdf import expand, extract, hmac, same

NAME = 6
NONCE = 8
TAG = 8
FIRST = NAME + NONCE
SECOND = NONCE + TAG

_PACKED = 32 + 8 + 8 + 8 + 6 + 1


class Resumable:
    """What is kept of a handshake: its `secret`, and whether we `began` it.

    `remote` is the name of the other side's credential, `cti` and `until` what that says, `own` the name of
    ours.
    """

    def __init__(self, secret: bytes, remote: bytes, cti: bytes, own: bytes, until: int, began: bool):
        self.secret = secret
        self.remote = remote
        self.cti = cti
        self.own = own
        self.until = until
        self.began = began
        self.contacts = 0

    def pack(self) -> bytes:
        """Return it as it may be stored, 63 bytes."""
        until = self.until.to_bytes(6, "big")
        return self.secret + self.remote + self.cti + self.own + until + bytes((self.began,))

    @staticmethod
    def unpack(data: bytes) -> "Resumable":
        """Read what pack() has made; RESUMPTION_INVALID."""
        if len(data) != _PACKED or data[62] > 1:
            raise HedgerowError("RESUMPTION_INVALID", "%d bytes" % len(data))
        until = int.from_bytes(data[56:62], "big")
        return Resumable(data[:32], data[32:40], data[40:48], data[48:56], until, data[62] == 1)

    def name(self, we: bool, nonce: bytes) -> bytes:
        """Return what the side that begins (we, or the other) calls it this time: nobody sees who meets."""
        # By who began the handshake: else what a side says could be told to itself.
        first = b"\1" if we == self.began else b"\0"
        return hmac(self.secret, b"hedgerow meet" + first + nonce)[:NAME]


class Resumables:
    """Those that a peer keeps, at most so many: whom it met longest ago makes room."""

    def __init__(self, most: int = limits.MAX_RESUMABLES) -> None:
        self._most = most
        self.entries: list = []

    def add(self, entry: Resumable) -> None:
        """Keep one; it takes the place of any other with the same peer."""
        self.entries = [other for other in self.entries if other.remote != entry.remote][1 - self._most :]
        self.entries.append(entry)

    def drop(self, entry: Resumable) -> None:
        if entry in self.entries:
            self.entries.remove(entry)

    def usable(self, entry: Resumable, own: bytes, trust: object) -> bool:
        """Say whether it still stands: not with another own credential, nor one revoked or long expired."""
        known = trust.known(entry.remote)
        good = entry.own == own and entry.cti not in trust.revoked
        good = good and (known is None or trust.stands(known.claims))
        return good and trust.floor <= entry.until + limits.RESUME_GRACE_S

    def with_peer(self, remote: bytes) -> Resumable | None:
        """Return the one to begin with for a peer, by the name of its credential.

        None after limits.RESUME_CONTACTS: keys should not all hang on one secret for ever.
        """
        for entry in self.entries:
            if entry.remote == remote and entry.contacts < limits.RESUME_CONTACTS:
                return entry
        return None

    def called(self, message: bytes) -> Resumable | None:
        """Return the one that a first message names, None if there is none."""
        found = None
        for entry in self.entries:
            if same(entry.name(False, message[NAME:]), message[:NAME]):
                found = entry
        return found


class _Side:
    """`done` says that the other side is there, and `secrets`: for what we send, for what we hear."""

    def __init__(self, entry: Resumable):
        self.entry = entry
        self.done = False
        self.secrets: tuple | None = None

    def _meet(self, first: bytes, nonce: bytes) -> tuple:
        """Return (tag of who begins, tag of who answers, secrets in that order)."""
        key = extract(first[NAME:] + nonce, self.entry.secret)
        keys = expand(key, b"hedgerow resumed" + sha256(first + nonce).digest(), 2 * TAG + 64)
        return keys[:TAG], keys[TAG : 2 * TAG], keys[2 * TAG : 48], keys[48:]

    def _succeed(self, out: bytes, heard: bytes) -> None:
        self.secrets = (out, heard)
        self.entry.contacts += 1
        self.done = True


class Beginner(_Side):
    """Who begins: `first` is its first message, answer() takes the second and returns the third."""

    def __init__(self, entry: Resumable, random: object):
        super().__init__(entry)
        nonce = random(NONCE)
        self.first = entry.name(True, nonce) + nonce

    def answer(self, message: bytes) -> bytes:
        """RESUMPTION_INVALID for what the peer has not said."""
        ours, theirs, out, heard = self._meet(self.first, message[:NONCE])
        if len(message) != SECOND or not same(message[NONCE:], theirs):
            raise HedgerowError("RESUMPTION_INVALID", "second message")
        self._succeed(out, heard)
        return ours


class Answerer(_Side):
    """Who answers: `second` is its message, finish() takes the third."""

    def __init__(self, entry: Resumable, message: bytes, random: object):
        super().__init__(entry)
        nonce = random(NONCE)
        self._tag, tag, heard, out = self._meet(message, nonce)
        self._waiting = (out, heard)
        self.second = nonce + tag

    def finish(self, message: bytes) -> None:
        """RESUMPTION_INVALID for what the peer has not said."""
        if not same(message, self._tag):
            raise HedgerowError("RESUMPTION_INVALID", "third message")
        self._succeed(*self._waiting)
