"""Whom a board has refused: loaded when a session has ended with an error."""

from hedgerow.limits import const
from hedgerow.offences import is_offence

# Of so many codes the last address is told.
_SUSPECTS = const(6)


def note(peer: object, code: str, address: bytes) -> None:
    """Count the code of a session that was ended, if no sound peer ends one so (SPEC 5.15.1)."""
    if not is_offence(code):
        return
    suspects = peer.suspects = peer.suspects or {}
    _, count = suspects.get(code, (None, 0))
    if count or len(suspects) < _SUSPECTS:
        suspects[code] = address, count + 1
