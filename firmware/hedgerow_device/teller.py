"""The mesh engine of a board with a small heap: it says its own operations, hears receipts and the time.

It has the face of hedgerow.mesh.mesh.Mesh and speaks the same frames, but carries nothing for others. One
operation or letter is on its way at a time; the next one follows when somebody has taken it (an ACK, or an
echo), or after a few pushes in vain: who misses something asks for it.
"""

import struct
from hashlib import sha256

from hedgerow import limits
from hedgerow.clock import hlc
from hedgerow.custody.receipt import PROOF_MAC, Receipt
from hedgerow.errors import HedgerowError
from hedgerow.limits import const
from hedgerow.mesh import asks, frames, letters, pace, tells
from hedgerow.mesh.ops import nearest
from hedgerow.mesh.tag import check
from hedgerow.operation import SOURCE_KEEPER, SOURCE_RELAYED, decode_body
from hedgerow.sync.hello import LEAF

from .pusher import FIRST_PUSHES, PASSED, PUSHES, Pusher

_EVENTS = const(2)
_STATE_EVENTS = const(2)
_FIRST_STATE_MS = const(2000)
# While something waits for its receipt: who does not hear advertisements well, or is mute, connects.
_OPEN_STATE_MS = const(8000)
# A frame is pushed again after this time, twice, three times and at most four times it, and up to once more.
_WAIT_MS = const(700)
_MOST_WAITS = const(4)
_MOST_ANSWERS = const(12)
# Operations that answer one entry of a WANT.
_MOST_OPERATIONS = const(6)
# Of the engines made from what another has saved, one in so many says who it is.
_ANNOUNCES = const(16)
_MOST_KEEPERS = const(4)
_KEEPER_NAME = const(1)
_TIME_ERROR_MS = const(60)
_MOST_HOPS = const(15)
# Who does not sleep listens for this part of its time, in percent.
_DUTY = const(50)
_MOST_CALLED_MS = const(10000)
_ASK_MS = const(5000)
# How often it looks whether documents are wanted.
_WISH_MS = const(2000)
_HEARD_MS = const(500)
# A flag of a STATE: something waits that fits no advertisement.
_BULK = const(128)
_SAVED = ">IIIBIB"
# As in hedgerow.mesh.epochs.
_NEWEST = const(2)


