"""What a board of little heap has on its way: one operation, schema, seal or skip after the other."""

from hedgerow import limits
from hedgerow.clock import hlc
from hedgerow.errors import HedgerowError
from hedgerow.limits import const
from hedgerow.log import ENTRY_SEAL, ENTRY_SKIP
from hedgerow.mesh import frames, letters, pace
from hedgerow.mesh.ops import pack
from hedgerow.operation import CLOCK, decode_body

PUSHES = const(3)
_MOST_TRIES = const(4)
_MANY = const(24)
# So many operations are on their way at once.
_AT_ONCE = const(4)
_ALL = const(0x3FFFFFFF)


class Pusher:
    """The part of a Teller that chooses what is pushed; it needs the rest of it."""

    def _look(self, now: int) -> None:
        """See what has changed, and choose what comes next."""
        peer = self.peer
        log = peer.log
        author = peer.author
        self._dirty = False
        if log.held(author) > log.sealed(author):
            if self._tail_at is None:
                # What waits for its seal waits on while the board sleeps.
                self._tail_at = min(now, peer.seal_due() - limits.SEAL_DELAY_MS) + self._seal_ms
            if now >= self._tail_at:
                self._tail_at = None
                peer.seal(now)
        else:
            self._tail_at = None
        behind = log.held(author) - self._number > _MANY
        if behind and not self._behind:
            # More than advertisements bring: who hears that calls, and connects.
            self._state_at = now
        self._behind = behind
        receipted = peer.receipted(author)
        if max(self._number, self._sealed) < receipted or log.sealed(author) <= receipted:
            self._again_at = None
            self._tries = 0
        self._number = max(self._number, receipted)
        self._sealed = max(self._sealed, receipted)
        if self._again_at is not None and now >= self._again_at:
            self._again_at = None
            self._tries = min(self._tries + 1, _MOST_TRIES)
            self._number = self._sealed = receipted
            self._schemas = set()
        for entry in self._unit:
            if entry[1] < PUSHES or entry[2] > now:
                return
        if self._unit:
            self._number = max(self._number, self._next_number)
            self._sealed = max(self._sealed, self._next_sealed)
        self._unit = []
        self._choose(now)
        if not self._unit and self._again_at is None and log.sealed(author) > receipted:
            self._again_at = now + (pace.AGAIN_MS << self._tries)

    def _choose(self, now: int) -> None:
        """Put the next operation, schema, seal or skip on its way, if there is one."""
        peer = self.peer
        log = peer.log
        author = peer.author
        self._next_number = self._number
        self._next_sealed = self._sealed
        self._stuck = False
        try:
            if self._number < log.held(author):
                found = self._operation(author, self._number + 1)
                while found and len(found) < _AT_ONCE and found[-1][0] & 15 == frames.OP:
                    frame = self._small(author, self._next_number + 1)
                    if frame is None:
                        break
                    found.append(frame)
                    self._next_number += 1
            elif self._sealed < log.sealed(author):
                found = self._entry(author, _ALL, self._sealed, ENTRY_SEAL, letters.SEAL)
                self._next_sealed = max(self._next_sealed, self._last)
            else:
                return
        except HedgerowError:
            self._stuck = True
            return
        if len(found) > 1 and found[0][0] & 15 != frames.OP:
            self._letter = found
        self._unit = [[frame, 0, now] for frame in found]
        if not found:
            self._number = self._next_number
            self._sealed = self._next_sealed
            self._dirty = True

    def _operation(self, author: bytes, number: int) -> list:
        peer = self.peer
        stored = peer.log.fetch(author, number)
        if stored is None:
            found = self._entry(author, number - 1, _ALL, ENTRY_SKIP, letters.SKIP)
            self._next_number = max(number, self._last)
            return found
        for change in decode_body(stored)[1]:
            schema = peer.schemas.get(change[1]) if change[0] != CLOCK else None
            if schema and change[1] not in self._schemas:
                self._schemas.add(change[1])
                return self._split(bytes((letters.SCHEMA,)) + schema.encoded)
        self._next_number = number
        frame = self._frame(author, number, stored)
        return [frame] if frame else self._split(letters.encode_operation(author, number, stored))

    def _small(self, author: bytes, number: int) -> bytes | None:
        """Return the OP frame of an operation that needs nothing else, None for others."""
        stored = self.peer.log.fetch(author, number)
        if stored is None or decode_body(stored)[1][0][1] not in self._schemas:
            return None
        return self._frame(author, number, stored)

    def _frame(self, author: bytes, number: int, stored: bytes) -> bytes | None:
        peer = self.peer
        before = peer.log.fetch(author, number - 1) if number > 1 else None
        before_ms = hlc.stamp_ms(decode_body(before)[0]) if before is not None else None
        body = pack(author, number, stored, peer.schemas, before_ms, before)
        return frames.make(frames.OP, peer.mesh, body, self._key) if body is not None else None

    def _entry(self, author: bytes, held: int, sealed: int, kind: int, letter: int) -> list:
        self._last = 0
        for entry in self.peer.log.read(author, held, sealed, 1):
            if entry[0] == kind:
                self._last = entry[2]
                return self._split(bytes((letter,)) + author + entry[3])
        self._last = self.peer.log.sealed(author)
        return []

    def _split(self, content: bytes) -> list:
        mesh = self.peer.mesh
        return [frames.make(frames.LETTER_UP, mesh, body, self._key) for body in letters.split(content)]
