"""The mesh engine of a peer: advertisements in, advertisements out, and when (SPEC 6).

It reads no clock and touches no radio: the shell tells it what was heard, and asks what to say and when.
"""

from hashlib import sha256

from .. import limits
from ..errors import HedgerowError
from ..presence import UNKNOWN_DISTANCE
from ..sync.hello import GATEWAY, LEAF, RELAY
from . import frames, pace
from .carrier import Carrier
from .custody import ONCE, Custody, name_of
from .density import Steady, number_of
from .density import Window as Count
from .down import Down
from .feed import Feed
from .names import Names
from .schedule import Leaves, Window
from .seen import Seen, who_of
from .speaker import OWN, REPAIR, STATUS, Speaker
from .tag import check
from .talk import STATE_NAME
from .trickle import Trickle
from .visits import Visits

_MANY_NAMES = limits.const(4096)
_LEAST_OP = limits.const(22)
_BITS = limits.const(512)
# Of tables where nothing is relayed.
_FEW = limits.const(6)
_FEW_SEEN = limits.const(32)
_FEW_NAMES = limits.const(8)
_FEW_BITS = limits.const(64)
_NAMED = (frames.OP, frames.LETTER_UP, frames.LETTER_DOWN, frames.RECEIPT, frames.ANNOUNCE)
# Most of these change nothing of what is due: what does says so.
_QUIET = (frames.STATE, frames.OP, frames.LETTER_UP, frames.ACK)
_COUNTERS = (
    "heard duplicates echoes strangers said events suppressed overflowed stored letters refused forgotten "
    "custody acked left acks repairs wants haves differences receipts announces times states "
    "passed unpaid calls again wishes fetched false apart barren crowded"
)


