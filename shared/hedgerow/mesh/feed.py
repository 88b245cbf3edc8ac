"""What this peer has to push from its log: its own operations, and those that a session brought it to carry.

Oldest first, a few at a time, and again from what is receipted when no receipt came in time (SPEC 6.25).
"""

from .. import limits
from ..clock import hlc
from ..errors import HedgerowError
from ..log import ENTRY_SEAL, ENTRY_SKIP
from ..operation import CLOCK, decode_body
from . import letters, pace
from .custody import name_of
from .frames import LETTER_UP, OP, make
from .ops import nearest, pack

_ALL = limits.const(0xFFFFFFFF)
_ONE = limits.const(1)
_MOST_DOUBLINGS = limits.const(4)


class _Source:
    """How far one author's log was pushed."""

    def __init__(self, number: int, sealed: int, now: int):
        self.number = number
        self.sealed = sealed
        # When what is not receipted is pushed again, when and how often it was.
        self.again_at = self.pushed_at = now
        self.tries = 0
        self.receipted = 0
        self.seal: tuple | None = None
        # Up to which number those on the way may have had it, and nobody has now.
        self.lost = 0
        # Which one was pushed again alone.
        self.resent = 0
        # Up to which number somebody nearer has it from here by a session, to carry it on; and who.
        self.handed = 0
        self.taker: object = None


def frames_of(peer: object, author: bytes, number: int, stored: bytes, key: bytes) -> list:
    """Return the frames that carry an operation of the log: one OP, or the fragments of a letter.

    LETTER_TOO_LONG for one that does not fit: it needs a session.
    """
    before = peer.log.fetch(author, number - 1) if number > 1 else None
    before_ms = hlc.stamp_ms(decode_body(before)[0]) if before is not None else None
    body = pack(author, number, stored, peer.schemas, before_ms, before)
    if body is not None:
        return [make(OP, peer.mesh, body, key)]
    return letter_frames(peer, letters.encode_operation(author, number, stored), key)


def letter_frames(peer: object, content: bytes, key: bytes, kind: int = LETTER_UP) -> list:
    """Return the frames of a letter."""
    return [make(kind, peer.mesh, body, key) for body in letters.split(content)]


def seal_letter(peer: object, author: bytes, body: bytes) -> bytes:
    """Return the content of a letter with a seal."""
    from .brief import encode_seal

    return encode_seal(author, body, peer.log, peer.schemas)