class Teller(Pusher):
    """See Mesh; it is its own `window` (see hedgerow.mesh.schedule.Window), and its own `down`."""

    def __init__(
        self, peer: object, now: int, *, random: object, role: int = LEAF, key: bytes = b"",
        budget: object = None, seal_ms: int = pace.SEAL_MS, group: object = None,
    ):  # fmt: skip
        self.peer = peer
        self.busy = self._stuck = self._behind = False
        self.budget = budget
        self.window = self.down = self
        self.late_ms = 0
        self.period = 0
        self.length = pace.LEAF_WINDOW_MS
        self.woke_at = now
        self.until = now + self.length
        self._random = random
        self._base = key
        self._group = group
        self._key = group.key if group else key
        self._seal_ms = seal_ms
        self._counter = random(0x10000)
        self._asked_time = (0, now - pace.TIME_FRESH_MS) * 2
        # How far the own log was pushed, and what is on its way.
        self._receipted = peer.receipted(peer.author)
        self._begin(self._receipted, self._receipted)
        self._behind_until = now
        self._schemas: set = set()
        # Frames that somebody has asked for, and those of the letters that were said last.
        self._answers: list = []
        self._letters: list = []
        self._state_at = now
        self._state_ms = _FIRST_STATE_MS
        self._announce_at = now + random(2000)
        self._tail_at: int | None = None
        self._again_at: int | None = None
        self._tries = self._ask_at = self._called_until = 0
        self._keepers: dict = {}
        self._last = b""
        # What asks for documents, once some are wanted.
        self._wisher: object = None
        self._wish_at = now
        self._dirty = True
        peer.add_listener(self._committed)

    def close(self) -> None:
        """Let go of the peer."""
        self.peer.remove_listener(self._committed)

    def _committed(self) -> None:
        self._dirty = True

    # ---- hearing

    def heard(self, address: object, rssi: int, payload: bytes, now: int, connectable: bool = False) -> bool:
        """See Mesh.heard."""
        at = frames.find(payload)
        mesh = self.peer.mesh
        if not at or payload[at + 1] != mesh[0] or payload[at + 2] != mesh[1]:
            return False
        if payload == self._last:
            return True
        self._last = payload
        frame = bytes(payload[at : frames.end(payload, at)])
        kind = frame[0] & 0x0F
        if kind == frames.LETTER_UP and self._wisher is not None and self._wisher.asks_schema(frame):
            kind = frames.LETTER_DOWN
        elif kind in (frames.OP, frames.LETTER_UP) and not self._flies(frame[4:10]):
            return True
        if kind == frames.LETTER_DOWN and self._wisher is None:
            return True
        # Of another epoch others learn (see hedgerow.mesh.epochs).
        ours = self._group.reads(frame) >= _NEWEST if self._group else check(self._key, frame)
        if kind == frames.HAVE or not ours:
            return False
        try:
            self._take(kind, frame, now)
        except HedgerowError:
            pass
        return True

    def _take(self, kind: int, frame: bytes, now: int) -> None:
        if kind == frames.STATE:
            state = frames.decode_state(frame)
            if state.role != LEAF:
                self.peer.note_distance(state.distance, now)
        elif kind in (frames.OP, frames.LETTER_UP):
            self._passed(frame[4:10], now)
        elif kind == frames.ACK:
            what, keys = asks.decode_ack(frame)
            for key in keys:
                self._passed(key, now, what >= asks.ACK_UPTO)
        elif kind == frames.RECEIPT:
            self._receipt(frame, now)
        elif kind == frames.LETTER_DOWN:
            self._wisher.heard(frame, now)
            self._wish_at = min(self._wish_at, now + _HEARD_MS)
        elif kind == frames.TIME:
            self._time(frame, now)
        elif kind == frames.WANT:
            what, entries = asks.decode_want(frame)
            for entry in entries:
                self._asked(what, entry, now)
        elif kind == frames.CALL:
            target, _, seconds = tells.decode_call(frame)
            if target == self.peer.author[:3]:
                self._called_until = now + min(seconds * 1000, _MOST_CALLED_MS)
                # Who called connects when it hears a STATE after that.
                self._state_at = now
        elif kind == frames.ANNOUNCE:
            announce = tells.decode_announce(frame)
            if announce.flags & _KEEPER_NAME:
                if len(self._keepers) >= _MOST_KEEPERS:
                    self._keepers.clear()
                self._keepers[announce.author[:3]] = announce.author

    def _receipt(self, frame: bytes, now: int) -> None:
        peer = self.peer
        keeper4, low, short, number, proof = tells.decode_receipt(frame)
        if short != peer.author[:3] or number <= peer.receipted(peer.author):
            return
        self.stir(now)
        keeper = self._keepers.get(keeper4[:3])
        if keeper is None:
            if now >= self._ask_at:
                self._ask_at = now + _ASK_MS
                self.ask(asks.WANT_ANNOUNCES, keeper4[:3])
            return
        known = peer.ledger.incarnation(keeper) & ~0xFF
        for incarnation in (known + low, known + low + 256, low):
            receipt = Receipt(keeper, incarnation, peer.author, number)
            if peer.members:
                receipt.proof_kind, receipt.proof = PROOF_MAC, proof
            elif sha256(b"hedgerow receipt" + receipt.encode()).digest()[:8] != proof:
                continue
            if incarnation and peer.ingest_receipt(receipt):
                peer.commit()

    def _time(self, frame: bytes, now: int) -> None:
        utc_ms, error_ms, source, hops, asker, counter = tells.decode_time(frame)
        late = self.late_ms
        if not tells.is_answer(self._asked_time, asker, counter, self.peer.author, now):
            return
        if self.peer.wants_time(now) and hops < _MOST_HOPS and error_ms + late < limits.GOOD_TIME_MS:
            source = SOURCE_KEEPER if source == SOURCE_KEEPER else SOURCE_RELAYED
            late += _TIME_ERROR_MS
            self.peer.set_time(utc_ms + late // 2, error_ms + late, source, now)

    # ---- what others ask for

    def _answer(self, found: list) -> None:
        """Say frames soon, if there is room for all of them."""
        if len(self._answers) + len(found) <= _MOST_ANSWERS:
            self._answers += found

    def _asked(self, what: int, entry: tuple | bytes, now: int) -> None:
        peer = self.peer
        author = peer.author
        self.stir(now)
        if what == asks.WANT_SCHEMAS:
            for name in peer.shared_schemas():
                if name[:2] == entry:
                    self._answer(self._split(bytes((letters.SCHEMA,)) + peer.schemas[name].encoded))
        elif what == asks.WANT_LETTERS:
            for letter in self._letters:
                for index, frame in enumerate(letter):
                    if frame[4:7] == entry[0] and (entry[1] or 0xFF) >> index & 1:
                        self._answer([frame])
        elif what == asks.WANT_CREDENTIALS:
            self._asked_credential(entry)
        elif (entry if what == asks.WANT_ANNOUNCES else entry[0]) != author[:3]:
            return
        elif what == asks.WANT_ANNOUNCES:
            self._announce_at = min(self._announce_at, now + self._random(500))
        else:
            first = nearest(peer.log.held(author), entry[1])
            if what == asks.WANT_WHOLE:
                stored = peer.log.fetch(author, first)
                if stored is not None:
                    self._answer(self._split(letters.encode_operation(author, first, stored)))
            elif entry[2]:
                self._asked_operations(author, first, entry[2], now)
            else:
                self._next_sealed = min(self._next_sealed, max(peer.receipted(author), first - 1))
                self._seal = None
                self._dirty = True

    def _asked_operations(self, author: bytes, first: int, bits: int, now: int) -> None:
        """Who asks has what is before the first, and misses those of the bits: they are said again."""
        wanted = [first + index for index in range(16) if bits >> index & 1]
        there = False
        for entry in reversed(self._flying):
            there = there or 0 < entry[3] < first
            if there and not entry[4]:
                # Its schema is there, too.
                entry[1:3] = [PASSED, now]
            elif entry[3] in wanted and entry[1] < PASSED:
                entry[1:3] = [min(entry[1], PUSHES - 1), now]
                wanted.remove(entry[3])
        self._next_number = max(self._next_number, min(first - 1, self.peer.log.held(author)))
        self._dirty = True
        found = 0
        for number in wanted:
            stored = self.peer.log.fetch(author, number) if number <= self._next_number else None
            if stored is not None and found < _MOST_OPERATIONS:
                found += 1
                self._answer(self._frames(author, number, stored))

    def _wish(self, now: int) -> None:
        """Ask for documents, if some are wanted."""
        if self._wisher is None and self.peer.may_want:
            from .wisher import Wisher

            self._wisher = Wisher(self, self._random, now)
        self._wish_at = now + _WISH_MS if self._wisher is None else self._wisher.step(now)

    def errand(self, now: int) -> list | None:
        """Return what has come of documents, if it is time to take that in or to ask for some."""
        wisher = self._wisher
        return wisher.whole if wisher and now >= wisher.errand_at and not self._answers else None

    # ---- time

    def due(self, now: int) -> int:
        """See Mesh.due."""
        if self._dirty or self._answers:
            return now
        at = min(self._state_at, self._announce_at, self._wish_at)
        if self._flying:
            at = min(at, self._next(now)[2])
        for other in (self._tail_at, self._again_at):
            if other is not None and other < at:
                at = other
        return max(at, now)

    def say(self, now: int) -> tuple | None:
        """See Mesh.say."""
        if self._group:
            self._key = self._group.turn(now)
        self._look(now)
        if now >= self._wish_at:
            self._wish(now)
        if self._answers:
            return self._send(self._answers.pop(0), self._counter & 7, now)
        if now >= self._state_at:
            waits = self.peer.receipted(self.peer.author) < self.peer.log.held(self.peer.author)
            if self._behind:
                self._state_ms = _FIRST_STATE_MS
            else:
                self._state_ms = min(2 * self._state_ms, _OPEN_STATE_MS if waits else pace.STATE_MAX_MS)
            self._state_at = now + self._state_ms + self._random(self._state_ms // 2)
            if self.budget:
                if not self.budget.may_say(now, _STATE_EVENTS):
                    return None
                self.budget.said(_STATE_EVENTS)
            return frames.advertise(self._state(now)), not self.busy, _STATE_EVENTS
        if now >= self._announce_at:
            self._announce_at = now + pace.ANNOUNCE_MS
            return self._send(self._announce(now), self._counter & 7, now)
        entry = self._next(now) if self._flying else None
        if entry and entry[2] <= now and entry[1] < FIRST_PUSHES:
            entry[1] += 1
            entry[2] = now + _WAIT_MS * min(entry[1], _MOST_WAITS) + self._random(_WAIT_MS)
            # Who hears it pushed again, and has it, acknowledges it.
            return self._send(entry[0], entry[1] - 1, now)
        return None

    def _next(self, at: int) -> list:
        """Return what is pushed next: of what is due at a moment the oldest, else what is due first."""
        first = self._flying[0]
        for entry in self._flying:
            if first[2] > at and entry[1] < PUSHES and entry[2] < first[2]:
                first = entry
        return first

    def _send(self, frame: bytes, repeat: int, now: int) -> tuple:
        self._counter += 1
        self.stir(now)
        if self.budget:
            self.budget.said(_EVENTS)
        code = frames.code_of(self.peer.distance(now))
        if self._group and not check(self._key, frame):
            # It is older than the key.
            frame = frame[:-3] + frames.link_tag(self._key, frame[:-3])
        return frames.advertise(frames.with_hop(frame, code, repeat)), False, _EVENTS

    def _state(self, now: int) -> bytes:
        peer = self.peer
        self._counter += 1
        held = peer.log.held(peer.author)
        receipted = peer.receipted(peer.author)
        flags = (
            peer.time_flags(now) | (0 if self.busy else frames.CONNECTABLE) | (_BULK if self._stuck else 0)
        )
        if flags & frames.WANTS_TIME:
            self._asked_time = tells.ask(self._asked_time, self._counter, now)
        digest = receipted.to_bytes(4, "big") + bytes((held >> 8 & 0xFF, held & 0xFF))
        state = frames.State(
            peer.mesh[:2], self._counter & 0xFFFF, 0, digest, min(held - receipted, 0xFFFF),
            peer.distance(now), flags, LEAF, peer.author[:3], 0, self._left(now),
        )  # fmt: skip
        return frames.encode_state(state, self._key, self._base)

    def _left(self, now: int) -> int:
        """Return for how many tenths of a second it listens, 255 for always, 254 for a backlog."""
        if self._behind:
            return 254
        return min(253, max(0, self.until - now + 99) // 100) if self.period else 255

    def _announce(self, now: int) -> bytes:
        peer = self.peer
        held = peer.log.held(peer.author)
        stored = peer.log.fetch(peer.author, held)
        last_ms = hlc.stamp_ms(decode_body(stored)[0]) if stored else 0
        announce = tells.Announce(peer.author, held >> 16, last_ms >> 24, LEAF)
        if self.period:
            announce.period_s = self.period // 1000
            announce.due_ms = self._next_wake(now) - now
            announce.window = self.length // 100
        return frames.make(frames.ANNOUNCE, peer.mesh, tells.encode_announce(announce), self._key)

    # ---- what the shell asks

    def stir(self, now: int) -> None:
        """Stay awake for a window from now, if this wake has not lasted for long."""
        self.until = max(self.until, min(now + self.length, self.woke_at + pace.longest_wake(self.period)))

    def duty(self, now: int) -> int:
        """See Mesh.duty."""
        duty = _DUTY
        if self.period:
            duty = 100 if now < self.until else 0
        return self.budget.duty(now, duty) if self.budget else duty

    def visit(self, now: int, busy: object = ()) -> object:
        """It visits nobody."""
        return None

    def called(self, now: int) -> bool:
        """See Mesh.called."""
        return now < self._called_until

    def answered(self) -> None:
        """Note that somebody has connected."""
        self._called_until = 0

    def pushed(self, handed: tuple) -> None:
        """Go on behind what somebody has of the own log, (held, sealed), and carries on."""
        log = self.peer.log
        author = self.peer.author
        self._begin(
            max(self._number, min(handed[0], log.held(author))),
            max(self._sealed, min(handed[1], log.sealed(author))),
        )
        if self._number > self._receipted:
            # They were told with that: who missed them asks.
            self._schemas = set(self.peer.shared_schemas())

    def _next_wake(self, now: int) -> int:
        period = self.period or pace.LEAF_PERIOD_MS
        return self.woke_at + ((now - self.woke_at) // period + 1) * period

    def sleep_until(self, now: int) -> int | None:
        """See Mesh.sleep_until."""
        return None if self._dirty or now < self.until else self._next_wake(now)

    def save(self) -> bytes:
        """See Mesh.save."""
        return struct.pack(
            _SAVED,
            self._counter & 0x3FFFFFFF,
            self._number,
            self._sealed,
            min(self.peer.distance(self.until), 255),
            # In how many ms what has no receipt is pushed again; how often it was.
            max(1, self._again_at - self.until) if self.period and self._again_at else 0,
            self._tries,
        ) + b"".join(sorted(self._keepers.values()))

    def restore(self, data: bytes, now: int) -> bool:
        """See Mesh.restore."""
        size = struct.calcsize(_SAVED)
        if len(data) < size or (len(data) - size) % 8:
            return False
        self._counter, number, sealed, distance, again, self._tries = struct.unpack(_SAVED, data[:size])
        self.pushed((number, sealed))
        self._receipted = self.peer.receipted(self.peer.author)
        if again:
            self._again_at = now + max(0, again - self.period)
        if self._random(_ANNOUNCES):
            self._announce_at = now + pace.ANNOUNCE_MS
        if distance:
            self.peer.note_distance(distance - 1, now)
        for at in range(size, len(data), 8):
            self._keepers[data[at : at + 3]] = data[at : at + 8]
        return True
