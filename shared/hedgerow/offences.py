"""What ends a session and no sound peer does (SPEC 5.15.1)."""

_OFFENCES = (
    "HANDSHAKE_",
    "CREDENTIAL_",
    "RESUMPTION_",
    "STATEMENT_INVALID",
    "SESSION_PLAIN",
    "SEAL_INVALID",
    "COSE_",
    "TAG_INVALID",
    "POINT_INVALID",
    "RECORD_TAG",
)
# A weak radio, a peer that has somebody else, one that has refused us, and one of whom we are to hear yet.
_INNOCENT = ("HANDSHAKE_TIMEOUT", "HANDSHAKE_BUSY", "HANDSHAKE_REFUSED", "CREDENTIAL_UNKNOWN")


def is_offence(code: str) -> bool:
    """Say whether the other side of a session that ended with this code is to be named."""
    for start in _OFFENCES:
        if code.startswith(start):
            return code not in _INNOCENT
    return False
