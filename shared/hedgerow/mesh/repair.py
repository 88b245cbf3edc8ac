"""How peers see what others lack, ask for what they lack, and answer (SPEC 6.23)."""

from hashlib import sha256

from .. import limits
from ..errors import HedgerowError
from ..log import ENTRY_SEAL
from . import asks, letters, pace
from .custody import name_of
from .feed import frames_of, letter_frames, seal_letter
from .frames import HAVE, LETTER_DOWN, LETTER_UP, OP, VERSION, WANT, make
from .ops import nearest
from .speaker import REPAIR
from .talk import LOG2

BUCKETS = 8

# Names of sayings that are not frames: below 0.
_HAVE_NAME = limits.const(-16)
_WANT_NAME = limits.const(-2)
_ALL = limits.const(0xFFFFFFFF)
_MOST_ANSWERS = limits.const(6)


class Repair:
    """The digests of what is open here, and what is wanted; `mesh` is the engine it belongs to."""

    def __init__(self, mesh: object):
        self._mesh = mesh
        self._peer = mesh.peer
        self._sums = [0] * BUCKETS
        # author -> [(held, sealed, receipted), their part of the sum, when it changed last]
        self._entries: dict = {}
        self._serial = 0
        self._turn = 0
        # When each bucket changed last, and what of that was shown.
        self._changed = [0] * BUCKETS
        self._shown = [0] * BUCKETS
        # Until when what differs in a bucket may still be on its way; what a neighbour showed that differs.
        self._settles = [0] * BUCKETS
        self._odd: dict = {}
        # From when on, if nothing changes here, HAVE of a bucket is said again, and how long the next wait is.
        self._calm = [0] * BUCKETS
        self._waits = [0] * BUCKETS
        self._quiet_at = 0
        self.open = 0
        # (what, id) -> [moment, tries, what was held at the last one]
        self._wants: dict = {}
        self._lag = 0
        # Up to which number (low bits) somebody holds short authors whose names are asked for.
        self._unknown: dict = {}
        # Leaves whose plan is asked for.
        self._plans: set = set()
        self._next: int | None = None

    # ---- digests

    def update(self, author: bytes, now: int) -> tuple | None:
        """Note what is held of an author now; return what it was before if that differs, else None."""
        now_is = self._state(author)
        known = self._entries.get(author)
        before = known[0] if known else (0, 0, 0)
        if now_is == before:
            return None
        part = 0
        if now_is[0] > now_is[2]:
            data = self._mesh.key + author
            for number in now_is:
                data += number.to_bytes(4, "big")
            part = int.from_bytes(sha256(data).digest()[:6], "big")
        bucket = author[0] & BUCKETS - 1
        old = known[1] if known else 0
        self._sums[bucket] = self._sums[bucket] - old + part & 0xFFFFFFFFFFFF
        self.open += max(0, now_is[0] - now_is[2]) - max(0, before[0] - before[2])
        self._serial += 1
        self._changed[bucket] = self._serial
        self._settles[bucket] = now + pace.STATE_SETTLE_MS
        self._calm[bucket] = self._waits[bucket] = 0
        self._quiet_at = now + 2 * pace.STATE_SETTLE_MS
        self._entries[author] = [now_is, part, self._serial]
        return before

    def _state(self, author: bytes) -> tuple:
        """Return (held, sealed, receipted); what is receipted needs no seal, so it counts as sealed."""
        receipted = self._peer.receipted(author)
        return self._peer.log.held(author), max(self._peer.log.sealed(author), receipted), receipted

    def digest(self, bucket: int) -> bytes:
        """Return 3 bytes of the sum over all authors, and 3 of that of a bucket."""
        return (sum(self._sums) & 0xFFFFFF).to_bytes(3, "big") + (self._sums[bucket] & 0xFFFFFF).to_bytes(
            3, "big"
        )

    def bucket(self, counter: int) -> int:
        """Return the bucket to show next: one that changed since it was shown, else each in turn."""
        found = counter % BUCKETS
        news = 0
        for bucket in range(BUCKETS):
            changed = self._changed[bucket]
            if changed > self._shown[bucket] and (not news or changed < news):
                found, news = bucket, changed
        self._shown[found] = self._serial
        return found

    def compare(self, state: object, shown: dict, now: int) -> bool | None:
        """Say whether a neighbour's digests are ours; if not, say soon what is here of a bucket that differs.

        None if that has been said, and nothing has come of it. `shown` has its digests by bucket, as far as
        they were heard.
        """
        mine = self.digest(state.bucket)
        if state.log2 != LOG2 or state.digest == mine:
            return True
        self._mesh.stats["differences"] += 1
        quiet = now >= self._quiet_at
        unknown = -1
        # What was shown before says something only if nothing has come since.
        for step in range(BUCKETS if quiet else 1):
            bucket = state.bucket + step & BUCKETS - 1
            if bucket not in shown:
                unknown = bucket if self._sums[bucket] and unknown < 0 else unknown
            elif now >= self._settles[bucket] and shown[bucket][3:] != self.digest(bucket)[3:]:
                self._odd[bucket] = shown[bucket][3:]
                return self._tell(bucket, now)
        # Something differs, and this may be it.
        return self._tell(unknown, now) if unknown >= 0 else False

    def _tell(self, bucket: int, now: int) -> bool | None:
        if now < self._calm[bucket]:
            return None
        self._waits[bucket] = min(2 * self._waits[bucket] or pace.STATE_BUSY_MS, pace.HAVE_MAX_MS)
        self._calm[bucket] = now + self._waits[bucket]
        self._say_have(bucket, now + 500 + self._mesh.random(1500) + self._mesh.spread())
        return False

    def _say_have(self, bucket: int, at: int) -> None:
        self._mesh.speaker.add(at, REPAIR, _HAVE_NAME - bucket, self._have, pace.EVENTS)

    def _have(self, name: int, now: int) -> bytes | None:
        """Return a HAVE of a bucket: the author that changed last, and two of the others in turn."""
        bucket = _HAVE_NAME - name
        if self._odd.pop(bucket, b"") == self.digest(bucket)[3:]:
            # What differed has come meanwhile.
            return None
        found = []
        for author, entry in self._entries.items():
            if author[0] & BUCKETS - 1 == bucket and (entry[1] or entry[2] > self._serial - 8):
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
        level = True
        self._lag = 0
        for short, low, their_hint in entries:
            authors = [author for author in self._mesh.names.find(short) if self._relevant(author)]
            if not authors:
                level = False
                if low:
                    self._lag += low
                    if len(self._unknown) >= limits.MESH_WANTS:
                        self._unknown.clear()
                    self._unknown[short] = low
                    self.want(asks.WANT_ANNOUNCES, short, now)
                continue
            for author in authors:
                level = self._compare(author, low, their_hint, now) and level
        self._mesh.visits.note_lag(address, self._lag)
        if level:
            # Others have said what we would say.
            self._mesh.speaker.drop(_HAVE_NAME - bucket)

    def _relevant(self, author: bytes) -> bool:
        return author != self._peer.author or not self._mesh.collects

    def _compare(self, author: bytes, low: int, their_hint: int, now: int) -> bool:
        """Act on what a neighbour says to hold of an author; say whether it holds what we hold."""
        mesh = self._mesh
        held, sealed, receipted = self._state(author)
        base = mesh.intake.base(author)
        theirs = nearest(base, low)
        if theirs == base + 0x8000 or (not low and theirs > base + 1):
            theirs = 0
        if theirs > base and not self._peer.is_own(author):
            mesh.intake.note_height(author, theirs)
            self._lag += theirs - base
            self.want(asks.WANT_OPERATIONS, author, now)
        mine = asks.hint(held, sealed, receipted)
        if receipted and (theirs < receipted or (theirs == held and their_hint & 15 > mine & 15)):
            mesh.down.say_receipt(author, now)
        elif theirs == held and their_hint & 15 < mine & 15:
            self._say_have(author[0] & BUCKETS - 1, now + mesh.random(600))
        if theirs == held and their_hint >> 4 > mine >> 4:
            self._say_seals(author, receipted, now)
        elif theirs == held and their_hint >> 4 < mine >> 4:
            self._say_have(author[0] & BUCKETS - 1, now + mesh.random(600))
        elif theirs < held:
            # The other side asks once it knows what there is.
            self._say_have(author[0] & BUCKETS - 1, now + 200 + mesh.random(600))
        return theirs == held and their_hint == mine

    def behind(self, author: bytes, low: int, now: int) -> None:
        """Ask at once for what is lacking of an author who holds so much (low 16 bits), while it is awake."""
        base = self._mesh.intake.base(author)
        theirs = nearest(base, low)
        if base < theirs < base + 0x8000:
            self._mesh.intake.note_height(author, theirs)
            self.want(asks.WANT_OPERATIONS, author, now)
            self.hurry((asks.WANT_OPERATIONS, author), now + 50 + self._mesh.random(300))

    def want_plan(self, short: bytes, now: int) -> None:
        """Ask an author that is awake for its announcement."""
        self._plans.add(short)
        self.want(asks.WANT_ANNOUNCES, short, now)
        self.hurry((asks.WANT_ANNOUNCES, short), now + 50 + self._mesh.random(400))

    def named(self, author: bytes, now: int) -> None:
        """An author that was asked for has become known."""
        low = self._unknown.pop(author[:3], 0)
        base = self._mesh.intake.base(author)
        theirs = nearest(base, low)
        if low and base < theirs < base + 0x8000:
            self._mesh.intake.note_height(author, theirs)
            self.want(asks.WANT_OPERATIONS, author, now)

    def hurry(self, key: tuple, at: int) -> None:
        """Ask for something no later than at a moment."""
        entry = self._wants.get(key)
        if entry is not None and at < entry[0]:
            entry[0] = at
            self._next = None

    def _say_seals(self, author: bytes, sealed: int, now: int) -> bool:
        """Say the first seals above what is sealed again; say whether there are any."""
        found = False
        for kind, _, _, body in self._peer.log.read(author, _ALL, sealed, 300)[:2]:
            if kind == ENTRY_SEAL:
                found = True
                content = seal_letter(self._peer, author, body)
                # Who lacks parts of what was just said asks for them.
                if not self._mesh.said_lately(content, now):
                    self._say_letter(content, 0xFF, now)
        return found

    def _say_letter(self, content: bytes, bits: int, now: int, kind: int = LETTER_UP) -> None:
        try:
            frames = letter_frames(self._peer, content, self._mesh.key, kind)
        except HedgerowError:
            return
        self._mesh.remember(frames, content, now, kind)
        for index in range(len(frames)):
            if bits >> index & 1:
                self._say(frames[index], now)

    def _say(self, frame: bytes, now: int) -> None:
        mesh = self._mesh
        mesh.stats["repairs"] += 1
        mesh.speaker.add(now + 30 + mesh.spread(), REPAIR, name_of(frame), frame, pace.EVENTS, 1)

    # ---- wanting

    def want(self, what: int, name: bytes, now: int) -> None:
        """Ask for something soon, and again until it has come."""
        if (what, name) not in self._wants:
            if len(self._wants) >= limits.MESH_WANTS:
                return
            # What is late may still be on its way, and where it goes by custody it surely is.
            wait = self._patience(800)
            self._wants[what, name] = [now + wait + self._mesh.random(wait * 3 // 2), 0, 0]
            self._next = None

    def _patience(self, wait: int) -> int:
        return wait if self._mesh.flood or not self._mesh.collects else pace.LATE_MS

    def wants(self, what: int) -> bool:
        """Say whether something of a kind is asked for."""
        return bool([1 for key in self._wants if key[0] == what])

    def due(self) -> int | None:
        """Return when something is to be asked for."""
        if self._next is None and self._wants:
            self._next = min([entry[0] for entry in self._wants.values()])
        return self._next if self._wants else None

    def step(self, now: int) -> None:
        """Queue questions for what is due; what they ask is looked up when their turn has come."""
        for key in self._wants:
            if self._wants[key][0] <= now:
                self._mesh.speaker.add(now, REPAIR, _WANT_NAME - key[0], self._ask, pace.EVENTS)
        self._next = now + 1000

    def _ask(self, name: int, now: int) -> bytes | None:
        """Return a WANT of what is lacking still, None if nothing is."""
        what = _WANT_NAME - name
        entries = []
        for key in sorted(self._wants):
            want = self._wants[key]
            if key[0] != what or want[0] > now or len(entries) >= asks.MOST[what]:
                continue
            entry = self._lacking(what, key[1])
            if entry is None or want[1] >= pace.ASKS:
                del self._wants[key]
                continue
            if what == asks.WANT_OPERATIONS:
                base = self._mesh.intake.base(key[1])
                if base != want[2]:
                    # It gets on: what is lacking now is asked for the first time.
                    want[1] = 0
                want[2] = base
            want[1] += 1
            wait = self._patience(pace.ASK_MS) << min(want[1], 3)
            want[0] = now + wait // 2 + self._mesh.random(wait)
            entries.append(entry)
        self._next = None
        if not entries:
            return None
        self._mesh.stats["wants"] += 1
        return self._make(WANT, asks.encode_want(what, entries))

    def _lacking(self, what: int, name: bytes) -> tuple | bytes | None:
        """Return what to ask for, None if nothing of it is lacking any more."""
        if what == asks.WANT_ANNOUNCES:
            return self._lacks_name(name)
        if what == asks.WANT_SCHEMAS:
            return None if [1 for schema in self._peer.schemas if schema[:2] == name] else name
        intake = self._mesh.intake
        if what == asks.WANT_OPERATIONS:
            base = intake.base(name)
            height = intake.heights.get(name, 0)
            here = [
                e[1][7] << 8 | e[1][8]
                for e in intake.waiting.values()
                if e[2] == name[:3] and e[1][0] == VERSION | OP
            ]
            # What is here and could not follow what is held is another's of the same short name.
            bits = 1 if height > base else 0
            for index in range(1, 16):
                if base + 1 + index <= height and base + 1 + index & 0xFFFF not in here:
                    bits |= 1 << index
            if not bits and intake.lacks_seal(name):
                # No bit at all asks for the seal over the first number.
                return (name, max(self._peer.log.sealed(name), self._peer.receipted(name)) + 1 & 0xFFFF, 0)
            return (name, base + 1 & 0xFFFF, bits) if bits else None
        if what == asks.WANT_WHOLE:
            return intake.unproven(name)
        bits = intake.letters.missing(name)
        return (name, bits) if bits else None

    def _lacks_name(self, name: bytes) -> bytes | None:
        """Return a short author whose whole name, or plan, is not known."""
        mesh = self._mesh
        authors = mesh.names.find(name)
        if name in self._plans and not [1 for author in authors if mesh.names.get(author) is not None]:
            return name
        self._plans.discard(name)
        waits = mesh.relays and mesh.intake.waits_for(name)
        return name if waits or not authors else None

    def stop(self) -> None:
        """Want nothing any more: operations are not stored here from now on."""
        self._wants.clear()
        self._mesh.intake.waiting.clear()

    # ---- answering

    def heard_want(self, frame: bytes, now: int) -> None:
        """Answer what is asked for and here; pass on what concerns those farther away."""
        what, entries = asks.decode_want(frame)
        mesh = self._mesh
        for entry in entries:
            self._asked(what, entry, now)
            if mesh.flood and not mesh.lot():
                continue
            if what == asks.WANT_OPERATIONS:
                self._answer_operations(frame, entry, now)
            elif what == asks.WANT_WHOLE:
                self._answer_whole(frame, entry, now)
            elif what == asks.WANT_LETTERS:
                known = mesh.letter(entry[0])
                if known is not None:
                    self._say_letter(known[0], entry[1] or 0xFF, now, known[1])
            elif what == asks.WANT_ANNOUNCES:
                for author in mesh.names.find(entry):
                    mesh.down.say_announce(author, now + 50 + mesh.random(700))
                if not mesh.names.find(entry):
                    mesh.down.pass_down(frame, entry, now)
            else:
                kind = LETTER_UP if mesh.flood else LETTER_DOWN
                for schema in self._peer.shared_schemas():
                    if schema[:2] == entry:
                        self._say_letter(
                            bytes((letters.SCHEMA,)) + self._peer.schemas[schema].encoded, 0xFF, now, kind
                        )

    def _asked(self, what: int, entry: tuple | bytes, now: int) -> None:
        """Somebody else asks for something: the answer is for us too."""
        name = entry if isinstance(entry, bytes) else entry[0]
        for key in self._wants:
            if key[0] == what and key[1][: len(name)] == name:
                at = now + pace.ASK_MS + self._mesh.random(pace.ASK_MS)
                if self._wants[key][0] < at:
                    self._wants[key][0] = at
                    self._next = None

    def _answer_operations(self, frame: bytes, entry: tuple, now: int) -> None:
        short, low, bits = entry
        mesh = self._mesh
        found = 0
        for author in mesh.names.find(short):
            log = self._peer.log
            held = log.held(author)
            first = nearest(held, low)
            if held and first <= self._peer.receipted(author) and (author == self._peer.author or mesh.flood):
                mesh.down.say_receipt(author, now)
            if not bits and self._say_seals(author, first - 1, now):
                found += 1
            for index in range(16):
                if not bits >> index & 1 or first + index > held or found >= _MOST_ANSWERS:
                    continue
                stored = log.fetch(author, first + index)
                if stored is None:
                    continue
                found += 1
                if mesh.flood or mesh.collects:
                    self._say_operation(author, first + index, stored, now)
                elif found == 1:
                    # It was lost on its way: whoever had it takes it again.
                    mesh.feed.rewind(author, first + index - 1, now)
        for index in range(16):
            if bits >> index & 1 and mesh.custody.again(short, low + index & 0xFFFF, now):
                found += 1
        if not found:
            mesh.down.pass_down(frame, short, now)

    def _answer_whole(self, frame: bytes, entry: tuple, now: int) -> None:
        """Say an operation as a letter, for somebody who cannot rebuild it from less."""
        found = False
        for author in self._mesh.names.find(entry[0]):
            number = nearest(self._peer.log.held(author), entry[1])
            stored = self._peer.log.fetch(author, number)
            if stored is not None:
                found = True
                self._say_letter(letters.encode_operation(author, number, stored), 0xFF, now)
        if not found:
            self._mesh.down.pass_down(frame, entry[0], now)

    def _say_operation(self, author: bytes, number: int, stored: bytes, now: int) -> None:
        try:
            frames = frames_of(self._peer, author, number, stored, self._mesh.key)
        except HedgerowError:
            return
        if len(frames) > 1:
            self._mesh.remember(frames, letters.encode_operation(author, number, stored), now)
        for frame in frames:
            self._say(frame, now)
