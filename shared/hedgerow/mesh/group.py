"""The group keys of a mesh whose members have credentials: the newest, and the one before (SPEC 11.16).

What the mesh's own key, the *base*, proves anybody may know who has its setting; a member that is revoked
gets no key of a later epoch.
"""

from ..limits import const
from .frames import CALL
from .tag import link_tag

KEY = const(32)
# What reads() says of a frame: nobody's, of the newest epoch, of the one before; a STATE of some other one.
STRANGE = const(0)
NEWEST = const(1)
BEFORE = const(2)
APART = const(3)

# Boots left for the key before; issued u40, epoch u32, the newest key, the one before; the statement.
_BOOTS = const(8)
_KEY_AT = const(10)
_BEFORE_AT = const(42)
_STATEMENT_AT = const(74)


class Group:
    """`key` is that of the newest `epoch`, `base` itself before there is one; `before` the last one, or None.

    `store` has read() and write(value): what is written is there whole after a power cut, or what was there
    before. write() raises OSError where it cannot: then nothing has changed. `due` is when an engine goes on
    to use the newest key alone, which outlives engines.
    """

    def __init__(self, base: bytes, store: object):
        self.base = self.key = base
        self.before: bytes | None = None
        self.epoch = self.issued = 0
        self.due: int | None = None
        self.statement = b""
        self._store = store
        kept = store.read()
        if kept and len(kept) > _STATEMENT_AT:
            self.issued = int.from_bytes(kept[1:6], "big")
            self.epoch = int.from_bytes(kept[6:_KEY_AT], "big")
            self.key = kept[_KEY_AT:_BEFORE_AT]
            self.statement = kept[_STATEMENT_AT:]
            if kept[0]:
                # A board that starts again and again counts starts, as it has no other clock.
                self.before = kept[_BEFORE_AT:_STATEMENT_AT]
                self._try(kept[0] - 1)

    def take(self, word: object) -> None:
        """Go by a word of crypto.words that was verified and is newer, once it is durable. OSError."""
        before = self.before or self.base if word.key == self.key else self.key
        left = 0 if word.key == self.key and self.before is None else _BOOTS
        self._write(left, word.issued, word.epoch, word.key, before, word.statement)
        self.issued, self.epoch, self.statement = word.issued, word.epoch, word.statement
        self.key = word.key
        self.before = before if left else None
        self.due = None

    def forget(self) -> None:
        """Begin anew: the keys are another mesh's."""
        try:
            self._store.write(b"")
        except OSError:
            # They are forgotten again with the next session.
            pass
        self.key = self.base
        self.before = self.due = None
        self.epoch = self.issued = 0
        self.statement = b""

    def settle(self) -> None:
        """The key before counts no more."""
        self.before = None
        self._try(0)

    def reads(self, frame: bytes) -> int:
        """Say under which key a frame is: NEWEST, BEFORE or STRANGE; APART for a STATE of a member of another
        epoch, or of who was one.
        """
        kind = frame[0] & 0x0F
        if not kind:
            said = frame[:-4]
            if link_tag(self.base, said)[:2] != frame[-4:-2]:
                return STRANGE
            half = frame[-2:]
            if link_tag(self.key, said)[2:] == half:
                return NEWEST
            return BEFORE if self.before and link_tag(self.before, said)[2:] == half else APART
        said, tag = frame[:-3], frame[-3:]
        if kind == CALL:
            return NEWEST if link_tag(self.base, said) == tag else STRANGE
        if link_tag(self.key, said) == tag:
            return NEWEST
        return BEFORE if self.before and link_tag(self.before, said) == tag else STRANGE

    def counts(self, frame: bytes) -> bool:
        """Say whether a frame is of the newest epoch, or of the one before while that counts."""
        return self.reads(frame) in (NEWEST, BEFORE)

    def _try(self, left: int) -> None:
        try:
            self._write(left, self.issued, self.epoch, self.key, self.before or self.base, self.statement)
        except OSError:
            # A store that takes nothing now leaves the key before a while longer.
            pass

    def _write(self, left: int, issued: int, epoch: int, key: bytes, before: bytes, statement: bytes) -> None:
        head = bytes((left,)) + issued.to_bytes(5, "big") + epoch.to_bytes(4, "big")
        self._store.write(head + key + before + statement)
