"""The mesh engine of a peer: advertisements in, advertisements out, and when (SPEC 6).

It reads no clock and touches no radio: the shell tells it what was heard, and asks what to say and when.
"""

from hashlib import sha256

from .. import limits
from ..clock import hlc
from ..errors import HedgerowError
from ..operation import decode_body
from ..sync.hello import GATEWAY, LEAF, RELAY
from . import asks, frames, tells
from .custody import Custody, name_of
from .density import Window, interval_floor, number_of
from .down import Down
from .feed import Feed
from .intake import KNOWN, REFUSED, TAKEN, WAITS, Intake
from .names import Names
from .repair import LOG2, Repair, compares
from .seen import Seen, who_of
from .speaker import ANSWER, EVENT_MS, FORWARD, OWN, STATUS, Speaker
from .tag import check
from .trickle import Trickle
from .visits import Visits

_RELAY_DUTY = limits.const(50)
_ACK_NAME = limits.const(-10)
_STATE_NAME = limits.const(-11)
_FLOOD_FOREVER_MS = limits.const(1 << 40)
_COUNTERS = (
    "heard", "duplicates", "strangers", "said", "events", "suppressed", "overflowed", "stored", "letters",
    "refused", "forgotten", "custody", "acked", "left", "acks", "repairs", "wants", "haves", "differences",
    "receipts", "announces", "times", "states", "passed",
)  # fmt: skip