class Feed:
    """Fills the own window of `custody` with what the authors in `sources` have open.

    `stuck` says that something waits that fits no advertisement.
    """

    def __init__(self, peer: object, custody: object, seen: object, key: bytes, now: int):
        self._peer = peer
        self._custody = custody
        self._seen = seen
        self.key = key
        self.sources: dict = {}
        self._schemas: set = set()
        self._again_at: int | None = None
        # The last pushes: [(names of frames, how far the own author was pushed before)].
        self._pushed: list = []
        self.stuck = self.full = False
        # Since when own operations that were pushed have had no receipt, when they are pushed again.
        self.silent_since: int | None = None
        self.add(peer.author, now)

    def add(self, author: bytes, now: int) -> None:
        """Push an author's open operations from here on."""
        if author not in self.sources:
            number = self._peer.receipted(author)
            self.sources[author] = _Source(number, number, now + pace.AGAIN_MS)

    def rewind(self, author: bytes, number: int, now: int, lost: bool = True) -> None:
        """Push an author's operations above a number again; those on the way may have had them if `lost`."""
        self.add(author, now)
        source = self.sources[author]
        if lost:
            source.lost = max(source.number, source.lost)
        source.number = max(min(source.number, number), self._peer.receipted(author))
        source.sealed = min(source.sealed, source.number)
        source.seal = None
        source.handed = 0
        self._custody.freed = True

    def resend(self, author: bytes, number: int, stored: bytes, now: int) -> bool:
        """Push one operation again that was pushed, also to those who had it; False if that cannot be now, or
        was of no use before."""
        source = self.sources.get(author)
        if source is None or not 0 <= source.number - number < limits.MESH_WINDOW or number == source.resent:
            return False
        source.resent = number
        try:
            frames = frames_of(self._peer, author, number, stored, self.key)
        except HedgerowError:
            return False
        # It is on its way anew, whatever behind it got on.
        return self._push(frames, now, True, number - 1 if author == self._peer.author else None)

    def hand(self, address: object, told: list, now: int) -> bool:
        """Note what somebody nearer a keeper holds after a session, who pushes it from there; but for who did
        so in vain before. Who is nearer no more gives it back. Say whether our own is among it."""
        peer = self._peer
        own = False
        for author, _, held, sealed in told:
            source = self.sources.get(author)
            if not source:
                continue
            receipted = peer.receipted(author)
            held = min(held, peer.log.held(author))
            before = address == source.taker
            if not held and before and source.handed:
                self.rewind(author, receipted, now, False)
            if held <= max(source.handed, receipted) or (before and source.tries and not source.handed):
                continue
            # What is not sealed gets no receipt: others may bring it as well.
            source.handed = min(held, peer.log.sealed(author))
            source.taker = address
            source.number = max(source.number, held)
            source.sealed = max(source.sealed, min(sealed, held))
            own = own or author == peer.author
            self._custody.freed = True
        return own

    def upto(self, low: int) -> None:
        """Somebody has all own operations up to one (low 16 bits of its number): those behind it are next."""
        source = self.sources[self._peer.author]
        number = nearest(source.number, low)
        if source.number < number <= self._peer.log.held(self._peer.author):
            source.number = number

    def pushed(self) -> tuple:
        """Return (number, sealed): how far the own author was pushed."""
        source = self.sources[self._peer.author]
        return source.number, source.sealed

    def safe(self) -> tuple:
        """Return (number, sealed): how far the own author was pushed and acknowledged."""
        number, sealed = self.pushed()
        flying = self._custody.flying()
        for frames, before, covered in self._pushed:
            if [1 for name in frames if name in flying]:
                number, sealed = min(number, before), min(sealed, covered)
        return number, sealed

    def again(self, now: int) -> tuple:
        """Return (in how many ms what has no receipt is pushed again, how often it was) of the own author."""
        source = self.sources[self._peer.author]
        return max(0, source.again_at - now), source.tries

    def late(self, now: int) -> bool:
        """Say whether the receipt of what is sealed should have come since."""
        left, tries = self.again(now)
        open_here = self._peer.log.sealed(self._peer.author) > self._peer.receipted(self._peer.author)
        return open_here and (tries > 0 or left < pace.AGAIN_MS - pace.RECEIPT_LATE_MS)

    def resume(self, number: int, sealed: int, again_at: int | None = None, tries: int = 0) -> None:
        """Go on behind what was pushed before a deep sleep, and push that again when it was due then."""
        source = self.sources[self._peer.author]
        log = self._peer.log
        if again_at is not None:
            source.receipted = self._peer.receipted(self._peer.author)
            source.again_at = again_at
            source.tries = min(tries, _MOST_DOUBLINGS)
        source.number = max(source.number, min(number, log.held(self._peer.author)))
        source.sealed = max(source.sealed, min(sealed, log.sealed(self._peer.author)))
        # The schemas of what was pushed last were pushed before it.
        for at in (source.number, source.number - 1):
            stored = log.fetch(self._peer.author, at)
            if stored is not None and at > self._peer.receipted(self._peer.author):
                self._schemas.update([change[1] for change in decode_body(stored)[1] if change[0] != CLOCK])

    def backlog(self) -> int:
        """Return how many operations were not pushed yet."""
        log = self._peer.log
        return sum([max(0, log.held(a) - s.number) for a, s in self.sources.items()])

    def idle(self) -> bool:
        """Say whether everything was pushed."""
        log = self._peer.log
        for author, source in self.sources.items():
            if source.number < log.held(author) or source.sealed < log.sealed(author):
                return False
        return True

    def due(self) -> int | None:
        """Return when something is to be pushed again."""
        return self._again_at

    def _find_due(self) -> None:
        self._again_at = None
        for author, source in self.sources.items():
            if self._peer.log.sealed(author) > source.receipted:
                if self._again_at is None or source.again_at < self._again_at:
                    self._again_at = source.again_at

    def fill(self, now: int) -> None:
        """Put what comes next into the window, as much as it takes."""
        author = self._peer.author
        if author not in self.sources:
            self.add(author, now)
        self.stuck = self.full = False
        for other in [author] + [known for known in sorted(self.sources) if known != author]:
            source = self.sources[other]
            # When an author is pushed again is told anew even if there is no room: else it is due for ever.
            self._receipts(other, source, now)
            # What needs more room than there is comes before anybody else's.
            while not self.full and self._one(other, source, now):
                pass
        self._find_due()

    def _receipts(self, author: bytes, source: _Source, now: int) -> None:
        receipted = self._peer.receipted(author)
        if receipted < source.receipted:
            # A keeper has begun a new incarnation: it holds no more than that, whatever it said before.
            source.receipted = receipted
            source.tries = 0
            source.again_at = now + pace.AGAIN_MS
            self.rewind(author, receipted, now)
        source.number = max(source.number, receipted)
        source.sealed = max(source.sealed, receipted)
        if receipted > source.receipted or self._peer.log.sealed(author) <= receipted:
            source.receipted = receipted
            source.tries = 0
            source.again_at = now + pace.AGAIN_MS
            if author != self._peer.author and self._peer.log.held(author) <= receipted:
                del self.sources[author]
        elif now >= source.again_at:
            if source.tries and author == self._peer.author:
                # The first time may be right after the seal.
                self.silent_since = source.pushed_at
            source.pushed_at = now
            source.tries = min(source.tries + 1, _MOST_DOUBLINGS)
            source.again_at = now + (pace.AGAIN_MS << source.tries)
            source.number = source.sealed = receipted
            source.seal = None
            source.handed = 0
            self._schemas = set()

    def _one(self, author: bytes, source: _Source, now: int) -> bool:
        """Put one operation, seal or skip of an author into the window; False if none is left, or no room."""
        log = self._peer.log
        seal = self._seal(author, source)
        if seal is not None and (seal[2] <= source.number or source.number >= log.held(author)):
            # Before more operations: what is not sealed gets no receipt.
            if not self._push(
                self._letter(seal_letter(self._peer, author, seal[3])), now, seal[2] <= source.lost
            ):
                return False
            source.sealed = seal[2]
            return True
        if source.number >= log.held(author):
            return False
        number = source.number + 1
        stored = log.fetch(author, number)
        if stored is None:
            return self._skip(author, source, now)
        if not self._introduce(stored, now):
            return False
        try:
            frames = frames_of(self._peer, author, number, stored, self.key)
        except HedgerowError:
            self.stuck = True
            # Whoever comes for it takes it, with what was given to somebody else.
            source.handed = 0
            return False
        if not self._push(frames, now, number <= source.lost):
            return False
        source.number = number
        return True

    def _seal(self, author: bytes, source: _Source) -> tuple | None:
        """Return the entry of the next seal to push."""
        if source.sealed >= self._peer.log.sealed(author):
            return None
        known = source.seal
        if known is None or known[2] <= source.sealed:
            known = source.seal = self._entry(author, _ALL, source.sealed, ENTRY_SEAL)
            if known is None:
                source.sealed = self._peer.log.sealed(author)
        return known

    def _skip(self, author: bytes, source: _Source, now: int) -> bool:
        entry = self._entry(author, source.number, _ALL, ENTRY_SKIP)
        if entry is None:
            source.number += 1
            return True
        if not self._push(self._letter(bytes((letters.SKIP,)) + author + entry[3]), now):
            return False
        source.number = entry[2]
        return True

    def _entry(self, author: bytes, held: int, sealed: int, kind: int) -> tuple | None:
        for entry in self._peer.log.read(author, held, sealed, _ONE):
            if entry[0] == kind:
                return entry
        return None

    def _letter(self, content: bytes) -> list:
        try:
            return letter_frames(self._peer, content, self.key)
        except HedgerowError:
            self.stuck = True
            return []

    def _introduce(self, stored: bytes, now: int) -> bool:
        """Push the schemas of an operation before it, once; False if there is no room."""
        for change in decode_body(stored)[1]:
            name = change[1]
            if change[0] == CLOCK or name in self._schemas:
                continue
            schema = self._peer.schemas.get(name)
            frames = self._letter(bytes((letters.SCHEMA,)) + schema.encoded) if schema else []
            if frames and self._seen.senders(name_of(frames[0])) and not self.again(now)[1]:
                # It is on its way already, and who lacks it asks for it; but where no receipt comes.
                frames = []
            if not self._push(frames, now):
                return False
            self._schemas.add(name)
        return True

    def _push(self, frames: list, now: int, back: bool = False, before: int | None = None) -> bool:
        flying = self._custody.flying()
        names = [name_of(frame) for frame in frames]
        if not [1 for name in names if name not in flying]:
            return True
        if len(frames) > self._custody.room():
            self.full = True
            return False
        for frame in self._custody.in_turn(frames):
            self._custody.push(frame, now, back)
        number, sealed = self.pushed()
        if before is not None:
            number = min(number, before)
        self._pushed.append((names, number, sealed))
        if len(self._pushed) > limits.MESH_WINDOW:
            # One that nobody has may wait while many behind it get on.
            flying = self._custody.flying()
            self._pushed = [entry for entry in self._pushed if [1 for name in entry[0] if name in flying]]
        return True
