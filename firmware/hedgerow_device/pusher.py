"""What a board of little heap has on its way: its operations, oldest first, and what belongs to them."""

from hedgerow import limits
from hedgerow.clock import hlc
from hedgerow.errors import HedgerowError
from hedgerow.limits import const
from hedgerow.log import ENTRY_SEAL, ENTRY_SKIP
from hedgerow.mesh import asks, frames, letters, pace
from hedgerow.mesh.ops import pack
from hedgerow.operation import CLOCK, decode_body

from .modules import unload

# How often a frame is pushed: the first one, for which what is behind it may wait, and the others.
FIRST_PUSHES = const(8)
PUSHES = const(3)
# Of a frame that somebody has.
PASSED = const(99)
_MOST_TRIES = const(4)
# More than so many that nobody has yet are more than advertisements bring.
_MANY = const(12)
# So many frames are on their way at once, and the rest of a letter.
_AT_ONCE = const(8)
# Letters that can be said again.
_MOST_LETTERS = const(3)
# While more waits than advertisements bring, somebody is given this time to come for it.
_BEHIND_MS = const(8000)
_ALL = const(0x3FFFFFFF)


class Pusher:
    """The part of a Teller that chooses what is pushed; it needs the rest of it.

    `_flying` has what is on its way: [frame, how often it was pushed, when it is pushed next, number of the
    operation, that of the last one under the seal].
    """

    def _begin(self, number: int, sealed: int) -> None:
        """Push what is behind these from now on: they count as pushed, and nothing is on its way."""
        self._number = self._next_number = number
        self._sealed = self._next_sealed = sealed
        self._flying: list = []
        self._seal: tuple | None = None
        self._dirty = True

    def _flies(self, key: bytes) -> bool:
        for entry in self._flying:
            if entry[0][4:10] == key:
                return True
        return False

    def _passed(self, key: bytes, now: int, upto: bool = False) -> None:
        """Somebody has a frame, and carries it on; or all of its author or letter up to it."""
        for entry in self._flying:
            mine = entry[0][4:10]
            if mine == key or (upto and asks.covers(key, mine)):
                entry[1] = PASSED
                entry[2] = now
                self._dirty = True
                self.stir(now)

    def _look(self, now: int) -> None:
        """See what has changed, and choose what comes next."""
        peer = self.peer
        log = peer.log
        author = peer.author
        self._dirty = False
        held = log.held(author)
        due = peer.seal_due()
        # Where a credential is waited for, there is none to sign with.
        if held > log.sealed(author) and due is not None:
            if self._tail_at is None:
                # What waits for its seal waits on while the board sleeps.
                self._tail_at = min(now, due - limits.SEAL_DELAY_MS) + self._seal_ms
            if now >= self._tail_at:
                self._tail_at = None
                peer.seal(now)
        else:
            self._tail_at = None
        receipted = peer.receipted(author)
        if receipted > self._receipted or log.sealed(author) <= receipted:
            self._receipted = receipted
            self._again_at = None
            self._tries = 0
        if self._again_at is not None and now >= self._again_at:
            self._again_at = None
            self._tries = min(self._tries + 1, _MOST_TRIES)
            self._schemas = set()
            self._begin(receipted, receipted)
        self._land(receipted, now)
        behind = held - self._number > _MANY
        if behind and not self._behind:
            # More than advertisements bring: who hears that calls, and connects.
            self._state_at = now
            self._behind_until = now + _BEHIND_MS
        self._behind = behind
        if not behind or self.period or now >= self._behind_until:
            while len(self._flying) < _AT_ONCE and self._choose(now):
                pass
        if not self._flying and self._again_at is None and log.sealed(author) > receipted:
            self._again_at = now + (pace.AGAIN_MS << self._tries)

    def _land(self, receipted: int, now: int) -> None:
        """Take down what somebody has, or what was pushed often enough."""
        flying = self._flying
        while flying and flying[0][1] >= FIRST_PUSHES and flying[0][2] <= now:
            entry = flying.pop(0)
            if not flying or flying[0][3:] != entry[3:]:
                self._number = max(self._number, entry[3])
                self._sealed = max(self._sealed, entry[4])
        if not flying:
            self._number = self._next_number
            self._sealed = self._next_sealed
        self._number = max(self._number, receipted)
        self._sealed = max(self._sealed, receipted)
        self._next_number = max(self._next_number, self._number)
        self._next_sealed = max(self._next_sealed, self._sealed)

    def _choose(self, now: int) -> bool:
        """Put the next schema, operation, seal or skip on its way; say whether there was one."""
        peer = self.peer
        log = peer.log
        author = peer.author
        number = self._next_number
        self._stuck = False
        if self._next_sealed < log.sealed(author):
            entry = self._seal
            if entry is None or entry[2] <= self._next_sealed:
                entry = self._seal = self._entry(self._next_sealed, _ALL, self._next_sealed, ENTRY_SEAL)
            if entry is None:
                self._next_sealed = log.sealed(author)
            elif entry[2] <= number:
                # Before more operations: what is not sealed gets no receipt.
                self._next_sealed = entry[2]
                self._launch(self._seal_frames(author, entry[3]), 0, entry[2], now)
                return True
        if number >= log.held(author):
            return False
        stored = log.fetch(author, number + 1)
        if stored is None:
            entry = self._entry(number, number, _ALL, ENTRY_SKIP)
            self._next_number = entry[2] if entry else number + 1
            if entry:
                content = bytes((letters.SKIP,)) + author + entry[3]
                self._launch(self._split(content), self._next_number, 0, now)
            return True
        for change in decode_body(stored)[1]:
            schema = peer.schemas.get(change[1]) if change[0] != CLOCK else None
            if schema and change[1] not in self._schemas:
                self._schemas.add(change[1])
                self._launch(self._split(bytes((letters.SCHEMA,)) + schema.encoded), 0, 0, now)
                return True
        try:
            found = self._frames(author, number + 1, stored)
        except HedgerowError:
            # It waits for a session.
            self._stuck = True
            return False
        self._next_number = number + 1
        self._launch(found, number + 1, 0, now)
        return True

    def _seal_frames(self, author: bytes, seal: bytes) -> list:
        from hedgerow.mesh.brief import encode_seal

        content = encode_seal(author, seal, self.peer.log, self.peer.schemas)
        unload("hedgerow.mesh.brief")
        return self._split(content)

    def _launch(self, found: list, number: int, sealed: int, now: int) -> None:
        for frame in found:
            self._flying.append([frame, 0, now, number, sealed])

    def _asked_credential(self, entry: tuple) -> None:
        """Say a part of a credential that is known here."""
        try:
            content = self.peer.members and self.peer.members.vouchers().credential_part(*entry)
        except MemoryError:
            # Others may know it.
            return
        if content:
            self._answer(self._split(content, frames.LETTER_DOWN))

    def _frames(self, author: bytes, number: int, stored: bytes) -> list:
        """Return the frames of an operation; LETTER_TOO_LONG if it fits none."""
        peer = self.peer
        before = peer.log.fetch(author, number - 1) if number > 1 else None
        before_ms = hlc.stamp_ms(decode_body(before)[0]) if before is not None else None
        body = pack(author, number, stored, peer.schemas, before_ms, before)
        if body is not None:
            return [frames.make(frames.OP, peer.mesh, body, self._key)]
        return self._split(letters.encode_operation(author, number, stored))

    def _entry(self, low: int, held: int, sealed: int, kind: int) -> tuple | None:
        """Return the next seal or skip of the own log."""
        for entry in self.peer.log.read(self.peer.author, held, sealed, 1):
            if entry[0] == kind and entry[2] > low:
                return entry
        return None

    def _split(self, content: bytes, kind: int = frames.LETTER_UP) -> list:
        """Return the frames of a letter, which can be said again from then on."""
        mesh = self.peer.mesh
        found = [frames.make(kind, mesh, body, self._key) for body in letters.split(content)]
        if found not in self._letters:
            self._letters = self._letters[1 - _MOST_LETTERS :] + [found]
        return found

    def say_letter(self, content: bytes) -> bool:
        """Say a letter that goes down; say whether it fits one."""
        try:
            self._answer(self._split(content, frames.LETTER_DOWN))
        except HedgerowError:
            return False
        return True

    def ask(self, what: int, entry: tuple | bytes) -> None:
        """Say a WANT of one thing."""
        self._answer([frames.make(frames.WANT, self.peer.mesh, asks.encode_want(what, [entry]), self._key)])
