"""How peers see what others lack, and ask for what they lack themselves (SPEC 6.23)."""

from .. import limits
from . import asks, pace
from .answers import Answers
from .digests import BUCKETS
from .frames import HAVE, WANT, make
from .ops import nearest
from .outcome import AUTHOR, SCHEMA, WHOLE
from .speaker import REPAIR
from .talk import LOG2

# Names of sayings that are not frames: below 0.
_HAVE_NAME = limits.const(-16)
_WANT_NAME = limits.const(-2)
# Doublings of the wait between questions; what is surely lacking is asked for ever more rarely.
_DOUBLINGS = limits.const(3)
_MOST_DOUBLINGS = limits.const(4)


class Repair(Answers):
    """What differs from what others hold, and what is wanted; `mesh` is the engine it belongs to."""

    def __init__(self, mesh: object):
        super().__init__(mesh)
        self._turn = 0
        # What a neighbour showed of a bucket that differs.
        self._odd: dict = {}
        # (what, id) -> [moment, tries, what was held at the last one, the last number that was asked for];
        # of a name: what somebody holds of its author, whether it is for a plan
        self._wants: dict = {}
        self._lag = 0
        # The distance code of who asked last.
        self._asker = 0
        self._answered, self._heard = b"", {}
        self._next: int | None = None

    # ---- differences

    def compare(self, state: object, shown: dict, now: int) -> bool | None:
        """Say whether a neighbour's digests are ours; if not, say soon what is here of a bucket that differs.

        None if that has been said, and nothing has come of it. `shown` has its digests by bucket, as far as
        they were heard.
        """
        mine = self.digest(state.bucket)
        if state.log2 != LOG2 or state.digest == mine:
            return True
        self._mesh.stats["differences"] += 1
        unknown = -1
        found = -1
        # What was shown before says something only if nothing has come since.
        for step in range(BUCKETS if now >= self._quiet_at else 1):
            bucket = state.bucket + step & BUCKETS - 1
            if bucket not in shown:
                unknown = bucket if self._sums[bucket] and unknown < 0 else unknown
            elif shown[bucket][3:] != self.digest(bucket)[3:] and (found < 0 or now >= self._calm[bucket]):
                found = bucket
        if found >= 0:
            if not self._waits[found] and now < self._calm[found]:
                # It may still be on its way.
                return False
            self._odd[found] = shown[found][3:]
        elif unknown >= 0:
            # Something differs, and this may be it.
            found = unknown
        else:
            return False
        wait = 500 + self._mesh.random(1500) + self._mesh.spread()
        return self._tell(found, now + wait, now)

    def _tell(self, bucket: int, at: int, now: int) -> bool | None:
        """Say HAVE of a bucket; None if that was done, and nothing has changed here since."""
        if self._waits[bucket] and now < self._calm[bucket]:
            return None
        self._waits[bucket] = min(2 * self._waits[bucket] or pace.STATE_BUSY_MS, pace.HAVE_MAX_MS)
        self._calm[bucket] = now + self._waits[bucket]
        self._mesh.speaker.add(at, REPAIR, _HAVE_NAME - bucket, self._have, pace.EVENTS)
        return False

    def tell(self, author: bytes, now: int) -> None:
        """Tell soon what is held of an author."""
        self._tell(author[0] & BUCKETS - 1, now + 200 + self._mesh.random(600), now)

    def _have(self, name: int, now: int) -> bytes | None:
        """Return a HAVE of a bucket: the author that changed last, and two of the others in turn."""
        bucket = _HAVE_NAME - name
        if self._odd.pop(bucket, b"") == self.digest(bucket)[3:]:
            # What differed has come meanwhile.
            return None
        found = []
        for author, entry in self._entries.items():
            if author[0] & BUCKETS - 1 != bucket or entry[0][0] < entry[0][2]:
                # Of whom there is a receipt alone nothing is here that somebody could lack.
                continue
            if entry[1] or entry[2] > self._serial - 8:
                found.append((-entry[2], author, entry[0]))
        if not found:
            return None
        found.sort()
        chosen = found[:1]
        for at in range(min(2, len(found) - 1)):
            chosen.append(found[1 + (self._turn + at) % (len(found) - 1)])
        self._turn += 2
        entries = [(author[:3], held[0], asks.hint(held[0], held[1], held[2])) for _, author, held in chosen]
        self._mesh.stats["haves"] += 1
        return self._make(HAVE, asks.encode_have(LOG2, bucket, entries))

    def _make(self, kind: int, body: bytes) -> bytes:
        return make(kind, self._peer.mesh, body, self._mesh.key)

    def heard_have(self, frame: bytes, address: object, now: int) -> None:
        """Ask for what the sender holds and we lack; tell it what it lacks and we hold."""
        _, bucket, entries = asks.decode_have(frame)
        mesh = self._mesh
        self._asker = frame[3] >> 3
        level = True
        self._lag = 0
        if frame[4:-3] != self._answered:
            self._answered = frame[4:-3]
            if now >= self._mesh.short_until or not frame[3] >> 3:
                # It is answered at once, then as rarely as what nothing comes of. Full logs differ for long.
                self._waits[bucket] = 0
        for short, low, their_hint in entries:
            known = False
            for author in mesh.names.find(short):
                if author != self._peer.author or not mesh.collects:
                    known = True
                    level = self._compare(author, low, their_hint, now) and level
            if not known:
                level = False
                if low:
                    self._lag += low
                    self.want(asks.WANT_ANNOUNCES, short, now)
                    want = self._wants.get((asks.WANT_ANNOUNCES, short))
                    if want is not None:
                        want[2] = low
        mesh.visits.note_lag(address, self._lag)
        if level:
            # Others have said what we would say.
            mesh.speaker.drop(_HAVE_NAME - bucket)

    def _compare(self, author: bytes, low: int, their_hint: int, now: int) -> bool:
        """Act on what a neighbour says to hold of an author; say whether it holds what we hold."""
        mesh = self._mesh
        held, sealed, receipted = self._state(author)
        theirs = self._height(author, low)
        if theirs:
            if mesh.has_room(author, now):
                self._lag += theirs - mesh.intake.base(author)
                self.want(asks.WANT_OPERATIONS, author, now)
        else:
            theirs = nearest(held, low)
            if theirs > held:
                theirs = 0
        mine = asks.hint(held, sealed, receipted)
        says, waits = False, their_hint & 15
        if receipted and waits and (theirs < receipted or (theirs == held and waits > mine & 15)):
            mesh.down.say_receipt(author, now)
        elif theirs == held and waits < mine & 15:
            says = True
        if theirs == held and their_hint >> 4 > mine >> 4:
            self._say_seals(author, max(receipted, held - asks.most(their_hint >> 4)), now, True)
        elif theirs < held or (theirs == held and their_hint >> 4 < mine >> 4):
            # The other side asks once it knows what there is.
            says = True
        if says:
            self.tell(author, now)
        return theirs == held and their_hint == mine

    def _height(self, author: bytes, low: int) -> int:
        """Learn that somebody holds so much (low 16 bits) of an author; return it if it is more."""
        intake = self._mesh.intake
        base = intake.base(author)
        theirs = nearest(base, low)
        if self._peer.is_own(author) or not base < theirs < base + 0x8000 or (not low and theirs > base + 1):
            return 0
        intake.note_height(author, theirs)
        return theirs

    def behind(self, author: bytes, low: int, now: int) -> None:
        """Ask at once for what is lacking of an author who holds so much (low 16 bits), while it is awake."""
        if self._height(author, low):
            self.want(asks.WANT_OPERATIONS, author, now, 50 + self._mesh.random(300))

    def named(self, author: bytes, now: int) -> None:
        """An author has become known: somebody may have told that it holds more of it than nothing."""
        want = self._wants.get((asks.WANT_ANNOUNCES, author[:3]))
        if want is not None and want[2]:
            self.behind(author, want[2], now)

    def want_plan(self, short: bytes, now: int) -> None:
        """Ask an author that is awake for its announcement."""
        self.want(asks.WANT_ANNOUNCES, short, now, 50 + self._mesh.random(400))
        want = self._wants.get((asks.WANT_ANNOUNCES, short))
        if want is not None:
            want[3] = 1

    # ---- wanting

    def want(self, what: int, name: bytes, now: int, soon: int = 0) -> None:
        """Ask for something, after `soon` ms if that is given, and again until it has come."""
        if what == asks.WANT_OPERATIONS and self._doubted(name):
            what = asks.WANT_WHOLE
        want = self._wants.get((what, name))
        if want is None:
            if len(self._wants) >= limits.MESH_WANTS:
                # What was asked for in vain most often makes room, others' letters first.
                worst = max([(key[0] == asks.WANT_LETTERS, self._wants[key][1], key) for key in self._wants])
                if what == asks.WANT_LETTERS or not (worst[0] or worst[1]):
                    return
                del self._wants[worst[2]]
            # What is late may still be on its way, and where it goes by custody it surely is.
            wait = self._patience(800)
            want = self._wants[what, name] = [now + wait + self._mesh.random(wait * 3 // 2), 0, 0, 0]
            self._next = None
        elif want[1] >= pace.ASKS:
            # Somebody shows anew that it is about.
            want[1] = 1
            soon = soon or 800
        if soon and now + soon < want[0]:
            want[0] = now + soon
            self._next = None

    def _patience(self, wait: int) -> int:
        late = self._mesh.collects and not self._mesh.flood
        return pace.LATE_MS * (1 + len(self._wants) // 8) if late else wait

    def came(self, author: bytes, number: int, now: int) -> None:
        """An operation has come that may be an answer: what is lacking after the last is asked for soon."""
        for what in (asks.WANT_OPERATIONS, asks.WANT_WHOLE):
            want = self._wants.get((what, author))
            if want is None or not want[1] or number > want[3]:
                continue
            last = number == want[3] or self._peer.log.held(author) >= want[3]
            want[0] = now + self._mesh.random(300) + (0 if last else pace.ASK_MS // 2)
            want[1] = 1
            self._next = None

    def asks_for(self, author: bytes) -> bool:
        """Say whether operations of an author are asked for."""
        return (asks.WANT_OPERATIONS, author) in self._wants

    def passes(self, author: bytes) -> int:
        """Return up to which number a receipt that may be made up stands for what is not here: to what others
        hold, where this peer is far behind that or has asked in vain; 0 otherwise."""
        height = self._mesh.intake.heights.get(author, 0)
        held = self._peer.log.held(author)
        want = self._wants.get((asks.WANT_OPERATIONS, author))
        return height if not held or height > held + 16 or (want is not None and want[1] > 2) else 0

    def covered(self, author: bytes, number: int) -> None:
        """A keeper has an author up to a number: no more up to there is wanted, though there be no room to
        remember the receipt."""
        want = (asks.WANT_OPERATIONS, author) in self._wants
        if want and not self._peer.keeper and number >= self._mesh.intake.heights.get(author, 0):
            del self._wants[asks.WANT_OPERATIONS, author]
            self._next = None

    def sought(self, what: int) -> list:
        """Return the names of what is asked for of a kind."""
        return [name for kind, name in self._wants if kind == what]

    def due(self) -> int | None:
        """Return when something is to be asked for."""
        if self._next is None and self._wants:
            self._next = min([entry[0] for entry in self._wants.values()])
        return self._next if self._wants else None

    def step(self, now: int) -> None:
        """Queue questions for what is due; what they ask is looked up when their turn has come."""
        for key in self._wants:
            if self._wants[key][0] <= now:
                # Where few answer it should be heard the first time.
                events = pace.EVENTS if self._mesh.flood else 2 * pace.EVENTS
                self._mesh.speaker.add(now, REPAIR, _WANT_NAME - key[0], self._ask, events)
        self._next = now + 1000

    def _ask(self, name: int, now: int) -> bytes | None:
        """Return a WANT of what is lacking still, None if nothing is."""
        what = _WANT_NAME - name
        entries = []
        for key in sorted(self._wants):
            want = self._wants[key]
            if key[0] != what or want[0] > now or len(entries) >= asks.MOST[what]:
                continue
            entry = self._lacking(what, key[1], want, now)
            sure = what == asks.WANT_OPERATIONS or self._waits_for(what, key[1], want)
            if entry is None or (want[1] >= pace.ASKS and not sure):
                del self._wants[key]
                continue
            most = _DOUBLINGS if want[1] < pace.ASKS else _MOST_DOUBLINGS
            want[1] += 1
            # Names and schemas are on their way to nobody who does not ask.
            named = what == asks.WANT_ANNOUNCES or what == asks.WANT_SCHEMAS
            wait = pace.ASK_MS if named else self._patience(pace.ASK_MS)
            if wait > pace.ASK_MS and want[1] < pace.ASKS:
                # Each question makes those on the way bring it anew.
                most = 1
            wait <<= min(want[1] - sure, most)
            want[0] = now + wait // 2 + self._mesh.random(wait)
            entries += entry if what == asks.WANT_WHOLE else [entry]
            if what == asks.WANT_OPERATIONS and want[1] > 2 and not self._mesh.flood:
                self._renewed(key[1], now)
        self._next = None
        if not entries:
            return None
        self._mesh.stats["wants"] += 1
        return self._make(WANT, asks.encode_want(what, entries[: asks.MOST[what]]))

    def _renewed(self, author: bytes, now: int) -> None:
        """Where a keeper was restored its receipt tells the author that what is asked for in vain is gone."""
        receipt = self._peer.receipt(author)
        if receipt is not None and receipt.incarnation > 1:
            self._mesh.down.say_receipt(author, now)

    def _waits_for(self, what: int, name: bytes, want: list) -> bool:
        """Say whether something waits here for a name, a schema or an operation as a letter."""
        if what in (asks.WANT_LETTERS, asks.WANT_CREDENTIALS) or not self._mesh.relays:
            return False
        why = (AUTHOR, SCHEMA, WHOLE)[what - asks.WANT_ANNOUNCES]
        found = self._mesh.intake.find(why, None if why == SCHEMA else name[:3]) is not None
        if found and why != AUTHOR:
            want[1] = min(want[1], _DOUBLINGS - 1)
        return found

    def _lacking(self, what: int, name: bytes, want: list, now: int) -> tuple | list | bytes | None:
        """Return what to ask for, None if nothing of it is lacking any more."""
        mesh = self._mesh
        if what == asks.WANT_OPERATIONS:
            return None if self._doubted(name) else self._lacks_operations(name, want, now)
        if what == asks.WANT_ANNOUNCES:
            # Of a leaf the plan is wanted.
            authors = [one for one in mesh.names.find(name) if not want[3] or mesh.names.get(one) is not None]
            return name if not authors or (mesh.relays and mesh.intake.find(AUTHOR, name)) else None
        if what == asks.WANT_SCHEMAS:
            return None if [1 for schema in self._peer.schemas if schema[:2] == name] else name
        if what == asks.WANT_WHOLE:
            return self._lacks_whole(name, want, now)
        if what == asks.WANT_CREDENTIALS:
            return self.inquire("lacking", self._peer, name, want)
        bits = mesh.intake.letters.missing(name)
        return (name, bits) if bits else None

    def _doubted(self, author: bytes) -> int:
        """Return up to which number an author's operations are to come whole, 0 for none."""
        number = self._peer.doubts.get(author, (0,))[0]
        return number if number and number > self._mesh.intake.base(author) else 0

    def _lacks_whole(self, author: bytes, want: list, now: int) -> list | None:
        base = self._mesh.intake.base(author)
        doubted = self._doubted(author)
        if not doubted and not self._mesh.intake.find(WHOLE, author[:3]):
            # What came behind them may have a gap.
            self.want(asks.WANT_OPERATIONS, author, now)
            return None
        want[2], want[3] = base, min(max(doubted, base + 1), base + asks.MOST[asks.WANT_WHOLE])
        return [(author[:3], number & 0xFFFF) for number in range(base + 1, want[3] + 1)]

    def _lacks_operations(self, author: bytes, want: list, now: int) -> tuple | None:
        intake = self._mesh.intake
        base = intake.base(author)
        sure, here = intake.here(author)
        if base != want[2]:
            # It gets on: what is lacking now is asked for the first time.
            want[1] = 0
        want[2] = want[3] = base
        seal = intake.lacks_seal(author)
        if here or seal:
            # Somebody about has more of it.
            want[1] = min(want[1], _DOUBLINGS - 1)
        height = min(intake.heights.get(author, 0), base + 16)
        if not self._mesh.has_room(author, now):
            height = 0
            held, sealed, receipted = self._state(author)
            # Without it no receipt comes that makes room.
            seal = seal or held > sealed == receipted
        bits = 0
        for number in range(base + 1, height + 1):
            # What is here and could not follow what is held is another's of the same short name.
            if number & 0xFFFF not in sure and (number == base + 1 or number & 0xFFFF not in here):
                bits |= 1 << number - base - 1
                want[3] = number
        if bits:
            return author, base + 1 & 0xFFFF, bits
        if seal:
            # No bit at all asks for the seal over the first number.
            return author, self._state(author)[1] + 1 & 0xFFFF, 0
        return None

    def stop(self) -> None:
        """Want nothing any more: operations are not stored here from now on."""
        self._wants.clear()
        self._mesh.intake.waiting.clear()
