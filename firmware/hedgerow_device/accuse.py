"""Whom a board has refused: loaded when a session has ended with an error."""

from hedgerow.limits import const
from hedgerow.offences import is_offence

# So many pairs of a code and an address are told, each once out of turn.
_SUSPECTS = const(6)


def note(peer: object, code: str, address: bytes) -> None:
    """Count the code of a session that was ended, if no sound peer ends one so (SPEC 5.15.1)."""
    if not is_offence(code):
        return
    suspects = peer.suspects = peer.suspects or {}
    who = code, bytes(address)
    if who in suspects:
        suspects[who] += 1
    elif len(suspects) < _SUSPECTS:
        suspects[who] = 1
        peer.accused = False
