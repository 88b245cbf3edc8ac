"""What the engine says of itself and how often: STATE, letters, what is said twice, flood or gradient."""

from .. import limits
from ..clock import hlc
from ..operation import decode_body
from ..sync.hello import GATEWAY, LEAF, RELAY
from . import frames, pace, tells
from .density import interval_floor, number_of
from .schedule import own_digest
from .speaker import FORWARD, ONWARD, OWN, STATUS
from .visits import BEHIND, BULK, MANY

STATE_NAME = limits.const(-11)
SHOWS = limits.const(3)
_NO_ROOM = ("LOG_FULL", "QUOTA_FULL", "AUTHORS_FULL")
_RELAY_DUTY = limits.const(50)
# Buckets of authors, by the first byte of each: 8.
LOG2 = 3


class Talk:
    """The part of the engine that speaks; it needs the rest of it."""

    # Until when something was refused not long ago; when it is looked whether there is room again.
    short_until = _full_at = 0

    def lacks_room(self, code: str, short: bytes, now: int) -> None:
        """Something of a short author was refused with a code: for want of room more of it would be, too."""
        if code not in _NO_ROOM:
            return
        full = self._full
        if len(full) >= limits.MESH_WANTS and short not in full:
            del full[min([(full[one], one) for one in full])[1]]
        full[short] = now + pace.FULL_MS

    def is_full(self, short: bytes, now: int) -> bool:
        """Say whether something of a short author was refused for want of room within the last minute."""
        return now < self._full.get(short, 0)

    def takes(self, author: bytes, now: int) -> bool:
        """Say whether more of an author is taken (SPEC 5.13, 6.23.5)."""
        return not self.is_full(author[:3], now) and self.peer.takes(author)

    def has_room(self, author: bytes, now: int) -> bool:
        """See takes(); where nothing is taken it is looked whether there is room again, and told less for a
        while."""
        if self.takes(author, now):
            return True
        if now >= self._full_at:
            self._full_at = now + pace.LOOK_MS
            if self.peer.regain() and self.takes(author, now):
                return True
        self.short_until = now + pace.FULL_MS
        return False

    def duty(self, now: int) -> int:
        """Return the percentage of time in which to listen."""
        duty = _RELAY_DUTY
        if self.role == LEAF:
            duty = 100 if now < self.window.until else 0
        return self.budget.duty(now, duty) if self.budget else duty

    def save(self) -> bytes:
        """Return what should survive a deep sleep, at most 512 bytes, with its CRC."""
        from .saved import save

        return save(self)

    def restore(self, data: bytes, now: int = 0) -> bool:
        """Take back what save() gave, after a sleep of the leaf's period; anything else is passed over."""
        from .saved import restore

        return restore(self, data, now)

    def visit(self, now: int, busy: object = ()) -> object:
        """Return the address to connect to, or None; `busy` are being visited."""
        self._due_at = None
        return self.visits.candidate(now, busy)

    def called(self, now: int) -> bool:
        """Say whether to be connectable at the short interval, for somebody wants to connect."""
        return self.visits.called(now)

    def wake(self, now: int) -> None:
        """Begin a leaf's window: it has woken, or written something."""
        if self.window.wake(now) or self._state_due:
            self._state_due = False
            self._shows = SHOWS
            self.speaker.add(now, OWN, STATE_NAME, self._say_state, 2)

    def sleep_until(self, now: int) -> int | None:
        """Return until when a leaf may sleep, None to stay awake."""
        if self.role != LEAF or self._dirty or now < self.window.until:
            return None
        return self.window.next(now)

    def synced(self, address: object, summary: list | None, now: int, told: list | None = None) -> None:
        """Note a session that ended well: Exchange.summary and Exchange.told() of it."""
        self.visits.synced(address, now, told)
        ways = self.visits.ways
        # Who is barred counts as barred whatever it says of its distance.
        if not (self.flood or ways.barred(address, -1, now)) and self.feed.hand(address, told or (), now):
            ways.hears(address, now)

    def failed(self, address: object, now: int) -> None:
        """Note a session that failed."""
        self.visits.failed(address, now)

    def authors(self, address: object) -> list:
        """Return the authors whom an address spoke of in the last session."""
        return self.visits.authors(address)

    def neighbours(self, now: int) -> list:
        """Return [(name, rssi, age_ms, distance, role, due_ms or None, overdue)]."""
        return self.visits.report(now)

    def _push(self, now: int) -> None:
        """Put what waits in custody, or in the own window, to what is to be said, if that is next."""
        custody = self.custody
        # Without a flood all that is to be passed on waits there alike.
        since = custody.due() if self.flood else None
        for name, frame, own in custody.step(now, 1) if self.speaker.free(now, since) else ():
            self.speaker.add(now, OWN if own else FORWARD, name, frame, pace.EVENTS)
            if not own:
                custody.know(name, now)
                self.down.carried(frame, now)
        if custody.vain:
            custody.vain = False
            self.visits.ways.unheard(now)

    def pass_on(self, frame: bytes, name: int, now: int, urgency: int) -> None:
        """Say soon what somebody else has said, unless enough others do."""
        self.stats["passed"] += 1
        onward = 0
        kind = frame[0] & 0x0F
        if (
            self.flood
            and self.code < frames.UNKNOWN
            and kind in (frames.OP, frames.LETTER_UP, frames.RECEIPT)
            and not (self.collects and kind != frames.RECEIPT)
        ):
            # What comes from there is there already; whence a letter came is not known.
            onward = 0 if kind != frames.LETTER_UP and self.gets_on(kind, frame[3] >> 3) else ONWARD
        frame = frame[:3] + b"\0" + frame[4:]
        self.say_twice(now + 20 + self.spread(), urgency, name, frame, onward)

    def spare(self) -> None:
        """Give up what others say again: a session or a reading needs its room."""
        if self._intake is not None and not self.collects:
            self._intake.spare()
        for table in (self._said_letters, self._last):
            table.clear()

    def gets_on(self, kind: int, code: int) -> bool:
        """Say whether one with this distance code is where a frame is to go: nearer a keeper, or farther."""
        return code > self.code if kind == frames.RECEIPT else code < self.code

    def say_twice(self, at: int, urgency: int, name: int, frame: bytes, onward: int = 0) -> None:
        """Say a frame at a moment, and again if too few others were heard saying it: what goes down twice."""
        more = 2 if urgency == FORWARD else 4
        if self._receipt(frame) and self.speaker.neighbours <= pace.FEW:
            more = 8
        more += not self.seen.senders(name)
        self.speaker.add(at, urgency, name, frame, pace.EVENTS, pace.QUIET + onward, more)

    def _receipt(self, frame: bytes) -> bool:
        """Say whether it is a receipt that nobody asks for: who is farther is to be heard saying it."""
        return frame[0] & 0x0F == frames.RECEIPT and not self.flood

    def say_onward(self, saying: list, now: int) -> None:
        """Say once more what nobody is heard saying meanwhile, or acknowledging, who is where it is to go."""
        if saying[5] > ONWARD:
            at = now + pace.AGAIN_SOON_MS + self.random(pace.AGAIN_SOON_MS)
            self.speaker.add(at, saying[1], saying[2], saying[3], pace.EVENTS, ONWARD)
            self.stats["again"] += 1

    def _more(self, saying: list, now: int) -> None:
        """Have a frame that was said now come back, until it is known from enough senders."""
        name, more = saying[2], saying[6]
        own = more & 1
        few = self.speaker.neighbours <= pace.FEW or (more > 1 and self._receipt(saying[3]))
        enough = own + (min(2, max(1, self.speaker.neighbours)) if few else 1)
        if more > 1 and self.seen.senders(name) < enough:
            # Who heard our own word first says it; who is passed something on may be one of many.
            wait = pace.AGAIN_SOON_MS >> own << (saying[1] != FORWARD and more < 4)
            at = now + wait + self.random(wait)
            onward = saying[5] & ONWARD
            self.speaker.add(at, saying[1], name, saying[3], pace.EVENTS, enough + onward, more - 2)
            self.stats["again"] += 1
        else:
            self.say_onward(saying, now)

    def spread(self) -> int:
        """Return a wait within which about one of all in reach speaks each time that one frame takes."""
        return self.random(self._turns)

    def lot(self, doublings: int = 0) -> bool:
        """Say whether it falls to us to do what about three of all in reach should do, or so many times twice
        as many."""
        return self.random(1 + self.speaker.neighbours) < pace.FEW + 1 << doublings

    def remember(self, parts: list, content: bytes, now: int, kind: int = frames.LETTER_UP) -> None:
        """Keep a letter that is said now, to say fragments of it again."""
        for known in self._said_letters:
            if known[1] == content:
                known[2] = now
                return
        self._said_letters.append([parts[0][4:7], content, now, kind])
        if len(self._said_letters) > limits.MESH_SAID_LETTERS:
            self._said_letters.pop(0)

    def said_lately(self, content: bytes, now: int) -> bool:
        """Say whether a letter was said a moment ago."""
        for known in self._said_letters:
            if known[1] == content and now - known[2] < pace.LETTER_MS:
                return True
        return False

    def letter(self, name: bytes) -> tuple | None:
        """Return (content, kind) of a letter that was said."""
        for known in self._said_letters:
            if known[0] == name:
                return known[1], known[3]
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
            announce.period_s = (self.window.period or pace.LEAF_PERIOD_MS) // 1000
            announce.due_ms = self.window.next(now) - now
            announce.window = self.window.length // 100
        return announce

    def show(self, now: int) -> None:
        """Say our STATE at once, as somebody may want to connect; and some times more while we are behind."""
        self._shows = SHOWS
        self.speaker.add(now, OWN, STATE_NAME, self._say_state, 2)

    def restate(self, now: int) -> None:
        """Say our STATE more often for a while: who is in reach has to see that it is of another epoch."""
        self._trickle.inconsistent(now)
        self._due_at = None

    def tell_distance(self, now: int) -> None:
        """Say our STATE to somebody who is awake for a moment and knows no way to a keeper."""
        if now >= self._told_at and self.code < frames.UNKNOWN:
            self._told_at = now + pace.STATE_SETTLE_MS
            self.speaker.add(now + 30 + self.random(500), OWN, STATE_NAME, self._say_state, 2)

    def _ask_time(self, now: int) -> None:
        """Show soon that the time is lacking here, while somebody in reach has it."""
        known = self.peer.utc(now)
        # A time that is hardly better than what there is would not be taken.
        poor = known is None or known[1] >= pace.POOR_TIME_MS or self.down.short
        wants = poor and self.role != LEAF and self.peer.wants_time(now)
        wait = self._time_wait
        # Who has it looks again when there is something to say anyhow.
        self._time_at = now + wait + self.random(wait) if wants else max(now + wait, self._trickle.due)
        # Who has the time, but not well enough, may be too far from a better one.
        again = wants and known
        self._time_wait = min(2 * wait, pace.TIME_MOST_MS) if again else pace.TIME_MS
        if wants and self.visits.has_time():
            self._asks_time = True
            self.speaker.add(now, STATUS, STATE_NAME, self._say_state, 2)

    def _say_state(self, _: int, now: int) -> bytes:
        peer = self.peer
        self.counter += 1
        flags = peer.time_flags(now)
        if flags & frames.HAS_TIME and self.role != LEAF and not self._asks_time:
            flags &= ~frames.WANTS_TIME
        self._asks_time = False
        if flags & frames.WANTS_TIME:
            self.down.asked_time = tells.ask(self.down.asked_time, self.counter, now)
        if self.role != GATEWAY:
            flags |= frames.CONNECTABLE
        if not self.flood:
            flags |= frames.GRADIENT
        # A time that came by advertisements may be anybody's: a session shows whether it is true.
        unsure = peer.members and self.role == RELAY and peer.utc(now) and peer.doubts_time(now)
        if self.feed.stuck or unsure:
            flags |= BULK
        # Who passes nothing on shows itself as a leaf, which its neighbours do not compare with themselves.
        bucket, digest, role, window = 0, b"", self.role if self.relays else LEAF, 255
        if self.feed.backlog() > MANY:
            window = BEHIND
            if self._shows:
                self._shows -= 1
                again = now + pace.AGAIN_SOON_MS + self.random(pace.AGAIN_SOON_MS)
                self.speaker.add(again, OWN, STATE_NAME, self._say_state, 2)
        if self.relays and not self.flood:
            digest = self.visits.ways.heard(self.counter & 0xFFFF, now)
        elif self.relays:
            bucket = self.repair.bucket(self.counter)
            digest = self.repair.digest(bucket)
        else:
            digest = own_digest(peer)
        if self.role == LEAF:
            window = self.window.left(now)
            # Later in one wake of four: these count on in the STATEs of the one that does.
            often = self._shows < SHOWS or not self.feed.again(now)[1] or not self.counter % 7
            if self._shows and often and self.feed.late(now):
                # Who has its receipt may not hear it, or not be heard, the first time.
                self._shows -= 1
                self.speaker.add(self.window.until - 3 * pace.GATHER_MS, OWN, STATE_NAME, self._say_state, 2)
        count = self.repair.open if self.flood and self.relays else self.feed.backlog()
        state = frames.State(
            peer.mesh[:2], self.counter & 0xFFFF, bucket, digest, count,
            peer.distance(now), flags, role, peer.author[:3], LOG2, window,
        )  # fmt: skip
        self.stats["states"] += 1
        return frames.encode_state(state, self.epochs.group.key if self.epochs else self.key, self.base)

    def _mode(self, now: int) -> None:
        """Flood while few authors are about; count who is in reach; let go of what has waited for long."""
        if self._intake is not None:
            self._intake.expire(now)
        # Nobody heard is no word of how many there are: most may be silent for hours.
        few = self._crowd.whole(now)
        if self._census.estimate(now) > limits.FLOOD_AUTHORS:
            self._crowded = True
        elif few and self._crowd.estimate(now) <= limits.FLOOD_AGAIN_AUTHORS:
            self._crowded = False
        # Those nearer hear of more: who is at the edge floods only if they do, who is new only if all do.
        flood = not (self._crowded or self.visits.ways.gradient(now, not few))
        if self.flood and not flood:
            # What a neighbour has in a flood is not on its way to a keeper yet.
            self.feed.rewind(self.peer.author, 0, now, False)
        self.set_flood(flood, now)
        self.speaker.neighbours = self._around.estimate(now)
        self._trickle.imax = pace.STATE_MAX_MS if flood else pace.STATE_CALM_MS
        self._trickle.floor = max(interval_floor(self.speaker.neighbours, 4), pace.STATE_BUSY_MS)
        turns = min(self.speaker.neighbours, pace.MOST_TURNS)
        self._turns = pace.TURN_MS * (1 + turns)
        self.custody.patience = pace.BACKOFF_MS + self._turns // 2

    def _count(self, short: bytes, now: int) -> None:
        """Count an author of an operation that is under way."""
        number = number_of(short)
        self._census.add(number, now)
        self._crowd.add(number, now)

    def set_flood(self, flood: bool, now: int) -> None:
        """Flood, or bring operations to those nearer a keeper alone."""
        if flood != self.flood:
            self._fill = True
            self._due_at = None
        if self.flood and not flood and self.relays and not self.collects:
            self.repair.stop()
            self.custody.forget(now)
        self.flood = self.custody.flood = self.peer.flooding = flood
        self.custody.stir()
        self.peer.carried = None if flood or self.collects else self.feed.sources
