"""What this peer pushes towards a keeper until others have it: custody of frames, and its own window.

A frame is opaque here: an OP or a fragment of a letter, the same whoever relays it. Those of others are
durable before anybody is told that they are here (SPEC 6.24).
"""

from array import array

from .. import limits
from ..errors import HedgerowError
from ..log import STATE_CUSTODY
from . import pace
from .asks import ACK_HELD, ACK_UPTO, covers
from .frames import OP, UNKNOWN, identity
from .seen import Recent

# Places of others' frames come first, then those of the own window, whose frames the log can make again.
_OWN = limits.MAX_CUSTODY
_PLACES = limits.MAX_CUSTODY + limits.MESH_WINDOW
_NOTE = b"f"
_FREE = limits.const(0)
# Where nothing is relayed.
_FEW_DONE = limits.const(16)
# Pushes again wait twice as long each time, up to this; after many for long.
_DOUBLINGS = limits.const(4)
# A push after so many others counts against those who should have taken it.
_VAIN = limits.const(4)
_MANY = limits.const(12)
_MOST_DOUBLINGS = limits.const(7)
# Beside the name of a frame: that it came back from one who had it from here.
BACK = limits.const(1 << 28)
# So far below a receipt the low bits of a number say that it is covered.
BEHIND = limits.const(4096)
# Repeats that say so: whoever takes it again says it likewise, or does not.
AGAIN = limits.const(7)
ONCE = limits.const(6)
_ALL_PATIENCE = limits.const(4)
_SALT = limits.const(0x2545F49)
# After so many were taken a generation might come round to the one that was noted last.
_MOST_TAKEN = limits.const(200)
# Beside the number of pushes: that any others may have had it before; or those who are nearer by one hop.
_BACK = limits.const(128)
_MOVED = limits.const(64)
_COUNT = limits.const(63)


def name_of(frame: bytes) -> int:
    """Return the 30 bits that name a frame, whoever sends it."""
    return identity(frame, 0, len(frame))


