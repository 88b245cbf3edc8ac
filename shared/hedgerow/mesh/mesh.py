"""The mesh engine of a peer: advertisements in, advertisements out, and when (SPEC 6).

It reads no clock and touches no radio: the shell tells it what was heard, and asks what to say and when.
"""

from hashlib import sha256

from .. import limits
from ..clock import hlc
from ..errors import HedgerowError
from ..operation import decode_body
from ..sync.hello import GATEWAY, LEAF, RELAY
from . import asks, frames, intake, tells
from .custody import Custody, name_of
from .density import Window as Count
from .density import interval_floor, number_of
from .down import Down
from .feed import Feed, letter_frames
from .intake import KNOWN, REFUSED, TAKEN, WAITS, Intake
from .names import Names
from .repair import LOG2, Repair, compares
from .schedule import Leaves, Window, own_digest
from .seen import Seen, who_of
from .speaker import AGAIN, ANSWER, FORWARD, OWN, STATUS, Speaker
from .tag import check
from .trickle import Trickle
from .visits import BULK, Visits

_RELAY_DUTY = limits.const(50)
_ACK_NAME = limits.const(-10)
_STATE_NAME = limits.const(-11)
_FLOOD_FOREVER_MS = limits.const(1 << 40)
_NAMED = (frames.OP, frames.LETTER_UP, frames.RECEIPT, frames.ANNOUNCE)
_COUNTERS = (
    "heard", "duplicates", "echoes", "strangers", "said", "events", "suppressed", "overflowed", "stored", "letters",
    "refused", "forgotten", "custody", "acked", "left", "acks", "repairs", "wants", "haves", "differences",
    "receipts", "announces", "times", "states", "passed", "unpaid", "calls", "again",
)  # fmt: skip


