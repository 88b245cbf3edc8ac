"""From frames to the log: operations rebuilt and proven, letters, and what waits for something missing."""

from .. import limits
from ..clock import hlc
from ..errors import HedgerowError
from ..log import STATE_CUSTODY
from ..operation import decode_body, h16
from ..trust.seal import Seal
from . import letters as letters_module
from . import pace
from .frames import OP, VERSION, decode_op
from .ops import nearest, rebuild
from .outcome import AUTHOR, GAP, GONE, KNOWN, REFUSED, SCHEMA, TAKEN, WAITS, WHOLE
from .seen import Seen

_LETTER = limits.const(1 << 30)
# Who collects puts together what comes from all sides at once.
_WIDE = limits.const(512)
_WIDER = limits.const(32)
_WAITING = b"w"
_PARTS = b"l"


class Intake:
    """Takes what was heard into the log of `peer`; `taken` collects [(frame or None, content or None)] that
    are durable since somebody looked."""

    def __init__(self, peer: object, names: object, stats: dict, wide: bool = False):
        self._peer = peer
        self._names = names
        self._stats = stats
        # name -> [moment, frame or content, short author, why, what it lacks]
        self.waiting: dict = {}
        self.taken: list = []
        self.letters = letters_module.Letters(_WIDE if wide else limits.MAX_LETTERS)
        # Letters that were whole, longer than they are remembered there.
        self._whole = Seen(8 * limits.MESH_LETTERS if wide else limits.MESH_LETTERS)
        self._most = _WIDER * limits.MESH_WAITING if wide else limits.MESH_WAITING
        # Up to which number authors are said to be held by somebody: author -> number.
        self.heights: dict = {}
        self._last: tuple = (b"", 0, None)
        self._busy = False
        self._moved = b""
        self._schemas = len(peer.schemas)
        # Who collects keeps what waits durably: those who brought it need not hold it any longer.
        self._durable = wide
        # Likewise letters of which some fragments are here: id -> frames.
        self._parts: dict = {}
        self._load()

    def _load(self) -> None:
        for key, value in self._peer.log.items(STATE_CUSTODY) if self._durable else ():
            if key[:1] == _PARTS and value:
                self._parts[key[1:]] = parts = unjoin(value)
                for frame in parts:
                    self.letters.take(frame, 0)
            elif key[:1] == _WAITING and value:
                short = value[4:7] if value[0] == VERSION | OP else value[1:4]
                self.waiting[int.from_bytes(key[1:], "big")] = [0, value, short, GAP, b""]

    # ---- operations in one frame

    def take(self, frame: bytes, name: int, now: int) -> int:
        """Take an OP; TAKEN, KNOWN, WAITS or REFUSED. It is durable if it is TAKEN or KNOWN."""
        try:
            return self._take(frame, name, now)
        except HedgerowError as error:
            self._stats["refused"] += 1
            if error.code == "SCHEMA_UNKNOWN":
                return self._wait(name, frame, frame[4:7], SCHEMA, frame[11:13], now)
            return REFUSED

    def _take(self, frame: bytes, name: int, now: int) -> int:
        op = decode_op(frame)
        peer = self._peer
        authors = self._names.find(op.author)
        result = None
        for author in authors:
            base = self.base(author)
            number = nearest(base, op.number)
            if number <= base:
                stored = self._peer.log.fetch(author, number)
                if stored is None:
                    result = GONE if result is None else result
                elif h16(author, number, stored, self._peer.schemas)[:2] == op.check:
                    return KNOWN
                continue
            if peer.is_own(author):
                continue
            self.note_height(author, number)
            if number > base + 1:
                result = GAP
                continue
            stored = self._rebuild(op, author, number)
            if stored is not None:
                self._ingest(author, number, stored)
                self.taken.append((frame, None))
                self._advance(author, now)
                return TAKEN
            if result is None or result == GONE:
                result = self._reason(op, author, number) or result
        if result == GONE:
            return KNOWN
        if result is None:
            result = AUTHOR
        lacks = op.schema if result == SCHEMA else op.author
        return self._wait(name, frame, op.author, result, lacks, now)

    def _reason(self, op: object, author: bytes, number: int) -> int | None:
        """Say what is lacking to rebuild the successor of what is held; None: it is another's."""
        for schema in self._peer.schemas:
            if schema[:2] == op.schema:
                floor = self._floor(author, number)
                if floor is None:
                    return AUTHOR
                return None if floor[1] == 1 else WHOLE
        return SCHEMA

    def base(self, author: bytes) -> int:
        """Return the number behind which this peer takes operations of an author."""
        held = self._peer.log.held(author)
        return held if self._peer.keeper else max(held, self._peer.receipted(author))

    def _floor(self, author: bytes, number: int) -> tuple | None:
        """Return (ms of the operation before a number, how many turns above it to try, its stored form).

        None if nothing is known; without the stored form the ms are a bound.
        """
        if self._last[0] == author and self._last[1] == number - 1:
            before = self._last[2]
        else:
            before = self._peer.log.fetch(author, number - 1) if number > 1 else None
        if before is not None:
            return hlc.stamp_ms(decode_body(before)[0]), 1, before
        announce = self._names.get(author)
        if announce is None:
            return None
        return max((announce.ms_high << 24) - (1 << 24) - 1, -1), 3, None

    def _rebuild(self, op: object, author: bytes, number: int) -> bytes | None:
        floor = self._floor(author, number)
        if floor is None:
            return None
        return rebuild(op, author, number, floor[0], self._peer.schemas, floor[1], floor[2])

    def _ingest(self, author: bytes, number: int, stored: bytes) -> None:
        self._peer.ingest(author, number, [stored])
        self._peer.commit()
        self._last = (author, number, stored)
        self._stats["stored"] += 1

    # ---- letters

    def take_fragment(self, frame: bytes, now: int) -> int:
        """Take a fragment of a letter; TAKEN if all of the letter is durable or of no further use here."""
        short = int.from_bytes(frame[4:7], "big") | 1
        name = int.from_bytes(frame[4:7], "big") | _LETTER
        known = self._whole.senders(short) > 0
        content = None
        if not known:
            if self._durable and not self._keep(frame, now):
                return REFUSED
            try:
                content = self.letters.take(frame, now)
            except HedgerowError:
                self._drop(frame[4:7])
                return REFUSED
        if content is not None:
            self._stats["letters"] += 1
            self._whole.note(short, 0)
            result = self.take_letter(content, name, now)
            self._drop(frame[4:7])
            if result == REFUSED:
                self.letters.forget(frame[4:7])
                self._whole.forget(short)
            return result
        if not known and not self.letters.done(frame[4:7]):
            return WAITS
        if name in self.waiting:
            self.again(name, now)
        return WAITS if name in self.waiting else KNOWN

    def _keep(self, frame: bytes, now: int) -> bool:
        """Keep a fragment durably until its letter is whole; False if there is no room for more."""
        letter = frame[4:7]
        parts = self._parts.get(letter)
        if parts is None:
            if len(self._parts) >= _WIDE:
                oldest = self.letters.oldest()
                if oldest is None or now - oldest[1] < pace.DONE_MS:
                    return False
                self.letters.forget(oldest[0])
                self._drop(oldest[0])
            parts = self._parts[letter] = []
        parts.append(frame)
        self._peer.log.put(STATE_CUSTODY, _PARTS + letter, join(parts))
        self._peer.log.commit()
        return True

    def _drop(self, letter: bytes) -> None:
        if self._parts.pop(letter, None) is not None:
            self._peer.log.put(STATE_CUSTODY, _PARTS + letter, b"")
            self._peer.log.commit()

    def keeps(self, frame: bytes) -> bool:
        """Say whether a fragment's letter is kept durably, though something is lacking."""
        return frame[4:7] in self._parts or self.waiting_letter(frame[4:7]) is not None

    def take_letter(self, content: bytes, name: int, now: int) -> int:
        """Take a whole letter."""
        kind = content[0]
        try:
            if kind in letters_module.OPERATIONS:
                return self._take_operation(content, name, now)
            if kind == letters_module.SEAL_BRIEF:
                return self._take_brief(content, name, now)
            if kind == letters_module.SEAL or kind == letters_module.SKIP:
                return self._take_note(content, content[1:9], content[9:], now)
            if kind == letters_module.SCHEMA:
                known = len(self._peer.schemas)
                self._peer.ingest_schema(content[1:])
                if len(self._peer.schemas) == known:
                    return KNOWN
                self._peer.commit()
                self.taken.append((None, content))
                self.look(now)
                return TAKEN
        except HedgerowError as error:
            self._stats["refused"] += 1
            if error.code == "SCHEMA_UNKNOWN":
                return self._wait(name, content, content[1:4], SCHEMA, b"", now)
            if error.code == "SYNC_GAP":
                return self._wait(name, content, content[1:4], GAP, content[1:4], now)
        return REFUSED

    def _take_operation(self, content: bytes, name: int, now: int) -> int:
        author, number, stored = letters_module.decode_operation(content)
        base = self.base(author)
        if number <= base:
            return KNOWN
        changes = decode_body(stored)[1]
        self._names.learn(author, now)
        self.note_height(author, number)
        if number > base + 1:
            return self._wait(name, content, author[:3], GAP, author[:3], now)
        for change in changes:
            if isinstance(change[1], bytes) and change[1] not in self._peer.schemas:
                return self._wait(name, content, author[:3], SCHEMA, change[1][:2], now)
        self._ingest(author, number, stored)
        self.taken.append((None, content))
        self._advance(author, now)
        return TAKEN

    def _take_brief(self, content: bytes, name: int, now: int) -> int:
        """Take a seal whose operations are here: what they say was left out of it."""
        from .brief import decode_seal, unfold_seal

        short, _, last, _, _ = decode_seal(content)
        waits = AUTHOR
        for author in self._names.find(short):
            log = self._peer.log
            if last <= max(log.sealed(author), self._peer.receipted(author)):
                return KNOWN
            if last > log.held(author):
                waits = GAP
                continue
            body = unfold_seal(content, author, log, self._peer.schemas)
            if body is not None:
                return self._take_note(content, author, body, now)
            waits = WHOLE
        if waits == WHOLE:
            # Some of its operations are not here, but a receipt for them.
            return REFUSED
        return self._wait(name, content, short, waits, short, now)

    def _take_note(self, content: bytes, author: bytes, body: bytes, now: int) -> int:
        """Take a seal or a skip."""
        peer = self._peer
        before = peer.log.sealed(author), peer.log.held(author)
        if content[0] == letters_module.SKIP:
            peer.ingest_skip(author, body)
        else:
            peer.ingest_seal(author, body)
        if before == (peer.log.sealed(author), peer.log.held(author)):
            return KNOWN
        peer.commit()
        self._names.learn(author, now)
        self.taken.append((None, content))
        self._advance(author, now)
        return TAKEN

    # ---- what waits

    def _wait(self, name: int, what: bytes, short: bytes, why: int, lacks: bytes, now: int) -> int:
        if name not in self.waiting:
            if len(self.waiting) >= self._most:
                self._stats["forgotten"] += 1
                if self._durable:
                    # What was acknowledged stays.
                    return REFUSED
                self._forget(min(self.waiting, key=self._age))
            if self._durable:
                if len([1 for entry in self.waiting.values() if entry[2] == short]) >= limits.MESH_WAITING:
                    return REFUSED
                self._store(name, what)
        self.waiting[name] = [now, what, short, why, lacks]
        return WAITS

    def _forget(self, name: int) -> None:
        if name & _LETTER:
            self.letters.forget((name & 0xFFFFFF).to_bytes(3, "big"))
            self._whole.forget(name & 0xFFFFFF | 1)
        del self.waiting[name]

    def spare(self) -> None:
        """Give up what waits, and letters in parts."""
        for name in list(self.waiting):
            self._forget(name)
        self.letters.spare()

    def _store(self, name: int, what: bytes) -> None:
        self._peer.log.put(STATE_CUSTODY, _WAITING + name.to_bytes(4, "big"), what)
        self._peer.log.commit()

    def waits_for(self, short: bytes) -> bool:
        """Say whether something waits for the whole name of an author, or for when it wrote last."""
        for entry in self.waiting.values():
            if entry[3] == AUTHOR and entry[2] == short:
                return True
        return False

    def unproven(self, short: bytes) -> tuple | None:
        """Return (short author, low bits of its number) of an operation that has to come as a letter."""
        for entry in self.waiting.values():
            if entry[3] == WHOLE and entry[2] == short:
                return short, entry[1][7] << 8 | entry[1][8]
        return None

    def lacks_seal(self, author: bytes) -> bool:
        """Say whether a seal waits although all operations under it are here: for the one before it."""
        held = self._peer.log.held(author)
        for entry in self.waiting.values():
            what = entry[1]
            if what[0] == letters_module.SEAL_BRIEF and what[1:4] == author[:3]:
                from .brief import decode_seal

                if decode_seal(what)[2] <= held:
                    return True
            if what[0] == letters_module.SEAL and what[1:9] == author and Seal.decode(what[9:]).last <= held:
                return True
        return False

    def waiting_letter(self, letter: bytes) -> list | None:
        """Return the entry of a letter that waits, by the letter's name."""
        return self.waiting.get(int.from_bytes(letter, "big") | _LETTER)

    def _age(self, name: int) -> tuple:
        return self.waiting[name][0], name

    def expect(self, author: bytes, what: bytes) -> None:
        """Learn from what waits up to which number its author is held by somebody."""
        if what[0] == VERSION | OP:
            base = self.base(author)
            number = nearest(base, what[7] << 8 | what[8])
            if base < number < base + 0x8000:
                self.note_height(author, number)
        elif what[0] in letters_module.OPERATIONS and what[1:9] == author:
            self.note_height(author, letters_module.decode_operation(what)[1])

    def note_height(self, author: bytes, number: int) -> None:
        """Learn that somebody holds an author up to a number."""
        if number > self.heights.get(author, 0):
            if author not in self.heights and len(self.heights) >= limits.MAX_NAMES:
                self.heights.clear()
            self.heights[author] = number

    def look(self, now: int) -> None:
        """Try again what waits for a schema, if this peer has learnt one in another way."""
        if len(self._peer.schemas) != self._schemas:
            self._schemas = len(self._peer.schemas)
            self.retry(SCHEMA, None, now)

    def retry(self, why: int, short: bytes | None, now: int) -> None:
        """Try again what waits for an author, or for a schema, that has become known."""
        for name in sorted(self.waiting):
            entry = self.waiting.get(name)
            if entry is not None and entry[3] == why and (short is None or entry[2] == short):
                self._again(name, entry, now)

    def again(self, name: int, now: int) -> None:
        """Try once more what waits under a name."""
        entry = self.waiting.get(name)
        if entry is not None:
            self._again(name, entry, now)

    def _again(self, name: int, entry: list, now: int) -> None:
        take = self.take_letter if name & _LETTER else self.take
        result = take(entry[1], name, now)
        if result != WAITS:
            self.waiting.pop(name, None)
        known = self.waiting.get(name)
        if known is not None:
            known[0] = entry[0]
        elif self._durable:
            self._store(name, b"")

    def _advance(self, author: bytes, now: int) -> None:
        """Take what waited for the operation of an author that is here now, and what waited for that."""
        self._moved = author
        if self._busy:
            return
        self._busy = True
        while self._moved:
            author = self._moved
            self._moved = b""
            short = author[:3]
            for name in list(self.waiting):
                entry = self.waiting.get(name)
                if (
                    entry is not None
                    and entry[2] == short
                    and entry[3] != SCHEMA
                    and self._fits(author, entry[1])
                ):
                    self._again(name, entry, now)
        self._busy = False

    def _fits(self, author: bytes, what: bytes) -> bool:
        """Say whether a frame or letter may follow what is held of an author."""
        base = self.base(author)
        if what[0] == VERSION | OP:
            return what[7] << 8 | what[8] == (base + 1) & 0xFFFF
        if what[0] in letters_module.OPERATIONS:
            return letters_module.decode_operation(what)[1] <= base + 1
        return True


def join(frames: list) -> bytes:
    """Return frames as one value: each after its length."""
    return b"".join([bytes((len(frame),)) + frame for frame in frames])


def unjoin(value: bytes) -> list:
    """Return what join() joined."""
    frames = []
    at = 0
    while at < len(value):
        frames.append(value[at + 1 : at + 1 + value[at]])
        at += 1 + value[at]
    return frames
