"""Whom a board has refused: loaded when a session has ended with an error."""

from hedgerow.limits import const

# What no peer is refused for that is as it should be; of so many codes the last address is told.
_OFFENCES = ("HANDSHAKE", "CREDENTIA", "SESSION_P", "RECORD_TA", "RESUMPTIO", "STATEMENT", "POINT_INV")
_SUSPECTS = const(6)


def note(peer: object, code: str, address: bytes) -> None:
    """Count the code of a session that was ended, if no sound peer ends one so (SPEC 5.15.1)."""
    if code[:9] not in _OFFENCES or code == "HANDSHAKE_TIMEOUT":
        return
    suspects = peer.suspects = peer.suspects or {}
    _, count = suspects.get(code, (None, 0))
    if count or len(suspects) < _SUSPECTS:
        suspects[code] = address, count + 1
