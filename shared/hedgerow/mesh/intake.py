"""From frames to the log: operations rebuilt and proven, letters, and what waits for something missing."""

from .. import limits
from ..clock import hlc
from ..errors import HedgerowError
from ..operation import decode_body, h16
from ..trust.seal import Seal
from . import asks, letters, pace
from .custody import name_of
from .frames import OP, VERSION, decode_op
from .ops import nearest, rebuild
from .outcome import AUTHOR, GAP, KNOWN, REFUSED, SCHEMA, TAKEN, WAITS, WHOLE

_LETTER = limits.const(1 << 30)
_OP = limits.const(VERSION | OP)
# Who collects puts together what comes from all sides at once.
_WIDE = limits.const(512)
_WIDER = limits.const(32)
# Farther ahead of what is held than any number: its author is not known.
_FAR = limits.const(1 << 29)


class Intake:
    """Takes what `mesh`, the engine, has heard into its log; what lacks something waits, frames and letters
    in one table. `taken` collects [(frame or None, content or None)] that have become durable."""

    def __init__(self, mesh: object):
        self._mesh = mesh
        self._peer = mesh.peer
        self._names = mesh.names
        wide = mesh.collects
        # name -> (frame or content, why, since when)
        self.waiting: dict = {}
        self.taken: list = []
        self.letters = letters.Letters(_WIDE, 8 * limits.MESH_LETTERS) if wide else letters.Letters()
        self._most = _WIDER * limits.MESH_WAITING if wide else limits.MESH_WAITING
        # Up to which number authors are said to be held by somebody: author -> number.
        self.heights: dict = {}
        self._last: tuple = (b"", 0, None)
        self._moved: list = []
        self._lacks, self._now = b"", 0
        self._schemas = len(self._peer.schemas)
        # Who collects keeps what waits durably: those who brought it need not hold it any longer.
        self.kept: object = None
        if wide:
            from .kept import Kept

            self.kept = Kept(self, self._peer.log, self._peer.epoch)
            self.retry(GAP, None, 0)

    # ---- frames, and letters that are whole

    def take(self, what: bytes, name: int, now: int) -> int:
        """Take an OP, or a letter's content: TAKEN or KNOWN if it is durable or of no use, WAITS, REFUSED."""
        self._now = now
        self._lacks = b""
        try:
            result = self._op(what) if what[0] == _OP else self._letter(what)
        except HedgerowError as error:
            self._mesh.stats["refused"] += 1
            result = REFUSED
            self._mesh.lacks_room(error.code, short_of(what), now)
            if error.code == "SCHEMA_UNKNOWN":
                result = SCHEMA
                self._lacks = what[11:13] if what[0] == _OP else b""
            elif error.code == "SYNC_GAP":
                result = GAP
        known = self.waiting.get(name)
        if result > REFUSED:
            self.ask(what, result, now)
            if known or self._room(what, name, result):
                self.waiting[name] = what, result, known[2] if known else now
                return WAITS
            result = REFUSED
        if known and result == REFUSED and self.kept and self._mesh.is_full(short_of(what), now):
            # Whoever brought it has let go of it.
            return WAITS
        if self.waiting.pop(name, None) is not None and self.kept:
            self.kept.put(name, b"")
        if result == REFUSED and name & _LETTER:
            self.letters.forget((name & 0xFFFFFF).to_bytes(3, "big"))
        return result

    def ask(self, what: bytes, why: int, now: int) -> None:
        """Ask for what a frame or letter lacks."""
        want, short = self._mesh.repair.want, short_of(what)
        if why == SCHEMA:
            if self._lacks:
                want(asks.WANT_SCHEMAS, self._lacks, now)
        elif why == AUTHOR:
            want(asks.WANT_ANNOUNCES, short, now)
        else:
            for author in self._names.find(short):
                if not self._peer.is_own(author):
                    want(asks.WANT_WHOLE if why == WHOLE else asks.WANT_OPERATIONS, author, now)

    def _op(self, frame: bytes) -> int:
        op = decode_op(frame)
        peer = self._peer
        result, full = AUTHOR, False
        for author in self._names.find(op.author):
            base = self.base(author)
            number = nearest(base, op.number)
            if number <= base:
                stored = peer.log.fetch(author, number)
                if stored is not None and h16(author, number, stored, peer.schemas)[:2] == op.check:
                    return KNOWN
                if stored is None and result == AUTHOR:
                    # It may be one that was here and is gone.
                    result = result if result == GAP else KNOWN
            elif not peer.is_own(author):
                self.note_height(author, number)
                if not self._mesh.has_room(author, self._now):
                    full = True
                    continue
                why = GAP
                if number == base + 1:
                    why = self._follow(op, author, number)
                self._mesh.repair.came(author, number, self._now)
                if why == TAKEN:
                    self.taken.append((frame, None))
                    self.moved(author, self._now)
                    return TAKEN
                if why > REFUSED and (why == GAP or result in (KNOWN, AUTHOR)):
                    result = why
        self._lacks = op.schema
        return REFUSED if full and result == AUTHOR else result

    def _follow(self, op: object, author: bytes, number: int) -> int:
        """Take the successor of what is held of an author if the OP is that, else say what is lacking for it;
        REFUSED: it is another's."""
        if number <= self._peer.doubts.get(author, (0,))[0]:
            return WHOLE
        known = False
        for schema in self._peer.schemas:
            known = known or schema[:2] == op.schema
        if not known:
            return SCHEMA
        before = None
        turns = 1
        if self._last[0] == author and self._last[1] == number - 1:
            before = self._last[2]
        elif number > 1:
            before = self._peer.log.fetch(author, number - 1)
        if before is not None:
            floor = hlc.stamp_ms(decode_body(before)[0])
        else:
            # Of the moment before a bound is known.
            announce = self._names.get(author)
            if announce is None:
                return AUTHOR
            floor = max((announce.ms_high << 24) - (1 << 24) - 1, -1)
            turns = 3
        stored = rebuild(op, author, number, floor, self._peer.schemas, turns, before)
        if stored is None:
            # What is before it may be false until a seal says that it is not.
            return REFUSED if number - 1 <= self._peer.log.sealed(author) else WHOLE
        self._ingest(author, number, stored)
        return TAKEN

    def lacking(self, now: int, most: int = _FAR) -> int:
        """Return how many operations others are known to hold that are not here, `most` if they are more; of
        a leaf it may be alone with them."""
        lacking = 0
        for author, height in self.heights.items():
            if lacking >= most:
                return most
            if height > self._peer.log.held(author) and not self._mesh.leaves.hears(author[:3], now):
                lacking += max(0, height - self.base(author)) if self._mesh.takes(author, now) else 0
        return lacking

    def base(self, author: bytes) -> int:
        """Return the number behind which this peer takes operations of an author."""
        held = self._peer.log.held(author)
        return held if self._peer.keeper else max(held, self._peer.receipted(author))

    def _ingest(self, author: bytes, number: int, stored: bytes) -> None:
        self._peer.ingest(author, number, [stored])
        self._peer.commit()
        self._last = (author, number, stored)
        self._mesh.stats["stored"] += 1

    def _letter(self, content: bytes) -> int:
        kind = content[0]
        peer = self._peer
        if kind in letters.OPERATIONS:
            return self._operation(content)
        if kind == letters.SEAL_BRIEF:
            return self._brief(content)
        if kind == letters.SEAL or kind == letters.SKIP:
            return self._note(content, content[1:9], content[9:])
        if kind != letters.SCHEMA:
            return REFUSED
        if not peer.ingest_schema(content[1:]):
            return KNOWN
        peer.commit()
        self.taken.append((None, content))
        self.look(self._now, True)
        return TAKEN

    def _operation(self, content: bytes) -> int:
        author, number, stored = letters.decode_operation(content)
        base = self.base(author)
        if number <= base:
            return KNOWN
        changes = decode_body(stored)[1]
        self._names.learn(author, self._now)
        self.note_height(author, number)
        if not self._mesh.has_room(author, self._now):
            return REFUSED
        if number > base + 1:
            return GAP
        for change in changes:
            if isinstance(change[1], bytes) and change[1] not in self._peer.schemas:
                self._lacks = change[1][:2]
                return SCHEMA
        self._ingest(author, number, stored)
        self._mesh.repair.came(author, number, self._now)
        self.taken.append((None, content))
        self.moved(author, self._now)
        return TAKEN

    def _brief(self, content: bytes) -> int:
        """Take a seal whose operations are here: what they say was left out of it."""
        from .brief import decode_seal, unfold_seal

        short, _, last, _, _ = decode_seal(content)
        result = AUTHOR
        odd: list = []
        log = self._peer.log
        for author in self._names.find(short):
            if last <= max(log.sealed(author), self._peer.receipted(author)):
                result = result if result == GAP else KNOWN
            elif last > log.held(author):
                result = GAP
            else:
                body = unfold_seal(content, author, log, self._peer.schemas)
                if body:
                    return self._note(content, author, body)
                if body is not None:
                    odd.append(author)
                if result == AUTHOR:
                    # If some of its operations are not here there is a receipt for them.
                    result = REFUSED
        for author in odd if result == REFUSED else ():
            result = max(result, self._doubt(author, None))
        return result

    def _doubt(self, author: bytes, seal: bytes | None) -> int:
        """Have what no seal covers of an author come again, whole, as its seal does not fit: that waits."""
        from ..trust.verify import doubt

        if not doubt(self._peer, author, seal, self._now):
            return REFUSED
        # What brings it again may be what brought it before.
        self._mesh.custody.forget(self._now)
        self.letters.renew(self._now)
        self._last = (b"", 0, None)
        return GAP

    def _note(self, content: bytes, author: bytes, body: bytes) -> int:
        """Take a seal or a skip."""
        peer = self._peer
        before = peer.log.sealed(author), peer.log.held(author)
        if content[0] == letters.SKIP:
            peer.ingest_skip(author, body)
        else:
            try:
                peer.ingest_seal(author, body)
            except HedgerowError as error:
                if error.code != "SEAL_INVALID":
                    raise
                return self._doubt(author, body)
        if before == (peer.log.sealed(author), peer.log.held(author)):
            return KNOWN
        peer.commit()
        self._names.learn(author, self._now)
        self.taken.append((None, content))
        self.moved(author, self._now)
        return TAKEN

    # ---- fragments

    def take_fragment(self, frame: bytes, now: int) -> int:
        """Take a fragment of a letter; TAKEN if all of the letter is durable or of no further use here."""
        letter = frame[4:7]
        name = int.from_bytes(letter, "big") | _LETTER
        if self.letters.done(letter, now):
            return self.take(self.waiting[name][0], name, now) if name in self.waiting else KNOWN
        if self.kept and not self.kept.fragment(frame, now):
            return REFUSED
        try:
            content = self.letters.take(frame, now)
            if content is None:
                if self._mesh.flood and now >= self._mesh.short_until:
                    # Otherwise whoever has the rest in custody pushes it anyhow. A full log may refuse it.
                    self._mesh.repair.want(asks.WANT_LETTERS, letter, now)
                return WAITS
            self._mesh.stats["letters"] += 1
            result = self.take(content, name, now)
        except HedgerowError:
            self.letters.forget(letter)
            result = REFUSED
        if self.kept:
            for part in self.kept.drop(letter):
                if result == REFUSED:
                    # Whoever says it again is heard.
                    self._mesh.custody.done.forget(name_of(part))
        return result

    # ---- what waits

    def _room(self, what: bytes, name: int, why: int) -> bool:
        """Say whether something may wait. Where there is no room what is farthest ahead goes; what was
        acknowledged stays."""
        if self.kept:
            short = short_of(what)
            same = lost = 0
            for entry in self.waiting.values():
                same += short_of(entry[0]) == short
                lost += entry[1] == AUTHOR
            # Fragments of a letter have been acknowledged already: a frame has the smaller share.
            share = limits.MESH_WAITING if what[0] == _OP else _WIDE // 4
            if len(self.waiting) >= self._most or same >= share or (why == AUTHOR and lost >= _WIDE // 2):
                self._mesh.stats["forgotten"] += 1
                return False
            self.kept.put(name, what)
        elif len(self.waiting) >= self._most:
            self._mesh.stats["forgotten"] += 1
            ahead, last = max([(self._ahead(entry[0]), other) for other, entry in self.waiting.items()])
            if self._ahead(what) >= ahead:
                return False
            del self.waiting[last]
            if last & _LETTER:
                self.letters.forget((last & 0xFFFFFF).to_bytes(3, "big"))
        return True

    def expire(self, now: int) -> None:
        """Let go of what has waited for long: whoever has written it says it again."""
        if self._peer.search:
            from ..places import look

            look(self._peer)
        for name in [name for name in self.waiting if now - self.waiting[name][2] >= pace.WAITING_MS]:
            del self.waiting[name]
            self._mesh.stats["forgotten"] += 1
            if self.kept:
                self.kept.put(name, b"")

    def spare(self) -> None:
        """Give up what waits, and letters in parts: others say it again."""
        for name in self.waiting:
            if name & _LETTER:
                self.letters.forget((name & 0xFFFFFF).to_bytes(3, "big"))
        self.waiting.clear()
        self.letters.spare()

    def _ahead(self, what: bytes) -> int:
        """Return how many operations beyond what is held a frame or letter is: 1 for what follows."""
        kind = what[0]
        if kind in letters.OPERATIONS:
            author, number, _ = letters.decode_operation(what)
            return number - self.base(author)
        if kind == letters.SEAL:
            return Seal.decode(what[9:]).last - self.base(what[1:9])
        if kind == letters.SKIP or kind == letters.SCHEMA:
            return 1
        least = _FAR
        for author in self._names.find(short_of(what)):
            base = self.base(author)
            if kind == _OP:
                number = nearest(base, what[7] << 8 | what[8])
                least = min(least, number - base if number > base else _FAR)
            else:
                # A brief seal: its first number, and how many follow.
                least = min(least, int.from_bytes(what[4:8], "big") + what[8] - base)
        return least

    def find(self, why: int, short: bytes | None) -> bytes | None:
        """Return a frame or letter, of a short author if one is given, that waits for a reason."""
        for what, reason, _ in self.waiting.values():
            if reason == why and (short is None or short_of(what) == short):
                return what
        return None

    def here(self, author: bytes) -> tuple:
        """Return the low 16 bits of the numbers of an author that wait here: those for certain, which no
        question brings on, and those that may be another's of the same short name."""
        sure, likely = [], []
        alone = len(self._names.find(author[:3])) < 2
        for what, why, _ in self.waiting.values():
            if what[0] == _OP and what[4:7] == author[:3]:
                (sure if alone and why == SCHEMA else likely).append(what[7] << 8 | what[8])
            elif what[0] in letters.OPERATIONS and what[1:9] == author:
                sure.append(letters.decode_operation(what)[1] & 0xFFFF)
        return sure, likely

    def lacks_seal(self, author: bytes) -> bool:
        """Say whether a seal waits although all operations under it are here: for the one before it."""
        for what, _, _ in self.waiting.values():
            seal = what[0] == letters.SEAL or what[0] == letters.SEAL_BRIEF
            if seal and short_of(what) == author[:3] and self._ahead(what) <= 0:
                return True
        return False

    def waits(self, frame: bytes) -> bool:
        """Say whether an OP, or the letter of a fragment, waits here."""
        name = name_of(frame) if frame[0] == _OP else int.from_bytes(frame[4:7], "big") | _LETTER
        return name in self.waiting

    def note_height(self, author: bytes, number: int) -> None:
        """Learn that somebody holds an author up to a number."""
        if number > self.heights.get(author, 0):
            if author not in self.heights and len(self.heights) >= limits.MAX_NAMES:
                self.heights.clear()
            self.heights[author] = number

    def look(self, now: int, news: bool = False) -> None:
        """Try again what waits for a schema, if this peer has learnt one: `news`, or there are more."""
        if news or len(self._peer.schemas) != self._schemas:
            self._schemas = len(self._peer.schemas)
            self.retry(SCHEMA, None, now)

    def retry(self, why: int, short: bytes | None, now: int) -> None:
        """Try again what waits for an author, or for a schema, that has become known."""
        for name in sorted(self.waiting):
            entry = self.waiting.get(name)
            if entry is not None and entry[1] == why and (short is None or short_of(entry[0]) == short):
                self.take(entry[0], name, now)

    def moved(self, author: bytes, now: int) -> None:
        """Take what waited for the operation of an author that is here now, and what waited for that."""
        self._now = now
        self._moved.append(author[:3])
        if len(self._moved) > 1:
            return
        while self._moved:
            for name in list(self.waiting):
                entry = self.waiting.get(name)
                if entry is None or entry[1] == SCHEMA or short_of(entry[0]) != self._moved[0]:
                    continue
                ahead = self._ahead(entry[0])
                if ahead <= 1 or ahead == _FAR:
                    self.take(entry[0], name, now)
            self._moved.pop(0)


def short_of(what: bytes) -> bytes:
    """Return the short author of an OP, or of what a letter says."""
    return what[4:7] if what[0] == _OP else what[1:4]
