"""How the keys of a hedgerow.mesh.group.Group change, and what outlives a power cut of them (SPEC 11.16).

Loaded for a start, a session, and the end of the time of grace.
"""

from ..errors import HedgerowError
from ..limits import const

#: The name of what is kept.
KEPT = "group"
# Boots left for the key before; issued u40, epoch u32, the newest key, the one before; the statement.
_BOOTS = const(8)
_EPOCH_AT = const(6)
_KEY_AT = const(10)
_BEFORE_AT = const(42)
_STATEMENT_AT = const(74)


def begin(group: object, kept: bytes) -> None:
    """Go by what was kept, at a start: who starts again and again counts starts, as it has no other clock."""
    group.key = kept[_KEY_AT:_BEFORE_AT]
    if kept[0]:
        group.before = kept[_BEFORE_AT:_STATEMENT_AT]
        group.due = None
        _leave(group, kept, kept[0] - 1)


def epoch(group: object) -> tuple:
    """Return (epoch, when its key was issued, statement) of the newest one, (0, 0, b"") of none."""
    kept = group.store.read(KEPT)
    if not kept or len(kept) <= _STATEMENT_AT:
        return 0, 0, b""
    number = int.from_bytes(kept[_EPOCH_AT:_KEY_AT], "big")
    return number, int.from_bytes(kept[1:_EPOCH_AT], "big"), kept[_STATEMENT_AT:]


def statement(group: object, app: str) -> bytes:
    """Return the statement of the newest key, b"" of none; what is of another app is forgotten."""
    from .words import GROUP, Word

    kept = group.store.read(KEPT)
    if not kept or len(kept) <= _STATEMENT_AT:
        return b""
    if kept[_KEY_AT:_BEFORE_AT] != group.key:
        # A write that was refused has come through.
        begin(group, kept)
    said = kept[_STATEMENT_AT:]
    try:
        if Word(said, app).kind == GROUP:
            return said
    except HedgerowError:
        # It is another mesh's.
        pass
    forget(group)
    return b""


def take(group: object, word: object) -> None:
    """Go by a word of hedgerow.crypto.words that was verified and is newer, once it is durable. OSError."""
    same = word.key == group.key
    before = group.before or group.base if same else group.key
    left = 0 if same and group.before is None else _BOOTS
    head = bytes((left,)) + word.issued.to_bytes(5, "big") + word.epoch.to_bytes(4, "big")
    group.store.write(KEPT, head + word.key + before + word.statement)
    group.key = word.key
    group.before = before if left else None
    if not same:
        # Of the same key the time of grace goes on.
        group.due = None


def forget(group: object) -> None:
    """Begin anew: the keys are another mesh's."""
    try:
        group.store.write(KEPT, b"")
    except OSError:
        # They are forgotten again with the next session.
        pass
    group.key = group.base
    group.before = group.due = None


def settle(group: object) -> None:
    """The key before counts no more."""
    group.before = group.due = None
    kept = group.store.read(KEPT)
    if kept and len(kept) > _STATEMENT_AT:
        _leave(group, kept, 0)


def _leave(group: object, kept: bytes, left: int) -> None:
    try:
        group.store.write(KEPT, bytes((left,)) + kept[1:])
    except OSError:
        # A store that takes nothing now leaves the key before a while longer.
        pass