class Mesh(Carrier):
    """What `peer` says and hears; times are the peer's milliseconds.

    `random(n)` gives an integer in [0, n); `key` is the mesh key, `group` a Group or None;
    `budget` a Budget or None; `seal_ms` the
    age of the oldest own operation without a seal at which one is made; `hold_off_ms` and `table` are those
    of Visits. `window.period` is the time between two wakes of a leaf, as its shell sets it. Who does not
    `relays` needs a fraction of the room: it says its own, and takes what is for it.
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
        seal_ms: int = pace.SEAL_MS,
        hold_off_ms: int = 2000,
        table: int = limits.MAX_NEIGHBOURS,
        relays: bool = True,
        group: object = None,
    ):
        self.peer = peer
        self.role = role
        self.key = self.base = key or sha256(b"hedgerow beacon " + peer.mesh).digest()
        self.epochs = None
        self.random = random
        self.budget = budget
        self.stats = dict.fromkeys(_COUNTERS.split(), 0)
        # Who brings operations out of the mesh takes them in; others pass them on.
        # A leaf, or a board with little room, says its own and takes what is for it.
        self.relays = relays and role != LEAF
        self.collects = role == GATEWAY or peer.keeper
        self.flood = True
        self.code = frames.UNKNOWN
        self._seal_ms = seal_ms
        self.tail_at: int | None = None
        self.counter = random(0x10000)
        self._repeats = 0
        # Of each address what stands for it in small tables, and its last payload.
        self._last: dict = {}
        few = not self.relays
        self.seen = Seen(_FEW_SEEN if few else limits.MESH_SEEN)
        self.names = Names(_FEW_NAMES if few else _MANY_NAMES if self.collects else limits.MAX_NAMES)
        self.speaker = Speaker(random, self.stats)
        self.custody = Custody(peer.log, random, self.stats, now, few)
        self.feed = Feed(peer, self.custody, self.seen, self.key, now)
        self._intake = self._repair = self.wishes = None
        self.down = Down(self)
        self.visits = Visits(self, hold_off_ms, min(table, _FEW) if few else table, now)
        self.leaves = Leaves(self)
        self.window = Window(now)
        self.custody.patient = role == LEAF
        self._time_at = now + 2000
        self._time_wait = pace.TIME_MS
        self._asks_time = False
        self._told_at = self._wishes_at = now
        # Whether a leaf's STATE is still to be said in this wake.
        self._state_due = True
        self._acks: dict = {}
        self._said_letters: list = []
        self._acked_at = -pace.AROUND_MS
        self._shows = 0
        # More waits to be pushed than advertisements bring in time.
        self.many, self._full = False, {}
        self._op_head = b"\xff\xff\xff" + bytes((frames.VERSION | frames.OP,)) + peer.mesh[:2]
        self._due_at: int | None = None
        self._turns = pace.TURN_MS
        if group:
            from .epochs import Epochs

            self.epochs = Epochs(self, group, now)
        self._begin(now)

    def _begin(self, now: int) -> None:
        """Set the times, listen to the peer, and look at what is in its log."""
        random = self.random
        self._trickle = Trickle(pace.STATE_MIN_MS, pace.STATE_MAX_MS, 2, random, now)
        bits = _BITS if self.relays else _FEW_BITS
        self._census = Count(bits, pace.CENSUS_MS, now)
        self._around = Steady(bits, 2 * pace.AROUND_MS, now)
        self.announce_at = now + random(2000)
        self._check_at = now
        # Where all boards of a field start at once, they do not speak at once.
        self.start_at = now + random(pace.START_MS)
        # Until it has heard somebody it does not know whether there is a flood.
        self._met_at = now + pace.MEET_MS
        # Who has counted many floods again only after a long time in which few were heard.
        self._crowd = Count(bits, pace.CROWD_MS, now)
        self._crowded = False
        self.receipts_at = now - pace.AGAIN_MS
        self.names.learn(self.peer.author, now)
        self.names.pin(self.peer.author)
        for author in self.peer.authors():
            self.names.learn(author, now)
            if author != self.peer.author or not self.collects:
                if self.relays:
                    self.repair.update(author, now)
        receipt = self.peer.receipt(self.peer.author)
        if receipt is not None:
            # So its next word counts at once: a leaf begins anew in each wake.
            self.names.learn(receipt.keeper, now)
        self._dirty = self._fill = True
        # At the end: the peer holds on to who listens, even if memory ran out before.
        self.peer.touched = set()
        self.peer.add_listener(self._committed)

    @property
    def intake(self) -> object:
        """What takes things into the log; loaded where somebody relays, or documents come down."""
        if self._intake is None:
            from .intake import Intake

            self._intake = Intake(self)
        return self._intake

    @property
    def repair(self) -> object:
        """What asks and answers; loaded where somebody relays, or has something to ask."""
        if self._repair is None:
            from .repair import Repair

            self._repair = Repair(self)
        return self._repair

    def close(self) -> None:
        """Let go of the peer."""
        self.peer.remove_listener(self._committed)
        self.peer.touched = self.peer.carried = None

    def _committed(self) -> None:
        self._dirty = True

    # ---- hearing

    def heard(self, address: object, rssi: int, payload: bytes, now: int, connectable: bool = False) -> bool:
        """Take an advertisement; say whether it was one of this mesh. It never raises for what it holds."""
        last = self._last.get(address)
        if last is not None and last[1] == payload:
            self.stats["duplicates"] += 1
            return True
        if payload[1:7] == self._op_head and payload[0] + 1 == len(payload) > _LEAST_OP:
            # Most of what is heard in a mesh.
            at = 4
            kind = frames.OP
        else:
            at = frames.find(payload)
            if not at or payload[at + 1] != self.peer.mesh[0] or payload[at + 2] != self.peer.mesh[1]:
                return False
            kind = payload[at] & 0x0F
        stop = at + payload[at - 4] - 3
        if last is None:
            last = self._meet(address)
        who = last[0]
        count = name = 0
        if kind in _NAMED:
            name = frames.identity(payload, at, stop)
            if kind == frames.RECEIPT and not self.flood:
                # That it got farther shows who is farther: of all others one counts, as 0.
                who = who | 1 if payload[at + 3] >> 3 > self.code else 0
            count = self.seen.again(name, who)
            if count and self._echoed(kind, name, count, address, who, payload, at, now):
                # What is pushed again word for word is to be heard each time.
                if payload[at + 3] & 7 < ONCE - 1 or (kind != frames.OP and kind != frames.LETTER_UP):
                    last[1] = bytes(payload)
                return True
        frame = bytes(payload[at:stop])
        good = (kind or not self.epochs) and check(self.key, frame)
        if self.epochs and not good:
            good = self.epochs.read(frame, address, rssi, now)
            if not good:
                return False
            if good != frame:
                # Whoever has the same key goes by the same name for it.
                return self.heard(address, rssi, payload[:at] + good + payload[stop:], now, connectable)
        elif not good:
            self.stats["strangers"] += 1
            return False
        if name and not count:
            self.seen.note(name, who)
        self.stats["heard"] += 1
        if frame[3] & 7 < ONCE - 1 or (kind != frames.OP and kind != frames.LETTER_UP):
            last[1] = bytes(payload)
        if kind not in _QUIET:
            self._due_at = None
        try:
            self._take(kind, frame, name, count, (address, rssi, connectable), now)
        except HedgerowError:
            self._due_at = None
            self.stats["refused"] += 1
        return True

    def _meet(self, address: object) -> list:
        """Return what is remembered of an address, which is new."""
        if len(self._last) >= limits.MESH_ADDRESSES:
            self._last.clear()
        entry = self._last[address] = [who_of(address), b""]
        return entry

    def _echoed(
        self, kind: int, name: int, count: int, address: object, who: int, payload: bytes, at: int, now: int
    ) -> bool:
        """Take note that one more peer says what was heard before; True if there is no more to it.

        Nothing of its content is used, so its tag need not be checked again.
        """
        self.stats["echoes"] += 1
        hop = payload[at + 3]
        if name in self.speaker.names:
            # Who is as far is heard by those who asked, too.
            level = self.speaker.names[name][1] == REPAIR
            saying = self.speaker.echo(name, count, self.gets_on(kind, (hop >> 3) - level))
            if saying:
                self._due_at = None
                self.say_onward(saying, now)
        if kind == frames.RECEIPT and not self.flood:
            down = self.down
            if not down.cares(payload, at, now) or down.passed(name, hop >> 3, now):
                return True
            # Who said it before, on another occasion, says nothing of who hears it now.
            self.seen.forget(name)
            self.seen.note(name, who)
            return False
        if kind != frames.OP and kind != frames.LETTER_UP:
            return not self.down.of_use(kind, payload, at, now)
        code = hop >> 3
        custody = self.custody
        if self.visits.ways.barred(address, code, now):
            return True
        here = custody.has(name)
        if here:
            key = custody.echo(name, code, hop & 7, now)
            if key:
                self.visits.ways.hears(address, now)
                if not self.flood and self.visits.ways.nearer > 1:
                    # Others who are about to take it need not.
                    self._acknowledge(key, now, 20)
            self._due_at = None
        if custody.knows(name, code, now):
            # Who pushes it again has not heard that it got on.
            return not hop & 7 or (code <= self.code and not self.flood)
        if self.flood or self.collects:
            return not self.relays
        return here or not self.relays or self._beyond(name, code, now) or custody.full(now)

    def _take(self, kind: int, frame: bytes, name: int, count: int, where: tuple, now: int) -> None:
        address, rssi, connectable = where
        if kind and kind in _QUIET and self.visits.ways.barred(address, frame[3] >> 3, now):
            return
        if kind == frames.OP or kind == frames.LETTER_UP:
            if not count and kind == frames.OP:
                self._count(frame[4:7], now)
            self._carry(kind, frame, name, now, address)
        elif kind == frames.STATE:
            self._state(frames.decode_state(frame), address, rssi, connectable, now)
        elif kind == frames.ACK:
            self._heard_ack(frame, address, now)
        elif kind == frames.HAVE:
            if self.flood and self.relays:
                self.repair.heard_have(frame, address, now)
        elif kind == frames.WANT:
            self.repair.heard_want(frame, now)
        elif kind == frames.LETTER_DOWN:
            self._letter_down(frame, now)
        elif kind == frames.TIME:
            self.down.heard_time(frame, now)
        elif kind == frames.CALL:
            self.visits.heard_call(frame, now)
        elif kind == frames.RECEIPT:
            if not self.peer.members:
                self.visits.ways.word(frame, now)
            self.down.heard_receipt(frame, name, now)
        elif kind == frames.ANNOUNCE:
            self.down.heard_announce(frame, name, now)

    def _state(self, state: object, address: object, rssi: int, connectable: bool, now: int) -> None:
        peer = self.peer
        if state.author == peer.author[:3] and state.role == self.role and not connectable:
            return
        number = number_of(state.author)
        self._around.add(number, now)
        if now < self._met_at:
            self._met_at = now
        lost = state.distance >= UNKNOWN_DISTANCE
        if self.visits.heard(address, state, rssi, now):
            self.visits.ways.rank(now)
        if self.flood and state.flags & frames.GRADIENT and not self._crowd.whole(now):
            self._census.add(number, now)
            self._mode(now)
        if state.flags & frames.WANTS_TIME:
            self._due_at = None
            self.down.offer_time(state.author, state.counter, now)
        if not self.flood and state.role == RELAY and not lost and state.flags & frames.GRADIENT:
            # Most of what is heard where nothing happens.
            return
        self._due_at = None
        if state.role == LEAF:
            if self.relays:
                self.leaves.heard(state, now)
        elif not self.flood and state.role != GATEWAY and (lost or not state.flags & frames.GRADIENT):
            # It is new here, or knows no way.
            if self.lot():
                self.tell_distance(now)
        elif self.relays and self.flood and not state.flags & frames.GRADIENT:
            same = self.repair.compare(state, self.visits.shown(address), now)
            if same:
                self._trickle.consistent()
            elif same is False and now >= self._check_at:
                # While something is still on its way, a difference says nothing.
                self._check_at = now + pace.STATE_SETTLE_MS
                self._trickle.inconsistent(now)

    # ---- time

    def due(self, now: int) -> int:
        """Return the moment of the next thing to do; say() does it."""
        if self._dirty:
            return now
        if self.role == LEAF and now >= self.window.until:
            return max(now, self.window.wakes_at())
        at = self._due_at
        if at is None:
            at = min(self._trickle.due, self._time_at, self.announce_at)
            if self.wishes is not None and self._wishes_at < at:
                at = self._wishes_at
            if self._fill or self.custody.freed:
                at = min(at, self.start_at)
            for other in (
                self.speaker.due(),
                self.speaker.after(self.custody.due()),
                self._repair.due() if self._repair is not None else None,
                self._again_due(),
                self.tail_at,
            ):
                if other is not None and other < at:
                    at = other
            if self.epochs:
                at = self.epochs.due(at)
            self._due_at = at
        return at if at > now else now

    def say(self, now: int) -> tuple | None:
        """Do what is due; return (payload, connectable, events), or None if there is nothing to say now."""
        self._due_at = None
        if self.role == LEAF and now >= self.window.until and not self._dirty:
            if now < self.window.wakes_at():
                return None
            self.wake(now)
        if self.epochs:
            self.epochs.look(now)
        self._refresh(now)
        self._push(now)
        if now >= self._wishes_at:
            self._step_wishes(now)
        at = self._repair.due() if self._repair is not None else None
        if at is not None and at <= now:
            self.repair.step(now)
        if now >= self._trickle.due:
            self.visits.ways.rank(now)
            self._mode(now)
        if self._trickle.tick(now) and self.role != LEAF:
            self.speaker.add(now, STATUS, STATE_NAME, self._say_state, 2)
        if now >= self._time_at:
            self._ask_time(now)
        if now >= self.announce_at:
            self.announce_at = self.down.announce(now)
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

    def _send(self, frame: bytes, saying: list, now: int) -> tuple:
        if self.epochs:
            frame = self.epochs.sign(frame)
        kind = frame[0] & 0x0F
        connectable = kind == frames.STATE and self.role != GATEWAY
        if kind != frames.STATE:
            endless = saying[2] < 0
            self._repeats += endless
            repeat = self._repeats if endless else frame[3]
            frame = frames.with_hop(frame, self.code, repeat)
            name = name_of(frame)
            if not self.seen.senders(name):
                self.seen.note(name, 0)
        events = saying[4]
        self.window.stir(now)
        self.speaker.said(events, saying[1], now)
        self.stats["said"] += 1
        self.stats["events"] += events
        self._more(saying, now)
        if self.budget:
            self.budget.said(events)
        return frames.advertise(frame), connectable, events
