"""How a peer goes on where its log ends. A board has no use for this after its boot."""

from .clock import hlc
from .errors import HedgerowError
from .log import ENTRY_OP, ENTRY_SEAL, STATE_CONFIG
from .operation import decode_body, h16
from .peer import EPOCH
from .trust.seal import NO_SEAL, seal_hash

# One sector has no room for more boots, of which each writes its epoch and a clock record.
_BOOTS_LOST = 128
_LOOK_BACK = 32
_READ_BYTES = 2048


def resume(peer: object) -> tuple:
    """Return the H16s of the own next seal, the hash of the last one, the clock, and the number of this boot.

    No boot had that number, also where the newest one that was stored may be damaged.
    """
    log = peer.log
    author = peer.author
    held = log.held(author)
    sealed = log.sealed(author)
    h16s: list = []
    previous = NO_SEAL
    last = hlc.ZERO
    for writer in [author, peer.local] + sorted(peer.former):
        last = max(last, _last_stamp(log, writer))
    if sealed:
        for kind, _, end, body in log.read(author, held, sealed - 1, 1):
            if kind == ENTRY_SEAL and end == sealed:
                previous = seal_hash(body)
    number = sealed
    entries: list = [None]
    while entries and number < held:
        entries = log.read(author, number, held, _READ_BYTES)
        for kind, first, end, body in entries:
            if kind == ENTRY_OP:
                try:
                    h16s.append(h16(author, first, body, peer.schemas))
                except HedgerowError:
                    # Its schema is lost with a damaged value: closing sees that the tail is not whole.
                    pass
            number = end
    began = held or log.held(peer.local) or peer.former
    clock = hlc.Clock(hlc.stamp_ms(last) + 1 if began else 0, last)
    stored = int.from_bytes(log.get(STATE_CONFIG, EPOCH) or b"", "big")
    return h16s, previous, clock, stored + 1 + log.damaged * _BOOTS_LOST


def _last_stamp(log: object, author: bytes) -> bytes:
    """Return the stamp of an author's newest operation here; as a rule that is its last one."""
    held = log.held(author)
    last = hlc.ZERO
    if held:
        for kind, _, end, body in log.read(author, held - 1, held, 1):
            if kind == ENTRY_OP and end == held:
                return decode_body(body)[0]
        body = log.fetch(author, held)
        if body is None and hasattr(log, "newest"):
            body = log.newest(author)
        if body is not None:
            return decode_body(body)[0]
        for kind, _, _, body in log.read(author, max(0, held - _LOOK_BACK), held, _READ_BYTES):
            if kind == ENTRY_OP:
                last = max(last, decode_body(body)[0])
    return last