class Custody:
    """`code` is the distance code of this peer, `flood` whether any neighbour's word is enough; the mesh
    keeps them up to date."""

    def __init__(self, log: object, random: object, stats: dict, now: int, few: bool = False):
        self._log = log
        self._random = random
        self._stats = stats
        self.code = 31
        self.flood = True
        self.patient = False
        # How long to wait for others to pass on what was pushed.
        self.patience = pace.BACKOFF_MS
        # Whether places of the own window have become free.
        self.freed = False
        # Whether something was pushed again and again in vain.
        self.vain = False
        # 0 for a free place.
        self._names = array("I", bytes(4 * _PLACES))
        self._due = [0] * _PLACES
        self._pushes = bytearray(_PLACES)
        # The first 5 bytes of what an ACK names a frame by: author or letter, number or fragment.
        self._short = array("I", bytes(4 * _PLACES))
        self._number = array("H", bytes(2 * _PLACES))
        self._index: dict = {}
        self._frames: dict = {}
        self._generation = bytearray(limits.MAX_CUSTODY)
        self._freed = bytearray(limits.MAX_CUSTODY)
        self._note_at: int | None = None
        self._taken = 0
        self._next: int | None = None
        # Frames that this peer had, and others have now.
        # What is known at this distance, and the one before, is noted under names that differ by this.
        self._salt = self._salt_before = self._before = 0
        # The last distance that was one.
        self._was = UNKNOWN
        self._most = _FEW_DONE if few else limits.MESH_DONE
        self.forget(now)
        # Until when nothing is taken, for all places are full.
        self._full_until = now
        # What this peer will take unless others do: name -> [moment, sender's code, frame]
        self._pending: dict = {}
        self._load(now)

    def _load(self, now: int) -> None:
        """Take up what was in custody before the boot, spread over a minute."""
        self._freed[:] = self._log.get(STATE_CUSTODY, _NOTE) or bytes(limits.MAX_CUSTODY)
        for key, value in self._log.items(STATE_CUSTODY):
            if len(key) != 2 or key[1] >= limits.MAX_CUSTODY or not value:
                continue
            place = key[1]
            self._generation[place] = value[0]
            if value[0] != self._freed[place]:
                self._enter(place, value[1:], now + 2000 + self._random(60000))

    def __len__(self) -> int:
        return len(self._index)

    def count(self) -> int:
        """Return how many frames of others are here."""
        return len([1 for place in self._index.values() if place < _OWN])

    # ---- own frames

    def room(self) -> int:
        """Return how many frames more the own window takes."""
        return len([1 for place in range(_OWN, _PLACES) if self._names[place] == _FREE])

    def push(self, frame: bytes, now: int, back: bool = False) -> None:
        """Push a frame that the log can make again; there is room. `back`: also to those who had it."""
        name = name_of(frame)
        if name in self._index:
            return
        for place in range(_OWN, _PLACES):
            if self._names[place] == _FREE:
                # One name has one place: else the other would never be free again.
                self._pending.pop(name, None)
                self._frames[place] = frame
                self._enter(place, frame, now)
                self._pushes[place] = _BACK if back else 0
                return

    def in_turn(self, frames: list) -> list:
        """Return frames in the order in which to push them.

        A leaf's wake may end before the last fragment of a letter, and the next one knows of none: each is
        the first at times.
        """
        at = self._random(len(frames)) if self.patient and len(frames) > 1 else 0
        return frames[at:] + frames[:at]

    def flying(self) -> list:
        """Return the names of the own frames that nobody has acknowledged yet."""
        return [self._names[place] for place in range(_OWN, _PLACES) if self._names[place] != _FREE]

    def clear(self) -> None:
        """Push the own frames no more."""
        for place in range(_OWN, _PLACES):
            if self._names[place] != _FREE:
                self._free(place, 0)

    # ---- others' frames

    def offer(self, frame: bytes, name: int, now: int, wait: int) -> None:
        """Take a frame after `wait` ms, unless one who is nearer than its sender is heard passing it on."""
        if now < self._full_until:
            return
        if self._place(frame) is None:
            self._stats["refused"] += 1
            if self.count() >= limits.MAX_CUSTODY - limits.MESH_SPARE:
                self._full_until = now + self.patience
            return
        if len(self._pending) < limits.MESH_PENDING:
            self._pending[name] = [now + wait, frame[3] >> 3, frame]
            self._next = None

    def full(self, now: int) -> bool:
        """Say whether nothing is taken now."""
        return now < self._full_until

    def take(self, frame: bytes, name: int, now: int) -> bool:
        """Take a frame into custody, durable on return; False if there is no place, or no room in the log."""
        place = self._place(frame)
        if place is None:
            self._stats["refused"] += 1
            return False
        generation = self._generation[place] % 255 + 1
        try:
            self._taken += 1
            if self._taken >= _MOST_TAKEN:
                self._note()
            self._log.put(STATE_CUSTODY, b"p" + bytes((place,)), bytes((generation,)) + frame)
            self._log.commit()
        except HedgerowError:
            # A full log: whoever pushes it goes on.
            self._stats["refused"] += 1
            return False
        self._generation[place] = generation
        self._stats["custody"] += 1
        self._enter(place, frame, now)
        return True

    def _place(self, frame: bytes) -> int | None:
        """Return a free place for a frame, None if there is none.

        An author whose operations do not get on must not take all places, and then not those in which what
        came before them may follow.
        """
        short = int.from_bytes(frame[4:7], "big")
        number = frame[7] << 8 | frame[8]
        free = None
        count = 0
        first = True
        for place in range(_OWN):
            if self._names[place] == _FREE:
                free = place
            elif self._short[place] == short:
                count += 1
                if (self._number[place] - number) & 0x8000:
                    first = False
        if len(self._index) >= _OWN - limits.MESH_SPARE and count and not first:
            return None
        if count >= limits.MESH_SHARE + (limits.MESH_SPARE if first else 0):
            return None
        return free

    def _enter(self, place: int, frame: bytes, now: int) -> None:
        name = name_of(frame)
        self._names[place] = name
        self._short[place] = int.from_bytes(frame[4:7], "big")
        self._number[place] = frame[7] << 8 | frame[8]
        self._due[place] = now
        self._pushes[place] = _BACK if frame[3] & 7 == AGAIN else 0
        self._index[name] = place
        self._next = None

    def _free(self, place: int, now: int) -> None:
        name = self._names[place]
        self._index.pop(name, None)
        self._names[place] = _FREE
        self._next = None
        if place < _OWN:
            self._freed[place] = self._generation[place]
            if self._note_at is None:
                self._note_at = now + pace.NOTE_MS
            self.know(name, now)
        else:
            self._frames.pop(place, None)
            self.freed = True

    # ---- what others say of it

    def pending(self, name: int) -> bool:
        """Say whether a frame may be taken soon."""
        return name in self._pending

    def has(self, name: int) -> bool:
        """Say whether a frame is here, or may be taken soon."""
        return name in self._index or name in self._pending

    def echo(self, name: int, code: int, repeat: int, now: int) -> bytes:
        """Note that a peer with this distance code was heard saying a frame; its key if it has taken ours."""
        place = self._index.get(name)
        if place is not None:
            if code < self.code or (self.flood and place >= _OWN):
                key = self._frame(place)[4:10]
                self._acknowledge(place, now)
                return key
            if code == self.code and place < _OWN and self._pushes[place] & _COUNT < repeat < ONCE:
                # One as near has pushed it more often: it is left to that one.
                self._acknowledge(place, now)
            return b""
        entry = self._pending.get(name)
        if entry is None:
            return b""
        if code > self.code:
            # From here it is to go on all the same.
            entry[1] = min(entry[1], code)
        else:
            # Others have it, nearer than who pushed it: if that has not heard them, it is told.
            self._stats["left"] += 1
            del self._pending[name]
            self.know(name, now)
            self._next = None
        return b""

    def passed(self, key: bytes, code: int, what: int, now: int) -> bool | None:
        """Note an acknowledgement of the frame with this key, `what` as in an ACK; True if it is here, None
        if nothing is."""
        if not (self._index or self._pending):
            return None
        found = False
        held = ACK_HELD <= what <= ACK_UPTO
        upto = what >= ACK_UPTO
        short, number = int.from_bytes(key[:3], "big"), key[3] << 8 | key[4]
        for place in list(self._index.values()):
            if self._short[place] != short:
                continue
            ahead = number - self._number[place] & 0xFFFF
            if (upto and ahead < 0x8000) or (not ahead and self._frame(place)[9] == key[5]):
                if held or code < self.code or (self.flood and place >= _OWN):
                    self._acknowledge(place, now)
                    found = True
        for name in list(self._pending):
            frame = self._pending[name][2]
            if frame[4:10] == key or (upto and covers(key, frame[4:10])):
                if what > ACK_UPTO and code >= self._pending[name][1]:
                    # Who pushed it does not count that.
                    continue
                if held:
                    # Whoever pushes it all the same has not heard that.
                    self.know(name, now)
                if held or code == self._pending[name][1]:
                    # Who pushed it is rid of it.
                    del self._pending[name]
                    self._next = None
                else:
                    self.echo(name, code, 0, now)
        return found

    def receipted(self, short: bytes, number: int, now: int, others: bool = False) -> None:
        """Push the own frames of a short author up to a number no more; the operations of `others` too, if a
        keeper has told so in a way that acts everywhere."""
        for place in list(self._index.values()):
            if self._short[place] != int.from_bytes(short, "big"):
                continue
            behind = number - self._number[place] & 0xFFFF
            if behind < 0x8000:
                if place >= _OWN or (others and behind < BEHIND and self._frame(place)[0] & 0x0F == OP):
                    self._acknowledge(place, now)

    def move(self, code: int, now: int) -> None:
        """Take another distance: what found nobody who takes it may do so now."""
        was = self._was
        if code != UNKNOWN:
            self._was = code
        if code < was:
            # Those between had it from others who were not farther than they, and may have nobody else now.
            self._before = was
            self._salt_before = self._salt
            self._salt = self._salt * 5 + _SALT & 0x3FFFFFFF
        self.code = code
        self._next = None
        for place in self._index.values():
            if was < code < UNKNOWN and self._pushes[place]:
                # Those who are nearer now may have had it before this peer.
                again = self._pushes[place] & _MOVED
                self._pushes[place] |= _MOVED if code == was + 1 and not again else _BACK
            if self._pushes[place] & _COUNT > _DOUBLINGS:
                self._due[place] = min(self._due[place], now + self._random(_ALL_PATIENCE * self.patience))

    def know(self, name: int, now: int) -> None:
        """Note that a frame is here, or with others who are not farther."""
        self.done.note(name ^ self._salt, now)

    def knows(self, name: int, code: int, now: int) -> bool:
        """Say whether a frame need not be taken from a peer with this distance code."""
        done = self.done
        if done.has(name ^ self._salt, now):
            return True
        return (self.flood or code > self._before) and done.has(name ^ self._salt_before, now)

    def stir(self) -> None:
        """Look anew for what is due."""
        self._next = None

    def forget(self, now: int) -> None:
        """Know nothing as passed on any more."""
        self.done = Recent(self._most, pace.DONE_MS, now)

    def _acknowledge(self, place: int, now: int) -> None:
        """Another has it in custody: what is durable there need not stay here."""
        self._stats["acked"] += 1
        self._free(place, now)

    # ---- time

    def due(self) -> int | None:
        """Return when step() has something to do, None for never."""
        if self._next is None:
            at = self._note_at
            for place in self._ready():
                if at is None or self._due[place] < at:
                    at = self._due[place]
            for entry in self._pending.values():
                if at is None or entry[0] < at:
                    at = entry[0]
            self._next = at
        return self._next

    def _ready(self) -> object:
        """Return the places of what can get on: nothing does where no way to a keeper is known."""
        return self._index.values() if self.flood or self.code < UNKNOWN else ()

    def step(self, now: int, room: int) -> list:
        """Return [(name, frame, own)] of at most `room` frames to push now, oldest first."""
        if self._note_at is not None and now >= self._note_at:
            try:
                self._note()
            except HedgerowError:
                self._note_at = now + pace.NOTE_MS
        # What is not taken yet may still be taken by others, until there is a turn to say so.
        waiting = [(self._pending[name][0], name) for name in self._pending if self._pending[name][0] <= now]
        waiting.sort()
        for _, name in waiting[:room]:
            self.take(self._pending.pop(name)[2], name, now)
        due = [(self._due[place], place) for place in self._ready() if self._due[place] <= now]
        due.sort()
        # What has just been taken has not been said at all.
        due = due[len(due) - room :] if waiting else due[:room]
        found = [self._push(place, now) for _, place in due]
        self._next = None
        return [entry for entry in found if entry]

    def _note(self) -> None:
        """Note durably what was passed on: that need not be pushed again after a boot."""
        self._log.put(STATE_CUSTODY, _NOTE, bytes(self._freed))
        self._log.commit()
        self._note_at = None
        self._taken = 0

    def _push(self, place: int, now: int) -> tuple | None:
        pushes = self._pushes[place] & _COUNT
        back = self._pushes[place] & ~_COUNT
        own = place >= _OWN
        if own and self.flood and not self.patient and pushes >= pace.PUSHES:
            # In a flood repair does the rest.
            self._free(place, now)
            return None
        self._pushes[place] = min(pushes + 1, _COUNT) | back
        self.vain = self.vain or pushes >= _VAIN
        wait = self.patience << (min(pushes, _DOUBLINGS) if pushes < _MANY else _MOST_DOUBLINGS)
        if self.patient:
            # A leaf is awake for a moment only.
            wait = pace.LEAF_BACKOFF_MS
        self._due[place] = now + wait // 2 + self._random(wait)
        frame = self._frame(place)
        # The wakes of a leaf know nothing of each other's pushes: who has it already is to say so at once.
        least = 1 if self.patient else 0
        repeat = AGAIN if back >= _BACK else ONCE if back else min(max(pushes, least), ONCE - 1)
        return self._names[place], frame[:3] + bytes((repeat,)) + frame[4:], own

    def _frame(self, place: int) -> bytes:
        if place >= _OWN:
            return self._frames[place]
        return self._log.get(STATE_CUSTODY, b"p" + bytes((place,)))[1:]

    def again(self, author: bytes, number: int, now: int) -> bool:
        """Push the OP of a short author and the low bits of a number soon; False if it is not here."""
        short = int.from_bytes(author, "big")
        found = False
        for place in self._index.values():
            if self._short[place] == short and self._number[place] == number:
                self._due[place] = min(self._due[place], now + self._random(500))
                self._next = None
                found = True
        return found