class Mesh:
    """What `peer` says and hears; times are the peer's milliseconds.

    `random(n)` gives an integer in [0, n); `key` is the mesh key; `budget` a Budget or None; `seal_ms` the age
    of the oldest own operation without a seal at which one is made; `hold_off_ms` and `table` are those of
    Visits. `window.period` is the time between two wakes of a leaf, as its shell sets it.
    """

    def __init__(
        self,
        peer: object,
        now: int,
        *,
        random: object,
        role: int = RELAY,
        key: bytes = b"",
        budget: object = None,
        seal_ms: int = limits.MESH_SEAL_MS,
        hold_off_ms: int = 2000,
        table: int = limits.MAX_NEIGHBOURS,
    ):
        self.peer = peer
        self.role = role
        self.key = key or sha256(b"hedgerow beacon " + peer.mesh).digest()
        self.random = random
        self.budget = budget
        self.stats = {name: 0 for name in _COUNTERS}
        # Who brings operations out of the mesh takes them in; others pass them on.
        self.collects = role == GATEWAY or peer.keeper
        self.flood = True
        self.code = frames.UNKNOWN
        self._seal_ms = seal_ms
        self._tail_at: int | None = None
        self.counter = random(0x10000)
        # The last payload of each address: repeats are most of what is heard.
        self._last: dict = {}
        self.seen = Seen(limits.MESH_SEEN)
        self.names = Names(4096 if self.collects else limits.MAX_NAMES)
        self.speaker = Speaker(random, self.stats)
        self.custody = Custody(peer.log, random, self.stats, now)
        self.feed = Feed(peer, self.custody, self.seen, self.key, now)
        self.intake = Intake(peer, self.names, self.stats, self.collects)
        self.repair = Repair(self)
        self.down = Down(self)
        self.visits = Visits(self, hold_off_ms, table)
        self.leaves = Leaves(self)
        self.window = Window(now)
        self.custody.patient = role == LEAF
        self._time_at = now + 2000
        self._told_at = now
        # Whether a leaf's STATE is still to be said in this wake.
        self._state_due = True
        self._trickle = Trickle(limits.STATE_MIN_MS, limits.STATE_MAX_MS, 2, random, now)
        self._census = Count(512, limits.MESH_CENSUS_MS, now)
        self._around = Count(512, limits.MESH_AROUND_MS, now)
        self._acks: dict = {}
        self._said_letters: list = []
        # Frames that may have to be said twice.
        self._twice: dict = {}
        # The whos of addresses, and when there is something to do next.
        self._whos: dict = {}
        self._due_at: int | None = None
        self.announce_at = now + random(2000)
        self._check_at = now
        # Until this peer has counted authors for long enough it goes by its neighbours.
        self._young_until = now + limits.MESH_CENSUS_MS
        peer.touched = set()
        peer.add_listener(self._committed)
        for author in peer.authors():
            self.names.learn(author, now)
            if author != peer.author or not self.collects:
                self.repair.update(author, now)
        self._dirty = self._fill = True

    def close(self) -> None:
        """Let go of the peer."""
        self.peer.remove_listener(self._committed)
        self.peer.touched = None

    def _committed(self) -> None:
        self._dirty = True

    # ---- hearing

    def heard(self, address: object, rssi: int, payload: bytes, now: int, connectable: bool = False) -> bool:
        """Take an advertisement; say whether it was one of this mesh. It never raises for what it holds."""
        last = self._last
        if last.get(address) == payload:
            self.stats["duplicates"] += 1
            return True
        at = frames.find(payload)
        if not at or payload[at + 1] != self.peer.mesh[0] or payload[at + 2] != self.peer.mesh[1]:
            return False
        stop = frames.end(payload, at)
        kind = payload[at] & 0x0F
        who = self._whos.get(address)
        if who is None:
            who = self._meet(address)
        count = name = 0
        if kind in _NAMED:
            name = frames.identity(payload, at, stop)
            count = self.seen.note(name, who)
            if count and self._echoed(kind, name, count, who, payload[at + 3], now):
                last[address] = bytes(payload)
                self._due_at = None
                return True
        frame = bytes(payload[at:stop])
        if not check(self.key, frame):
            self.stats["strangers"] += 1
            if name and not count:
                self.seen.forget(name)
            return False
        self.stats["heard"] += 1
        last[address] = bytes(payload)
        self._due_at = None
        try:
            self._take(kind, frame, name, count, who, address, rssi, now, connectable)
        except HedgerowError:
            self.stats["refused"] += 1
        return True

    def _meet(self, address: object) -> int:
        """Return what stands for an address in small tables."""
        if len(self._whos) >= limits.MESH_ADDRESSES:
            self._whos.clear()
            self._last.clear()
        who = self._whos[address] = who_of(address)
        return who

    def _echoed(self, kind: int, name: int, count: int, who: int, hop: int, now: int) -> bool:
        """Take note that one more peer says what was heard before; True if there is no more to it.

        Nothing of its content is used, so its tag need not be checked again.
        """
        self.stats["echoes"] += 1
        self.speaker.echo(name, count)
        if kind != frames.OP and kind != frames.LETTER_UP:
            return True
        code = hop >> 3
        custody = self.custody
        here = custody.echo(name, code, who, now)
        if custody.done.senders(name):
            # Who pushes it again has not heard that it got on.
            return not hop & 7 or (code <= self.code and not self.flood)
        if self.flood or self.collects:
            return self.role == LEAF
        return here or code <= self.code or self.role == LEAF

    def _take(
        self,
        kind: int,
        frame: bytes,
        name: int,
        count: int,
        who: int,
        address: object,
        rssi: int,
        now: int,
        connectable: bool,
    ) -> None:
        if kind == frames.OP or kind == frames.LETTER_UP:
            if not count and kind == frames.OP:
                self._census.add(number_of(frame[4:7]), now)
            self._carry(kind, frame, name, who, now)
        elif kind == frames.STATE:
            self._state(frames.decode_state(frame), address, rssi, connectable, now)
        elif kind == frames.ACK:
            what, keys = asks.decode_ack(frame)
            self.window.stir(now)
            for key in keys:
                self.custody.passed(key, frame[3] >> 3, who, what == asks.ACK_HELD, now)
                self._echo_ack(key, what == asks.ACK_HELD, who)
        elif kind == frames.HAVE:
            if self.flood and self.role != LEAF:
                self.repair.heard_have(frame, address, now)
        elif kind == frames.WANT:
            # Questions are asked again: those passed on are known by what they say, for a while.
            self.repair.heard_want(frame, now)
        elif kind == frames.TIME:
            self.down.heard_time(frame, now)
        elif kind == frames.CALL:
            self.visits.heard_call(frame, now)
        elif kind == frames.RECEIPT:
            self.window.stir(now)
            self.down.heard_receipt(frame, name, now)
        elif kind == frames.ANNOUNCE:
            self.down.heard_announce(frame, name, now)

    def _carry(self, kind: int, frame: bytes, name: int, who: int, now: int) -> None:
        """Take an OP, or a fragment of a letter on its way up."""
        code = frame[3] >> 3
        custody = self.custody
        here = custody.has(name)
        if custody.done.senders(name):
            # Who pushes it again has not heard that it got on.
            if frame[3] & 7 and (code > self.code or self.flood):
                self._acknowledge(frame, now, 20 + self.spread() // 2)
            return
        if self.role == LEAF:
            return
        if self.flood or self.collects:
            self._store(kind, frame, name, now)
        elif code > self.code and not here:
            if kind == frames.OP:
                self.down.note_route(frame[4:7])
            custody.offer(frame, name, now, 20 + self.spread() // 2)

    def _store(self, kind: int, frame: bytes, name: int, now: int) -> None:
        """Take it into the log, which holds what is open of all authors in a flood, or at a gateway."""
        if name in self.intake.waiting:
            self.intake.again(name, now)
            self._collect(now)
            if self.collects and name in self.intake.waiting:
                self._acknowledge(frame, now, self.random(limits.MESH_GATHER_MS))
            return
        if kind == frames.OP:
            result = self.intake.take(frame, name, now)
        else:
            result = self.intake.take_fragment(frame, now)
        if result == KNOWN:
            self.custody.done.note(name, 0)
            if frame[3] & 7 or self.collects:
                self._acknowledge(frame, now, self.random(limits.MESH_GATHER_MS))
            if self.collects and kind == frames.OP:
                self._answer_known(frame, now)
        elif result == WAITS:
            self._ask(kind, frame, name, now)
            if self.collects:
                self._acknowledge_waiting(kind, frame, name, now)
        elif result == REFUSED:
            self.seen.forget(name)
        self._collect(now)

    def _acknowledge_waiting(self, kind: int, frame: bytes, name: int, now: int) -> None:
        """Acknowledge what waits durably here for what comes before it."""
        parts = [frame] if kind == frames.OP and name in self.intake.waiting else []
        if kind != frames.OP:
            entry = self.intake.waiting_letter(frame[4:7])
            parts = letter_frames(self.peer, entry[1], self.key) if entry else []
        for part in parts:
            self.custody.done.note(name_of(part), 0)
            self._acknowledge(part, now, self.random(limits.MESH_GATHER_MS))

    def _answer_known(self, frame: bytes, now: int) -> None:
        """Who pushes what is receipted long since has missed the receipt."""
        authors = self.names.find(frame[4:7])
        if len(authors) == 1:
            number = frames.decode_op(frame).number
            receipted = self.peer.receipted(authors[0])
            if receipted and (receipted - number) & 0xFFFF < 0x8000:
                self.down.say_receipt(authors[0], now)

    def _ask(self, kind: int, frame: bytes, name: int, now: int) -> None:
        """Ask for what a frame waits for."""
        entry = self.intake.waiting.get(name)
        if kind != frames.OP:
            entry = self.intake.waiting_letter(frame[4:7])
            if entry is None:
                if self.flood:
                    # Otherwise whoever has the rest in custody pushes it anyhow.
                    self.repair.want(asks.WANT_LETTERS, frame[4:7], now)
                return
        if entry is not None:
            self._ask_for(entry, now)

    def _ask_for(self, entry: list, now: int) -> None:
        """Ask for what an entry of what waits lacks."""
        if entry[3] == intake.SCHEMA:
            self.repair.want(asks.WANT_SCHEMAS, entry[4], now)
        elif entry[3] == intake.WHOLE:
            self.repair.want(asks.WANT_WHOLE, entry[2], now)
        elif entry[3] == intake.AUTHOR:
            self.repair.want(asks.WANT_ANNOUNCES, entry[2], now)
        else:
            for author in self.names.find(entry[2]):
                if not self.peer.is_own(author):
                    self.intake.expect(author, entry[1])
                    self.repair.want(asks.WANT_OPERATIONS, author, now)

    def _collect(self, now: int) -> None:
        """Pass on, or acknowledge, what has become durable."""
        taken = self.intake.taken
        while taken:
            frame, content = taken.pop(0)
            parts = [frame]
            if frame is None:
                parts = letter_frames(self.peer, content, self.key)
                self.remember(parts, content, now)
            for part in parts:
                name = name_of(part)
                self.custody.done.note(name, 0)
                if self.flood:
                    self.pass_on(part, name, now, FORWARD)
                if self.collects:
                    self._acknowledge(part, now, self.random(limits.MESH_GATHER_MS))

    def pass_on(self, frame: bytes, name: int, now: int, urgency: int) -> None:
        """Say soon what somebody else has said, unless enough others do."""
        self.stats["passed"] += 1
        self.say_twice(now + 20 + self.spread(), urgency, name, frame[:3] + b"\0" + frame[4:])

    def say_twice(self, at: int, urgency: int, name: int, frame: bytes) -> None:
        """Say a frame at a moment, and once more if fewer than two others were heard saying it."""
        self.speaker.add(at, urgency, name, frame, limits.MESH_EVENTS, limits.MESH_QUIET)
        again = at + limits.MESH_AGAIN_SOON_MS + self.random(limits.MESH_AGAIN_SOON_MS)
        self.speaker.add(again, urgency, name | AGAIN, self._again, limits.MESH_EVENTS)
        self._twice[name] = frame
        if len(self._twice) > limits.MAX_SAYINGS:
            self._twice.pop(min(self._twice))

    def _again(self, name: int, now: int) -> bytes | None:
        name &= ~AGAIN
        frame = self._twice.pop(name, None)
        few = self.speaker.neighbours <= limits.MESH_FEW
        if frame is None or self.seen.senders(name) >= (min(2, max(1, self.speaker.neighbours)) if few else 1):
            return None
        self.stats["again"] += 1
        return frame

    def spread(self) -> int:
        """Return a wait within which about one of all in reach speaks each time that one frame takes."""
        return self.random(limits.MESH_TURN_MS * (1 + min(self.speaker.neighbours, limits.MESH_MOST_TURNS)))

    def _acknowledge(self, frame: bytes, now: int, wait: int) -> None:
        if len(self._acks) < limits.MESH_WAITING:
            self._acks[frame[4:10]] = 0
            self.speaker.add(now + wait, ANSWER, _ACK_NAME, self._say_acks, limits.MESH_EVENTS)

    def _echo_ack(self, key: bytes, held: bool, who: int) -> None:
        """Drop an acknowledgement that is to be said, where a gateway or two others have said it."""
        mark = self._acks.get(key)
        if mark is None:
            return
        if held or self.flood or (mark and mark != who | 0x100):
            del self._acks[key]
        else:
            self._acks[key] = who | 0x100

    def _say_acks(self, _: int, now: int) -> bytes | None:
        keys = sorted(self._acks)[:3]
        if not keys:
            return None
        for key in keys:
            del self._acks[key]
        if self._acks:
            self.speaker.add(now, ANSWER, _ACK_NAME, self._say_acks, limits.MESH_EVENTS)
        self.stats["acks"] += 1
        what = asks.ACK_HELD if self.collects else asks.ACK_PASSED
        return frames.make(frames.ACK, self.peer.mesh, asks.encode_ack(what, keys), self.key)

    def _state(self, state: object, address: object, rssi: int, connectable: bool, now: int) -> None:
        peer = self.peer
        if state.author == peer.author[:3] and state.role == self.role and not connectable:
            return
        peer.note_distance(state.distance, now)
        self._around.add(number_of(state.author), now)
        self.visits.heard(address, state, rssi, now)
        if state.flags & frames.WANTS_TIME:
            self.down.offer_time(now)
        if state.role == LEAF:
            if self.role != LEAF:
                self.leaves.heard(state, now)
        elif compares(self, state):
            if self.repair.compare(state, self.visits.shown(address), now):
                self._trickle.consistent()
            elif now >= self._check_at:
                # While something is still on its way, a difference says nothing.
                self._check_at = now + limits.STATE_SETTLE_MS
                self._trickle.inconsistent(now)

    # ---- what the parts need of each other

    def remember(self, parts: list, content: bytes, now: int) -> None:
        """Keep a letter that is said now, to say fragments of it again."""
        for known in self._said_letters:
            if known[1] == content:
                known[2] = now
                return
        self._said_letters.append([parts[0][4:7], content, now])
        if len(self._said_letters) > limits.MESH_SAID_LETTERS:
            self._said_letters.pop(0)

    def said_lately(self, content: bytes, now: int) -> bool:
        """Say whether a letter was said a moment ago."""
        for known in self._said_letters:
            if known[1] == content and now - known[2] < limits.MESH_LETTER_MS:
                return True
        return False

    def letter(self, name: bytes) -> bytes | None:
        """Return the content of a letter that was said."""
        for known in self._said_letters:
            if known[0] == name:
                return known[1]
        return None

    def last_ms(self, author: bytes) -> int:
        """Return the milliseconds of the last operation held of an author, 0 if it is not here."""
        log = self.peer.log
        stored = log.fetch(author, log.held(author))
        return hlc.stamp_ms(decode_body(stored)[0]) if stored else 0

    def announcement(self, now: int) -> object:
        """Return what this peer says of itself."""
        author = self.peer.author
        held = self.peer.log.held(author)
        announce = tells.Announce(author, held >> 16, self.last_ms(author) >> 24, self.role)
        if self.role == LEAF:
            announce.period_s = (self.window.period or limits.LEAF_PERIOD_MS) // 1000
            announce.due_ms = self.window.next(now) - now
            announce.window = limits.LEAF_WINDOW_MS // 100
        return announce

    # ---- time

    def due(self, now: int) -> int:
        """Return the moment of the next thing to do; say() does it."""
        if self._dirty:
            return now
        at = self._due_at
        if at is None:
            at = min(self._trickle.due, self._time_at, self.announce_at)
            for other in (
                self.speaker.due(),
                self.custody.due(),
                self.repair.due(),
                self.feed.due(),
                self._tail_at,
            ):
                if other is not None and other < at:
                    at = other
            self._due_at = at
        return at if at > now else now

    def say(self, now: int) -> tuple | None:
        """Do what is due; return (payload, connectable, events), or None if there is nothing to say now."""
        self._due_at = None
        self._refresh(now)
        for name, frame, own in self.custody.step(now, 4):
            self.speaker.add(now, OWN if own else FORWARD, name, frame, limits.MESH_EVENTS)
            self.custody.done.note(name, 0) if not own else None
        at = self.repair.due()
        if at is not None and at <= now:
            self.repair.step(now)
        if self._trickle.tick(now) and self.role != LEAF:
            self.speaker.add(now, STATUS, _STATE_NAME, self._say_state, 2)
        if now >= self._time_at:
            self._ask_time(now)
            for entry in list(self.intake.waiting.values()):
                self._ask_for(entry, now)
        if now >= self.announce_at:
            self.announce_at = (
                now + limits.MESH_ANNOUNCE_MS * 3 // 4 + self.random(limits.MESH_ANNOUNCE_MS // 2)
            )
            self.down.say_announce(self.peer.author, now)
        while True:
            saying = self.speaker.take(now)
            if saying is None:
                return None
            if self.budget and saying[1] > OWN and not self.budget.may_say(now, saying[4]):
                self.stats["unpaid"] += 1
                continue
            frame = saying[3]
            if not isinstance(frame, bytes):
                frame = frame(saying[2], now)
                if frame is None:
                    continue
            return self._send(frame, saying, now)

    def show(self, now: int) -> None:
        """Say our STATE at once: somebody wants to connect."""
        self.speaker.add(now, OWN, _STATE_NAME, self._say_state, 2)

    def tell_distance(self, now: int) -> None:
        """Say our STATE to somebody who is awake for a moment and knows no way to a keeper."""
        if now >= self._told_at and self.code < frames.UNKNOWN:
            self._told_at = now + limits.STATE_SETTLE_MS
            self.speaker.add(now + 30 + self.random(500), OWN, _STATE_NAME, self._say_state, 2)

    def _ask_time(self, now: int) -> None:
        """Show soon that the time is lacking here, while somebody in reach has it."""
        self._time_at = now + limits.MESH_TIME_MS + self.random(limits.MESH_TIME_MS)
        if self.role != LEAF and self.peer.wants_time(now) and self.visits.has_time():
            self.speaker.add(now, STATUS, _STATE_NAME, self._say_state, 2)

    def _send(self, frame: bytes, saying: list, now: int) -> tuple:
        kind = frame[0] & 0x0F
        connectable = kind == frames.STATE and self.role != GATEWAY
        if kind != frames.STATE:
            if saying[2] < 0:
                self.counter += 1
                repeat = self.counter & 7
            else:
                repeat = frame[3] & 7
            frame = frames.with_hop(frame, self.code, repeat)
            name = name_of(frame)
            if not self.seen.senders(name):
                self.seen.note(name, 0)
        events = saying[4]
        self.window.stir(now)
        self.speaker.said(events, saying[1], now)
        self.stats["said"] += 1
        self.stats["events"] += events
        if self.budget:
            self.budget.said(events)
        return frames.advertise(frame), connectable, events

    def _refresh(self, now: int) -> None:
        """Look at what has changed in the log, and how far a keeper is."""
        peer = self.peer
        code = frames.code_of(peer.distance(now))
        if code != self.code:
            self.code = self.custody.code = code
            self._dirty = True
        if self._dirty:
            self._dirty = False
            self._fill = True
            self._look(now)
        if self.role == LEAF and self._state_due:
            self.wake(now)
        if self._tail_at is not None and now >= self._tail_at:
            self._tail_at = None
            peer.seal(now)
            self._dirty = False
            self._fill = True
            self._look(now)
        again = self.feed.due()
        if self.collects or not (self.flood or self.code != frames.UNKNOWN):
            return
        if self._fill or self.custody.freed or (again is not None and now >= again):
            self._fill = self.custody.freed = False
            self.feed.fill(now)

    def _look(self, now: int) -> None:
        peer = self.peer
        touched = peer.touched
        if b"" in touched:
            touched.update(peer.authors())
            touched.discard(b"")
        authors = sorted(touched)
        touched.clear()
        for author in authors:
            if author == peer.author and self.collects:
                continue
            before = self.repair.update(author, now)
            if before is None:
                continue
            self.names.learn(author, now)
            self._check_at = now + limits.STATE_SETTLE_MS
            if peer.receipted(author) > before[2]:
                self.down.say_receipt(author, now)
        self.intake.look(now)
        self._collect(now)
        log = peer.log
        if self.role == LEAF and peer.author in authors:
            self.wake(now)
        if peer.author in authors and self.flood and self.speaker.neighbours <= limits.MESH_FEW:
            self._trickle.inconsistent(now)
        if log.held(peer.author) > log.sealed(peer.author):
            if self._tail_at is None:
                self._tail_at = now + self._seal_ms
        else:
            self._tail_at = None

    def _say_state(self, _: int, now: int) -> bytes:
        peer = self.peer
        self._mode(now)
        self.counter += 1
        bucket = self.repair.bucket(self.counter)
        flags = peer.time_flags(now)
        if self.role != GATEWAY:
            flags |= frames.CONNECTABLE
        if not self.flood:
            flags |= frames.GRADIENT
        if self.feed.stuck:
            flags |= BULK
        count = self.repair.open if self.flood else self.feed.backlog() + len(self.custody)
        state = frames.State(
            peer.mesh[:2], self.counter & 0xFFFF, bucket, self.repair.digest(bucket), count,
            peer.distance(now), flags, self.role, peer.author[:3], LOG2, 255,
        )  # fmt: skip
        if self.role == LEAF:
            state.digest = own_digest(peer)
            state.window = self.window.left(now)
        self.stats["states"] += 1
        return frames.encode_state(state, self.key)

    def _mode(self, now: int) -> None:
        """Flood while few authors are about; count who is in reach."""
        authors = self._census.estimate(now)
        limit = limits.FLOOD_AUTHORS if self.flood else limits.FLOOD_AGAIN_AUTHORS
        flood = authors <= limit and not (now < self._young_until and self.visits.gradient(now))
        if self.flood and not flood:
            # What a neighbour has in a flood is not on its way to a keeper yet.
            self.feed.rewind(self.peer.author, 0)
        self.set_flood(flood)
        self.speaker.neighbours = self._around.estimate(now)
        self._trickle.floor = max(interval_floor(self.speaker.neighbours, 4), limits.STATE_BUSY_MS)
        self.custody.nearer = self.visits.nearer(now)
        turns = min(self.speaker.neighbours, limits.MESH_MOST_TURNS)
        self.custody.patience = limits.MESH_BACKOFF_MS + limits.MESH_TURN_MS * turns

    def set_flood(self, flood: bool) -> None:
        """Flood, or bring operations to those nearer a keeper alone."""
        self._fill = True
        if not flood and not self.collects:
            self.repair.stop()
        self.flood = self.custody.flood = self.peer.flooding = flood

    # ---- what the shell asks

    def duty(self, now: int) -> int:
        """Return the percentage of time in which to listen."""
        duty = _RELAY_DUTY
        if self.role == LEAF:
            duty = 100 if now < self.window.until else 0
        return self.budget.duty(now, duty) if self.budget else duty

    def visit(self, now: int, busy: object = ()) -> object:
        """Return the address to connect to, or None; `busy` are being visited."""
        self._due_at = None
        return self.visits.candidate(now, busy)

    def called(self, now: int) -> bool:
        """Say whether to be connectable at the short interval, for somebody wants to connect."""
        return self.visits.called(now)

    def synced(self, address: object, summary: list | None, now: int, told: list | None = None) -> None:
        """Note a session that ended well: Exchange.summary and Exchange.told() of it."""
        self.visits.synced(address, now, told)

    def failed(self, address: object, now: int) -> None:
        """Note a session that failed."""
        self.visits.failed(address, now)

    def authors(self, address: object) -> list:
        """Return the authors whom an address spoke of in the last session."""
        return self.visits.authors(address)

    def wake(self, now: int) -> None:
        """Begin a leaf's window: it has woken, or written something."""
        if self.window.wake(now) or self._state_due:
            self._state_due = False
            self.speaker.add(now, OWN, _STATE_NAME, self._say_state, 2)

    def sleep_until(self, now: int) -> int | None:
        """Return until when a leaf may sleep, None to stay awake."""
        if self.role != LEAF or self._dirty or now < self.window.until:
            return None
        return self.window.next(now)

    def save(self) -> bytes:
        """Return what should survive a deep sleep, at most 512 bytes, with its CRC."""
        from .saved import save

        return save(self)

    def restore(self, data: bytes, now: int = 0) -> bool:
        """Take back what save() gave, after a sleep of the leaf's period; anything else is passed over."""
        from .saved import restore

        return restore(self, data, now)

    def neighbours(self, now: int) -> list:
        """Return [(name, rssi, age_ms, distance, role, due_ms or None, overdue)]."""
        return self.visits.report(now)
