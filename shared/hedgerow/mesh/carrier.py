"""What is done with operations and letters that are heard: taken in, acknowledged (SPEC 6.22 to 6.26)."""

from .. import limits
from ..errors import HedgerowError
from ..sync.hello import LEAF
from . import asks, frames, pace
from .custody import AGAIN, BACK, BEHIND, ONCE, name_of
from .feed import letter_frames
from .letters import BATCH, CREDENTIAL, OPERATIONS, REVOKED
from .letters import SCHEMA as SCHEMA_LETTER
from .ops import nearest
from .outcome import KNOWN, REFUSED, WAITS
from .seen import Recent
from .speaker import ANSWER, DOWN, FORWARD, OWN
from .talk import Talk
from .visits import MANY

_ACK_NAME = limits.const(-10)
_PAUSE = limits.const(4)
# Operations of one author that come at once, and are no news that is passed on one by one.
_BURST = limits.const(3)


class Carrier(Talk):
    """The part of the engine that carries what others wrote; it needs the rest of it."""

    _words_at = 0
    # What was taken anew a moment ago.
    _anew: object = None

    def _carry(self, kind: int, frame: bytes, name: int, now: int, address: object = None) -> None:
        """Take an OP, or a fragment of a letter on its way up."""
        code = frame[3] >> 3
        custody = self.custody
        repeat = frame[3] & 7
        if not self.relays or custody.pending(name):
            # What is not durable yet is neither acknowledged nor taken a second time.
            return
        if self.collects and not self.flood:
            self.down.carried(frame, now)
        if kind == frames.OP and code > self.code and self._is_receipted(frame):
            custody.know(name, now)
            self._acknowledge(frame[4:10], now, 20 + self.spread() // 4, True)
            self.down.tell_pushers(self.names.find(frame[4:7])[0], now)
            return
        if custody.knows(name, code, now) and not self._lacks(kind, frame):
            # Who pushes it again has not heard that it got on.
            if not repeat or (code <= self.code and not self.flood):
                return
            again = repeat == AGAIN or (repeat == ONCE and code == self.code + 1)
            # Whose a letter is nobody on its way knows.
            asked = self.down.asked(frame[4:7] if kind == frames.OP else None, now)
            back = custody.done.has(name ^ BACK, now) and not asked
            # Or it is on its way, and who pushes it does not hear that.
            back = back or (self._anew is not None and self._anew.has(name, now))
            if self.flood or self.collects or custody.has(name) or not again or back:
                self._acknowledge(frame[4:10], now, 20 + self.spread() // 4)
                if not self.collects:
                    self._answer_known(frame, now)
            else:
                # It may be the one who had it from here, and found no way on.
                self._take_anew(frame, name, now, address)
            return
        if self.collects or (self.flood and now >= self._met_at):
            self._store(kind, frame, name, now)
        elif self.flood:
            # A flood is not for who does not know yet whether there is one.
            self.seen.forget(name)
        elif not custody.has(name) and not self._beyond(name, code, now):
            if not repeat and not self.visits.ways.near(address):
                # Its sender may not hear who takes it: those whom it hears better come first.
                return
            # Of what is pushed again somebody may have to say that it got on.
            later = self._turns // 4 if repeat else 0
            wait = self.visits.ways.turn(address, self.spread())
            if code > self.code + 1:
                # Who is nearer still takes it first, and spares those between.
                wait //= 4
            self._due_at = None
            custody.offer(frame, name, now, 20 + later + wait)

    def _take_anew(self, frame: bytes, name: int, now: int, address: object) -> None:
        """Take a frame once more, which may have been lost with the one who had it from here: those who hear
        its sender well come first, as all who had it may."""
        ways = self.visits.ways
        later = 0 if ways.near(address) else self._turns // 2
        self._due_at = None
        self.custody.offer(frame, name, now, 20 + later + ways.turn(address, self.spread()))
        if self.custody.pending(name):
            self.custody.done.note(name ^ BACK, now)
            if self._anew is None:
                self._anew = Recent(limits.MESH_LATELY, pace.SAME_MS, now)
            self._anew.note(name, now)

    def _lacks(self, kind: int, frame: bytes) -> bool:
        """Say whether an operation is not in the log where it should be: a mark may be another frame's."""
        if kind == frames.OP and (self.flood or self.collects):
            number = frame[7] << 8 | frame[8]
            for author in self.names.find(frame[4:7]):
                base = self.intake.base(author)
                if not self.peer.is_own(author) and nearest(base, number) > base:
                    return True
        return False

    def ends(self, author: bytes) -> bool:
        """Say whether a receipt ends custody of an author's operations: not what only claims to be one."""
        return (
            not (self.flood or self.collects or self.peer.members) and len(self.names.find(author[:3])) == 1
        )

    def _is_receipted(self, frame: bytes) -> bool:
        """Say whether a keeper has an operation, by a receipt that ends custody."""
        authors = self.names.find(frame[4:7])
        if not authors or not self.ends(authors[0]):
            return False
        receipted = self.peer.receipted(authors[0])
        return receipted > 0 and receipted - (frame[7] << 8 | frame[8]) & 0xFFFF < BEHIND

    def _beyond(self, name: int, code: int, now: int) -> bool:
        """Say whether a frame that is not here was said by one who is not farther, and remember that."""
        if code > self.code:
            return False
        if self.code < frames.UNKNOWN:
            self.custody.know(name, now)
        return True

    def _store(self, kind: int, frame: bytes, name: int, now: int) -> None:
        """Take it into the log, which holds what is open of all authors in a flood, or at a gateway."""
        self._due_at = None
        if kind == frames.OP:
            result = self.intake.take(frame, name, now)
        else:
            result = self.intake.take_fragment(frame, now)
        if result == REFUSED:
            self.seen.forget(name)
        elif result == KNOWN or (result == WAITS and self.collects):
            # What waits at who collects for what comes before it is durable.
            self.custody.know(name, now)
            if frame[3] & 7 or self.collects:
                self._acknowledge(frame[4:10], now, self.random(pace.GATHER_MS), result == KNOWN)
            if result == KNOWN:
                self._answer_known(frame, now)
        self._collect(now)

    def _letter_down(self, frame: bytes, now: int) -> None:
        """Take a fragment of a letter on its way down."""
        letter = frame[4:7]
        self.window.stir(now)
        content = self.intake.letters.take(frame, now)
        if content is not None:
            if content[0] == SCHEMA_LETTER and self.repair.sought(asks.WANT_SCHEMAS):
                news = self.peer.ingest_schema(content[1:])
                self.peer.commit()
                self.intake.look(now, news)
            self.stats["letters"] += 1
            if content[0] == REVOKED or content[0] == BATCH:
                self._hear_word(content, now)
                return
            if content[0] == CREDENTIAL:
                if self.peer.members:
                    self.repair.inquire("hear", self, letter, content, now)
                return
            if self.wishes is None:
                from .wishes import Wishes

                self.wishes = Wishes(self, now)
            self.wishes.heard(content, now)
        elif not self.intake.letters.done(letter, now):
            self.repair.want(asks.WANT_LETTERS, letter, now, 600 if self.role == LEAF else 0)

    def _hear_word(self, content: bytes, now: int) -> None:
        """Take a revocation, or a batch of receipts; what nobody has signed, as far as is known, costs a
        while without others. Of a batch who passes nothing on needs no more than its own receipts."""
        members = self.peer.members
        if members and now >= self._words_at:
            good = False
            try:
                if content[0] == REVOKED:
                    good = members.take_brief(content[1:])
                else:
                    good = not self.relays or members.take_said(content[1:], self.peer)
                self.peer.commit()
            except HedgerowError:
                self.stats["false"] += 1
            if not good:
                self._words_at = now + pace.FALSE_WORD_MS

    def _say_words(self, now: int) -> None:
        """Say the revocations that are news here: whoever hears one that is news there says it too."""
        members = self.peer.members
        while members and members.fresh:
            self.say_down(bytes((REVOKED,)) + members.fresh.pop(0), now + 20 + self.spread(), False)
        while members and members.said:
            brief, entries = members.said.pop(0)
            self.visits.ways.alive_at = now
            for author, number in entries:
                self.custody.receipted(author[:3], number, now, True)
            if self.relays:
                self.say_down(bytes((BATCH,)) + brief, now + 20 + self.spread(), False)

    def say_down(self, content: bytes, at: int, hurry: bool) -> None:
        """Say a letter on its way down."""
        try:
            parts = letter_frames(self.peer, content, self.key, frames.LETTER_DOWN)
        except HedgerowError:
            # It fits no letter: whoever wants it gets it by a session.
            self.feed.stuck = True
            return
        self.remember(parts, content, at, frames.LETTER_DOWN)
        for part in parts:
            self.say_twice(at, OWN if hurry else DOWN, name_of(part), part)

    def _step_wishes(self, now: int) -> None:
        """Do what there is to do for documents that are wanted."""
        if self.wishes is None:
            self._wishes_at = now + 6 * pace.TIME_MS
            if not self.peer.wants(now):
                return
            from .wishes import Wishes

            self.wishes = Wishes(self, now)
        self.wishes.step(now)
        more = self.wishes.look(now)
        if not more:
            self.wishes.settle(now)
        self._wishes_at = now + 200 if more else self.wishes.due()

    def _answer_known(self, frame: bytes, now: int) -> None:
        """Who pushes what is receipted long since has missed the receipt."""
        authors = self.names.find(frame[4:7])
        pushed = self.collects or (self.flood and frame[3] & 7)
        if pushed and frame[0] & 0x0F == frames.OP and len(authors) == 1:
            number = frames.decode_op(frame).number
            receipted = self.peer.receipted(authors[0])
            if receipted and (receipted - number) & 0xFFFF < 0x8000:
                if self.collects:
                    self.down.say_receipt(authors[0], now)
                else:
                    self.down.tell_author(authors[0], False, now)

    def _collect(self, now: int) -> None:
        """Pass on, or acknowledge, what has become durable."""
        if self.peer.stranger:
            self.repair.inquire("want", self, now)
        taken = self.intake.taken
        while taken:
            frame, content = taken.pop(0)
            parts = [frame]
            if frame is None:
                parts = letter_frames(self.peer, content, self.key)
                if content[0] in OPERATIONS:
                    self._count(content[1:4], now)
                self.remember(parts, content, now)
            for part in parts:
                name = name_of(part)
                self.custody.know(name, now)
                if self.flood and not self.collects:
                    self.pass_on(part, name, now, FORWARD)
                elif self.flood and self.speaker.neighbours > 1:
                    # Who pushed it is told by the ACK; others have time.
                    self.pass_on(part, name, now, DOWN)
            if self.collects:
                self._acknowledge(parts[-1][4:10], now, self.random(pace.GATHER_MS), True)

    def _acknowledge(self, key: bytes, now: int, wait: int, upto: bool = False) -> None:
        """Say soon that a frame is here; `upto`: who collects has all of its author, or letter, up to it."""
        self._due_at = None
        acks = self._acks
        short = key[:3]
        authors = self.names.find(short)
        if not self.collects and len(authors) == 1 and (self.flood or upto):
            # Operations are taken in order: the last one says the most.
            number = (self.intake.base if self.flood else self.peer.receipted)(authors[0])
            last = short + bytes((number >> 8 & 0xFF, number & 0xFF)) + key[5:]
            upto = asks.covers(last, key)
            key = last if upto else key
        if upto and len(authors) < 2:
            known = acks.get(short)
            if known and not asks.covers(key, known):
                key = known
            acks[short] = key
        elif len(acks) < limits.MESH_WAITING:
            acks[key] = key
        if self.collects:
            # It says the more, the later it comes after the one before.
            wait = max(wait, self._acked_at + _PAUSE * pace.GATHER_MS - now)
        self.speaker.add(now + wait, ANSWER, _ACK_NAME, self._say_acks, pace.EVENTS)

    def _heard_ack(self, frame: bytes, address: object, now: int) -> None:
        what, keys = asks.decode_ack(frame)
        for key in keys:
            passed = self.custody.passed(key, frame[3] >> 3, what, now)
            if passed is not None:
                self._due_at = None
            if passed:
                self.visits.ways.hears(address, now)
                self.window.stir(now)
            # One who says so is enough.
            self._acks.pop(key, None)
            every = what == asks.ACK_ALL
            counts = self.flood or frame[3] >> 3 < self.code if every else what == asks.ACK_UPTO
            if counts and key[:3] == self.peer.author[:3]:
                self._due_at = None
                self.feed.upto(key[3] << 8 | key[4])
            if every and not self.collects and asks.covers(key, self._acks.get(key[:3], key)):
                self._acks.pop(key[:3], None)
            elif what == asks.ACK_UPTO:
                self._due_at = None
                self.speaker.held(key)

    def _say_acks(self, _: int, now: int) -> bytes | None:
        if not self._acks:
            return None
        names = sorted(self._acks)
        # What is known by an author alone says more.
        whole = [name for name in names if len(name) == 3]
        what = asks.ACK_ALL if whole else asks.ACK_PASSED
        if self.collects:
            what = asks.ACK_UPTO if whole else asks.ACK_HELD
        names = whole or names
        keys = [self._acks.pop(name) for name in names[:3]]
        if self._acks:
            self.speaker.add(now + pace.GATHER_MS, ANSWER, _ACK_NAME, self._say_acks, pace.EVENTS)
        self._acked_at = now
        self.stats["acks"] += 1
        return frames.make(frames.ACK, self.peer.mesh, asks.encode_ack(what, keys), self.key)

    def _again_due(self) -> int | None:
        """Return when what has no receipt is pushed again, None while nobody is known who takes it."""
        again = self.feed.due()
        if again is None or self.collects or not (self.flood or self.code != frames.UNKNOWN):
            return None
        return max(again, self.start_at)

    def _refresh(self, now: int) -> None:
        """Look at what has changed in the log, and how far a keeper is."""
        peer = self.peer
        code = frames.code_of(peer.distance(now))
        if code != self.code:
            if code < self.code or code == frames.UNKNOWN:
                # A way that is known is soon told, and one that is lost.
                self._trickle.inconsistent(now)
                if self._repair is not None:
                    self._repair.renew(now)
            self.code = code
            for source in self.feed.sources.values() if code == frames.UNKNOWN else ():
                # Whoever comes takes what was given to those who were nearer.
                source.handed = 0
            self.custody.move(code, now)
            self._dirty = True
        if self._dirty:
            self._dirty = False
            self._fill = True
            self._look(now)
            self._say_words(now)
        if self.role == LEAF and self._state_due:
            self.wake(now)
        if self.tail_at is not None and now >= self.tail_at:
            self.tail_at = None
            peer.seal(now)
            self._dirty = False
            self._fill = True
            self._look(now)
        again = self._again_due()
        if self.collects or not (self.flood or self.code != frames.UNKNOWN):
            self._fill = self.custody.freed = False
            return
        if now < self.start_at:
            return
        if self._fill or self.custody.freed or (again is not None and now >= again):
            self._fill = self.custody.freed = False
            self.feed.fill(now)
            self.visits.ways.judge(now)
            many = self.feed.backlog() > MANY
            if many != self.many:
                # A session would bring it sooner, or is not needed any more: who may open one has to know.
                self.show(now)
            self.many = many

    def _look(self, now: int) -> None:
        peer = self.peer
        log = peer.log
        touched = peer.touched
        if b"" in touched:
            touched.update(peer.authors())
            touched.discard(b"")
        authors = sorted(touched)
        touched.clear()
        for author in authors:
            if author == peer.author and self.collects:
                continue
            if not self.relays:
                continue
            before = self.repair.update(author, now)
            if before is None:
                continue
            self.names.learn(author, now)
            self._check_at = now + pace.STATE_SETTLE_MS
            if self._intake is not None:
                self._intake.moved(author, now)
            if self.flood and log.held(author) - before[0] > _BURST:
                # A session brought it, or it was waited for: neighbours learn at once that it is here.
                self.repair.tell(author, now)
                self._trickle.inconsistent(now)
            if not (self.flood or self.collects) and author != peer.author and log.held(author) > before[0]:
                # A session brought it: from here on it is ours to push.
                self.feed.add(author, now)
            if peer.receipted(author) > before[2]:
                self.receipts_at = now
                if self.ends(author):
                    self.custody.receipted(author[:3], peer.receipted(author), now, True)
                brings = self.down.brings(author, now)
                if self.collects or brings:
                    # Of whom nothing was heard here it came in by another gateway.
                    self.down.say_receipt(author, now, not brings)
        if self.relays:
            self.intake.look(now)
            self._collect(now)
        if self.wishes is not None:
            self.wishes.retry(now)
        if self.wishes is not None or peer.may_want:
            self._wishes_at = now
        if self.role == LEAF and peer.author in authors:
            self.wake(now)
        if peer.author in authors and self.flood and self.speaker.neighbours <= pace.FEW:
            self._trickle.inconsistent(now)
        if log.held(peer.author) > log.sealed(peer.author):
            if self.tail_at is None:
                due = peer.seal_due()
                self.tail_at = (now if due is None else due - limits.SEAL_DELAY_MS) + self._seal_ms
        else:
            self.tail_at = None
