"""What of the engine survives a deep sleep in RTC memory: little, and guarded by a CRC (SPEC 6.30)."""

import struct
from binascii import crc32

from .. import limits
from . import pace

_VERSION = limits.const(2)
# Version, counter, (number, sealed) pushed, distance, ms until the next ANNOUNCE, the next seal, and the next
# push of what has no receipt, how many of these there were, flags; then keepers.
_LAYOUT = ">BIIIBIIIBB"
_NEVER = limits.const(0x3FFFFFFF)
_FLOOD = limits.const(1)
_KEEPERS = limits.const(4)


def save(mesh: object) -> bytes:
    """Return the state of an engine."""
    number, sealed = mesh.feed.safe()
    now = mesh.window.until
    again, tries = mesh.feed.again(now)
    data = struct.pack(
        _LAYOUT,
        _VERSION,
        mesh.counter & 0xFFFFFFFF,
        number,
        sealed,
        mesh.peer.distance(now),
        max(0, mesh.announce_at - now),
        _NEVER if mesh.tail_at is None else min(max(0, mesh.tail_at - now), _NEVER),
        again,
        tries,
        _FLOOD if mesh.flood else 0,
    )
    # Whose word its receipts are: a wake is short for asking.
    data += b"".join(sorted(mesh.down.keepers)[:_KEEPERS]) + mesh.peer.author
    return data + crc32(data).to_bytes(4, "big")


def restore(mesh: object, data: bytes, now: int) -> bool:
    """Take up a state; False for one that is damaged, or another author's."""
    size = struct.calcsize(_LAYOUT)
    more = len(data) - size - 12
    if more < 0 or more % 8 or crc32(data[:-4]).to_bytes(4, "big") != data[-4:]:
        return False
    version, counter, number, sealed, distance, announce, tail, again, tries, flags = struct.unpack(
        _LAYOUT, data[:size]
    )
    if version != _VERSION or data[-12:-4] != mesh.peer.author:
        return False
    for at in range(size, size + more, 8):
        mesh.names.learn(data[at : at + 8], now)
        mesh.down.know(data[at : at + 8])
    mesh.counter = counter
    slept = mesh.window.period or pace.LEAF_PERIOD_MS
    mesh.feed.resume(number, sealed, now + max(0, again - slept), tries)
    if distance > 0:
        mesh.peer.note_distance(distance - 1, now)
    # It wakes by a plan of its own: its window is too short to wait as those do who are switched on together.
    mesh.start_at = now
    mesh.announce_at = now + max(0, announce - slept)
    if tail < _NEVER:
        mesh.tail_at = now + max(0, tail - slept)
    mesh.set_flood(bool(flags & _FLOOD), now)
    return True
