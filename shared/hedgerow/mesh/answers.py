"""What a peer says because others ask for it (SPEC 6.23.4)."""

from .. import limits
from ..errors import HedgerowError
from ..log import ENTRY_SEAL
from ..sync.hello import LEAF
from . import asks, letters, pace
from .custody import name_of
from .digests import Digests
from .feed import frames_of, letter_frames, seal_letter
from .frames import LETTER_DOWN, LETTER_UP
from .ops import nearest
from .speaker import ONWARD, OWN, REPAIR

_ALL = limits.const(0xFFFFFFFF)
_MOST_DOUBLINGS = limits.const(7)
# Of seals in letters that are asked for: of how many authors.
_LATELY = limits.const(8)
_OF_OPERATIONS = (asks.WANT_OPERATIONS, asks.WANT_WHOLE)


class Answers(Digests):
    """The part of Repair that answers; it needs the rest of it."""

    # When a letter that is asked for is looked for in the log next.
    _sought_at = 0

    def heard_want(self, frame: bytes, now: int) -> None:
        """Answer what is asked for and here; pass on what concerns those farther away."""
        what, entries = asks.decode_want(frame)
        mesh = self._mesh
        self._asker = frame[3] >> 3
        if not mesh.flood and what in _OF_OPERATIONS and self._again(frame, now):
            return
        for entry in entries:
            self._asked(what, entry, now)
            if mesh.flood and not self._falls(what, entry, now):
                continue
            if what == asks.WANT_OPERATIONS or what == asks.WANT_WHOLE:
                self._answer(frame, entry, now)
            elif what == asks.WANT_LETTERS:
                content, kind = mesh.letter(entry[0]) or (self._seal_of(entry[0], now), LETTER_UP)
                if content:
                    self._say_letter(content, entry[1] or 0xFF, now, kind)
            elif what == asks.WANT_CREDENTIALS:
                content = self._peer.members and self.inquire("find", self._peer, entry)
                if content and not mesh.said_lately(content, now):
                    self._say_letter(content, 0xFF, now, LETTER_DOWN)
            elif what == asks.WANT_ANNOUNCES:
                for author in mesh.names.find(entry):
                    mesh.down.say_announce(author, now + 50 + mesh.random(700))
                if not mesh.names.find(entry):
                    mesh.down.pass_down(frame, entry, now)
            else:
                kind = LETTER_UP if mesh.flood else LETTER_DOWN
                for schema in self._peer.shared_schemas():
                    if schema[:2] == entry:
                        content = bytes((letters.SCHEMA,)) + self._peer.schemas[schema].encoded
                        self._say_letter(content, 0xFF, now, kind)

    def _falls(self, what: int, entry: tuple | bytes, now: int) -> bool:
        """Say whether it falls to us to answer: by lot, and with twice the chance each time that it is asked
        again, for fewer may be here than seem to be.
        """
        # Below those of frames.
        name = -1 - (int.from_bytes((entry if isinstance(entry, bytes) else entry[0])[:3], "big") * 8 + what)
        known = self._heard.get(name)
        if known is None or now - known[0] >= pace.STATE_MAX_MS // 2:
            known = self._hear(name, now)
        elif now - known[0] >= pace.ASK_MS:
            known[0] = now
            known[1] = min(known[1] + 1, _MOST_DOUBLINGS)
        return self._mesh.lot(known[1])

    def _hear(self, name: int, now: int) -> list:
        """Remember that a question was heard."""
        heard = self._heard
        if len(heard) >= limits.MESH_WANTS and name not in heard:
            del heard[min([(heard[one][0], one) for one in heard])[1]]
        entry = heard[name] = [now, 0]
        return entry

    def _again(self, frame: bytes, now: int) -> bool:
        """Say whether a question was heard a moment ago: answered each time it would bring all of it anew."""
        name = name_of(frame)
        known = self._heard.get(name)
        if known is None or now - known[0] >= pace.SAME_MS:
            self._hear(name, now)
            return False
        if frame[3] >> 3 >= self._mesh.code:
            # It is on its way down there, whether this peer says it or not.
            known[1] += 1
            self._mesh.speaker.echo(name, known[1])
        return True

    def _asked(self, what: int, entry: tuple | bytes, now: int) -> None:
        """Somebody else asks for something: the answer is for us too."""
        name = entry if isinstance(entry, bytes) else entry[0]
        for key in self._wants:
            if key[0] != what or key[1][: len(name)] != name:
                continue
            if what == asks.WANT_OPERATIONS:
                index = self._mesh.intake.base(key[1]) + 1 - entry[1] & 0xFFFF
                if index > 15 or not entry[2] >> index & 1:
                    continue
            at = now + pace.ASK_MS + self._mesh.random(pace.ASK_MS)
            if self._wants[key][0] < at:
                self._wants[key][0] = at
                self._next = None

    def _answer(self, frame: bytes, entry: tuple, now: int) -> None:
        """Say operations that are asked for, or the seals over them; or one of them as a letter, for somebody
        who cannot rebuild it from less."""
        short, low = entry[0], entry[1]
        whole = len(entry) == 2
        bits = 1 if whole else entry[2]
        mesh = self._mesh
        log = self._peer.log
        found = False
        lost = bits
        for author in mesh.names.find(short):
            held = log.held(author)
            first = nearest(held, low)
            if (
                not whole
                and held
                and first <= self._peer.receipted(author)
                and (author == self._peer.author or mesh.flood)
            ):
                mesh.down.say_receipt(author, now)
            here = not bits and self._say_seals(author, first - 1, now)
            for number in range(first, min(first + 16, held + 1)):
                stored = log.fetch(author, number) if bits >> number - first & 1 else None
                if stored is not None:
                    lost &= ~(1 << number - first)
                    if whole or mesh.flood or mesh.collects:
                        self._say_operation(author, number, stored, whole, now)
                    elif not here and (bits > 1 or not mesh.feed.resend(author, number, stored, now)):
                        # It was lost on its way: whoever had it takes it again.
                        mesh.feed.rewind(author, number - 1, now)
                    here = True
            found = found or here
        for index in range(0 if whole else 16):
            if bits >> index & 1 and mesh.custody.again(short, low + index & 0xFFFF, now):
                found = True
                lost &= ~(1 << index)
        if lost or not found:
            # Those before what is here may have to come from farther away.
            mesh.down.pass_down(frame, short, now)

    def _say_operation(self, author: bytes, number: int, stored: bytes, whole: bool, now: int) -> None:
        content = letters.encode_operation(author, number, stored)
        if not whole:
            try:
                frames = frames_of(self._peer, author, number, stored, self._mesh.key)
            except HedgerowError:
                return
            if len(frames) == 1:
                self._say(frames[0], now)
                return
        self._say_letter(content, 0xFF, now)

    def _say_seals(self, author: bytes, sealed: int, now: int, last: bool = False) -> bool:
        """Say the first two seals above what is sealed again; say whether there are any.

        With `last` that is not known well: if there are more the last one is said, behind which the other
        side asks for the first that it lacks.
        """
        found = False
        log = self._peer.log
        entries = log.read(author, _ALL, sealed, 300)[:2]
        if last and entries and entries[-1][2] < log.sealed(author):
            entries = log.read(author, _ALL, log.sealed(author) - 1, 1)
        for kind, _, _, body in entries:
            if kind == ENTRY_SEAL:
                found = True
                content = seal_letter(self._peer, author, body)
                # Who lacks parts of what was just said asks for them.
                if not self._mesh.said_lately(content, now):
                    self._say_letter(content, 0xFF, now)
        return found

    def _seal_of(self, letter: bytes, now: int) -> bytes:
        """Return the content of a letter with the last seal of an author that changed lately, b"" for none.

        Others may have been said since. It is looked for once in a while: anybody may ask for anything.
        """
        if now < self._sought_at:
            return b""
        self._sought_at = now + pace.ASK_MS
        from .brief import contents

        log = self._peer.log
        for author, entry in self._entries.items():
            sealed = log.sealed(author)
            if not sealed or not entry[1] or entry[2] <= self._serial - _LATELY:
                continue
            for kind, _, _, body in log.read(author, _ALL, sealed - 1, 1):
                # Its operations are read when the name is one that it may have.
                if kind == ENTRY_SEAL and any(_is_named(one, letter) for one in contents(author, body)):
                    content = seal_letter(self._peer, author, body)
                    if _is_named(content, letter):
                        return content
        return b""

    def inquire(self, what: str, *given: object) -> object:
        """Do something about credentials (see crypto.inquiry); None where there is no memory for it."""
        try:
            from ..crypto import inquiry

            return getattr(inquiry, what)(*given)
        except MemoryError:
            return None

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
        # A leaf sleeps before what is patient has its turn.
        urgency = OWN if mesh.role == LEAF else REPAIR
        # Those who are farther may say the same without being heard by who asks.
        quiet = ONWARD if self._asker < mesh.code else 1
        mesh.speaker.add(now + 30 + mesh.spread(), urgency, name_of(frame), frame, pace.EVENTS, quiet)


def _is_named(content: bytes, letter: bytes) -> bool:
    """Say whether a letter of that content has that name."""
    try:
        return letters.split(content)[0][:3] == letter
    except HedgerowError:
        return False
