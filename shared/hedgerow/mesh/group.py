"""The group keys of a mesh whose members have credentials: the newest, and the one before (SPEC 11.16).

What the mesh's own key, the *base*, proves anybody may know who has its setting; a member that is revoked
gets no key of a later epoch. How keys change, which is seldom, is in hedgerow.crypto.rotation.
"""

from ..limits import const
from . import pace
from .frames import CALL
from .tag import link_tag

# As in hedgerow.mesh.epochs, which says what they mean, and hedgerow.crypto.rotation: names take heap.
_STRANGE = const(0)
_APART = const(1)
_NEWEST = const(2)
_BEFORE = const(3)
_STATEMENT_AT = const(74)


class Group:
    """`key` is that of the newest epoch, `base` itself before there is one; `before` the last one, or None.

    `store` has read(name) and write(name, value): what is written is there whole after a power cut, or what
    was there before. write() raises OSError where it cannot. `due` is when the one before counts no
    more, which outlives engines.
    """

    def __init__(self, base: bytes, store: object):
        self.base = self.key = base
        self.before = self.due = None
        self.store = store
        kept = store.read("group")
        if kept and len(kept) > _STATEMENT_AT:
            from ..crypto.rotation import begin

            begin(self, kept)

    def reads(self, frame: bytes) -> int:
        """Say under which key a frame is: NEWEST, BEFORE or STRANGE; APART for a STATE of a member of another
        epoch, or of who was one.
        """
        kind = frame[0] & 0x0F
        size = 3 if kind else 4
        said, tag = frame[:-size], frame[-size:]
        if kind == CALL:
            return _NEWEST if link_tag(self.base, said) == tag else _STRANGE
        missed = _STRANGE
        half = 0
        if not kind:
            if link_tag(self.base, said)[:2] != tag[:2]:
                return _STRANGE
            missed = _APART
            half = 2
        if link_tag(self.key, said)[half:] == tag[half:]:
            return _NEWEST
        return _BEFORE if self.before and link_tag(self.before, said)[half:] == tag[half:] else missed

    def turn(self, now: int) -> bytes:
        """Return the newest key, for who has no Epochs: it hears the one before for a while."""
        if self.before and self.due is None:
            self.due = now + pace.GRACE_MS
        elif self.before and now >= self.due:
            # Once more later, should there be no room to load it.
            self.due = None
            from ..crypto.rotation import settle

            settle(self)
        return self.key