class Mesh:
    """What `peer` says and hears; times are the peer's milliseconds.

    `random(n)` gives an integer in [0, n); `key` is the mesh key; `budget` a Budget or None; `seal_ms` the age
    of the oldest own operation without a seal at which one is made; `hold_off_ms` and `table` are those of
    Visits. `period` is the time between two wakes of a leaf, as its shell sets it.
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
        self.period = 0
        self.code = frames.UNKNOWN
        self._seal_ms = seal_ms
        self._tail_at: int | None = None
        self._counter = random(0x10000)
        # The last payload of each address: repeats are most of what is heard.
        self._last: dict = {}
        self.seen = Seen(limits.MESH_SEEN)
        self.names = Names(4096 if self.collects else limits.MAX_NAMES)
        self.speaker = Speaker(random, self.stats)
        self.custody = Custody(peer.log, random, self.stats, now)
        self.feed = Feed(peer, self.custody, self.key, now)
        self.intake = Intake(peer, self.names, self.stats)
        self.repair = Repair(self)
        self.down = Down(self)
        self.visits = Visits(self, hold_off_ms, table)
        self._trickle = Trickle(limits.STATE_MIN_MS, limits.STATE_MAX_MS, 2, random, now)
        self._census = Window(512, limits.MESH_CENSUS_MS, now)
        self._around = Window(512, limits.MESH_AROUND_MS, now)
        self._acks: dict = {}
        self._said_letters: list = []
        self._announce_at = now + random(2000)
        self._check_at = now
        peer.touched = set()
        peer.add_listener(self._committed)
        for author in peer.authors():
            self.names.learn(author, now)
            if author != peer.author or not self.collects:
                self.repair.update(author)
        self._dirty = True

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
        count = 0
        name = 0
        who = who_of(address)
        if kind != frames.STATE:
            name = frames.identity(payload, at, stop)
            count = self.seen.senders(name)
        frame = bytes(payload[at:stop])
        # What was heard before is known to be of this mesh.
        if not count and not check(self.key, frame):
            self.stats["strangers"] += 1
            return False
        self.stats["heard"] += 1
        if len(last) >= limits.MESH_ADDRESSES:
            last.clear()
        last[address] = bytes(payload)
        try:
            self._take(kind, frame, name, count, who, address, rssi, now, connectable)
        except HedgerowError:
            self.stats["refused"] += 1
        return True

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
            count = self.seen.note(name, who)
            if count:
                self.speaker.echo(name, count)
            elif kind == frames.OP:
                self._census.add(number_of(frame[4:7]), now)
            self._carry(kind, frame, name, who, now)
        elif kind == frames.STATE:
            self._state(frames.decode_state(frame), address, rssi, connectable, now)
        elif kind == frames.ACK:
            what, keys = asks.decode_ack(frame)
            for key in keys:
                self.custody.passed(key, frame[3] >> 3, who, what == asks.ACK_HELD, now)
                if self._acks.get(key, 1) == 0 or what == asks.ACK_HELD:
                    self._acks.pop(key, None)
        elif kind == frames.HAVE:
            if self.flood and self.role != LEAF:
                self.repair.heard_have(frame, now)
        elif kind == frames.WANT:
            # Questions are asked again: those passed on are known by what they say, for a while.
            self.repair.heard_want(frame, now)
        elif kind == frames.TIME:
            self.down.heard_time(frame, now)
        elif kind == frames.CALL:
            self.visits.heard_call(frame, now)
        else:
            count = self.seen.note(name, who)
            if count:
                self.speaker.echo(name, count)
            elif kind == frames.RECEIPT:
                self.down.heard_receipt(frame, name, now)
            elif kind == frames.ANNOUNCE:
                self.down.heard_announce(frame, name, now)

    def _carry(self, kind: int, frame: bytes, name: int, who: int, now: int) -> None:
        """Take an OP, or a fragment of a letter on its way up."""
        code = frame[3] >> 3
        custody = self.custody
        here = custody.echo(name, code, who, now)
        if custody.done.senders(name):
            # Who says it again has not heard that it got on.
            if frame[3] & 7 and code >= self.code:
                self._acknowledge(frame, now, 50 + self.random(400))
            return
        if self.role == LEAF:
            return
        if self.flood or self.collects:
            self._store(kind, frame, name, now)
        elif code > self.code and not here:
            custody.offer(frame, name, now, 50 + self.random(limits.MESH_FORWARD_MS))

    def _store(self, kind: int, frame: bytes, name: int, now: int) -> None:
        """Take it into the log, which holds what is open of all authors in a flood, or at a gateway."""
        if name in self.intake.waiting:
            self.intake.again(name, now)
            self._collect(now)
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
        elif result == REFUSED:
            self.seen.forget(name)
        self._collect(now)

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
            self.repair.want(asks.WANT_LETTERS, frame[4:7], now)
            return
        if entry is None:
            return
        if entry[3] == 2:
            self.repair.want(asks.WANT_SCHEMAS, entry[4], now)
        elif entry[3] == 1:
            self.repair.want(asks.WANT_ANNOUNCES, entry[2], now)
        else:
            for author in self.names.find(entry[2]):
                self.repair.want(asks.WANT_OPERATIONS, author, now)

    def _collect(self, now: int) -> None:
        """Pass on, or acknowledge, what has become durable."""
        taken = self.intake.taken
        while taken:
            frame, content = taken.pop(0)
            parts = [frame]
            if frame is None:
                from .feed import letter_frames

                parts = letter_frames(self.peer, content, self.key)
                self.remember(parts, content)
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
        wait = 30 + self.random(limits.MESH_FORWARD_MS)
        self.speaker.add(
            now + wait, urgency, name, frame[:3] + b"\0" + frame[4:], limits.MESH_EVENTS, limits.MESH_QUIET
        )

    def _acknowledge(self, frame: bytes, now: int, wait: int) -> None:
        if len(self._acks) < limits.MESH_WAITING:
            self._acks[frame[4:10]] = 0
            self.speaker.add(now + wait, ANSWER, _ACK_NAME, self._say_acks, limits.MESH_EVENTS)

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
        if compares(self, state):
            if self.repair.compare(state, self.visits.shown(address), now):
                self._trickle.consistent()
            elif now >= self._check_at:
                # While something is still on its way, a difference says nothing.
                self._check_at = now + limits.STATE_SETTLE_MS
                self._trickle.inconsistent(now)

    # ---- what the parts need of each other

    def remember(self, parts: list, content: bytes) -> None:
        """Keep a letter that was said, to say fragments of it again."""
        name = parts[0][4:7]
        for known in self._said_letters:
            if known[0] == name:
                return
        self._said_letters.append((name, content))
        if len(self._said_letters) > limits.MESH_SAID_LETTERS:
            self._said_letters.pop(0)

    def letter(self, name: bytes) -> bytes | None:
        """Return the content of a letter that was said."""
        for known, content in self._said_letters:
            if known == name:
                return content
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
        return tells.Announce(author, held >> 16, self.last_ms(author) >> 24, self.role)

    # ---- time

    def due(self, now: int) -> int:
        """Return the moment of the next thing to do; say() does it."""
        if self._dirty:
            return now
        at = self._trickle.due
        for other in (
            self.speaker.due(),
            self.custody.due(),
            self.repair.due(),
            self.feed.due(),
            self._tail_at,
        ):
            if other is not None and other < at:
                at = other
        if self._announce_at < at:
            at = self._announce_at
        return max(at, now)

    def say(self, now: int) -> tuple | None:
        """Do what is due; return (payload, connectable, events), or None if there is nothing to say now."""
        self._refresh(now)
        for name, frame, own in self.custody.step(now, 4):
            self.speaker.add(now, OWN if own else FORWARD, name, frame, limits.MESH_EVENTS)
            self.custody.done.note(name, 0) if not own else None
        at = self.repair.due()
        if at is not None and at <= now:
            self.repair.step(now)
        if self._trickle.tick(now):
            self.speaker.add(now, STATUS, _STATE_NAME, self._say_state, 2)
        if now >= self._announce_at:
            self._announce_at = (
                now + limits.MESH_ANNOUNCE_MS * 3 // 4 + self.random(limits.MESH_ANNOUNCE_MS // 2)
            )
            self.down.say_announce(self.peer.author, now)
        while True:
            saying = self.speaker.take(now)
            if saying is None:
                return None
            frame = saying[3]
            if not isinstance(frame, bytes):
                frame = frame(saying[2], now)
                if frame is None:
                    continue
            return self._send(frame, saying, now)

    def _send(self, frame: bytes, saying: list, now: int) -> tuple:
        kind = frame[0] & 0x0F
        connectable = kind == frames.STATE and self.role != GATEWAY
        if kind != frames.STATE:
            if saying[2] < 0:
                self._counter += 1
                repeat = self._counter & 7
            else:
                repeat = frame[3] & 7
            frame = frames.with_hop(frame, self.code, repeat)
            self.seen.note(name_of(frame), 0)
        events = saying[4]
        self.speaker.said(events, saying[1], now)
        self.stats["said"] += 1
        self.stats["events"] += events
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
            self._look(now)
        if self._tail_at is not None and now >= self._tail_at:
            self._tail_at = None
            peer.seal(now)
            self._dirty = False
            self._look(now)
        if self.role != GATEWAY and not peer.keeper and (self.flood or self.code != frames.UNKNOWN):
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
            before = self.repair.update(author)
            if before is None:
                continue
            self.names.learn(author, now)
            self._check_at = now + limits.STATE_SETTLE_MS
            if peer.receipted(author) > before[2]:
                self.down.say_receipt(author, now)
        self.intake.look(now)
        self._collect(now)
        log = peer.log
        if peer.author in authors and self.flood:
            self._trickle.inconsistent(now)
        if log.held(peer.author) > log.sealed(peer.author):
            if self._tail_at is None:
                self._tail_at = now + self._seal_ms
        else:
            self._tail_at = None

    def _say_state(self, _: int, now: int) -> bytes:
        peer = self.peer
        self._mode(now)
        self._counter += 1
        bucket = self.repair.bucket(self._counter)
        flags = peer.time_flags(now)
        if self.role != GATEWAY:
            flags |= frames.CONNECTABLE
        if not self.flood:
            flags |= frames.GRADIENT
        count = self.repair.open if self.flood else self.feed.backlog() + len(self.custody)
        state = frames.State(
            peer.mesh[:2], self._counter & 0xFFFF, bucket, self.repair.digest(bucket), count,
            peer.distance(now), flags, self.role, peer.author[:3], LOG2, 255 if self.role != LEAF else 0,
        )  # fmt: skip
        self.stats["states"] += 1
        return frames.encode_state(state, self.key)

    def _mode(self, now: int) -> None:
        """Flood while few authors are about; count who is in reach."""
        authors = self._census.estimate(now)
        limit = limits.FLOOD_AUTHORS if self.flood else limits.FLOOD_AGAIN_AUTHORS
        self.flood = self.custody.flood = authors <= limit
        self.peer.flooding = self.flood
        self.speaker.neighbours = self._around.estimate(now)
        self._trickle.floor = max(interval_floor(self.speaker.neighbours, 4), limits.STATE_BUSY_MS)
        self.custody.nearer = self.visits.nearer(now)

    # ---- what the shell asks

    def duty(self, now: int) -> int:
        """Return the percentage of time in which to listen."""
        duty = 0 if self.role == LEAF else _RELAY_DUTY
        return self.budget.duty(now, duty) if self.budget else duty

    def visit(self, now: int, busy: object = ()) -> object:
        """Return the address to connect to, or None; `busy` are being visited."""
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

    def sleep_until(self, now: int) -> int | None:
        """Return until when a leaf may sleep, None to stay awake."""
        return None

    def save(self) -> bytes:
        """Return what should survive a deep sleep, at most 512 bytes."""
        return self._counter.to_bytes(4, "big")

    def restore(self, data: bytes) -> None:
        """Take back what save() gave; anything else is passed over."""
        if len(data) == 4:
            self._counter = int.from_bytes(data, "big")

    def neighbours(self, now: int) -> list:
        """Return [(name, rssi, age_ms, distance, role, due_ms or None, overdue)]."""
        return self.visits.report(now)
