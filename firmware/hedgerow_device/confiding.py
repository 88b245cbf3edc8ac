"""A board's keys of confidential collections: from its vault, and from grants that come (SPEC 11.17).

Loaded for a while.
"""

from hedgerow.codec import cbor
from hedgerow.crypto.confidential import join_keys, read_keys
from hedgerow.crypto.grants import ask, drop, granted, unwrap
from hedgerow.errors import HedgerowError
from hedgerow.limits import const

from . import vault
from .held import Held
from .modules import is_tight

_AUTHOR = const(8)
# So long the mesh is asked for a grant that may have been made.
_ASK_MS = const(3600000)


def pack(author: bytes, entries: list) -> bytes:
    """Return what the vault keeps of keys that were granted to an author; where it has no room for all, the
    oldest epochs go. KEYS_INVALID where not even the newest of each collection fit.
    """
    kept = sorted([[entry[1], entry[0], entry[2]] for entry in entries])
    while True:
        data = author + cbor.encode([[name, epoch, key] for epoch, name, key in kept])
        if len(data) <= vault.MOST:
            return data
        newest = {name: epoch for epoch, name, _ in kept}
        old = [entry for entry in kept if entry[0] < newest[entry[1]]]
        if not old:
            raise HedgerowError("KEYS_INVALID", "%d bytes" % len(data))
        kept.remove(old[0])


def give(peer: object, keys: object, kept: bytes) -> None:
    """Let a peer go by what the vault keeps. Whatever this raises, it must not go on without."""
    _confide(peer, keys)
    entries = read_keys(kept[_AUTHOR:]) if kept else []
    if entries:
        peer.collection_keys = Held(keys, kept[:_AUTHOR], entries)


def _confide(peer: object, keys: object) -> None:
    peer.on_filled = keys.filled
    keys.confides = True


def begin(peer: object) -> None:
    """Ask the mesh for a grant where there is none; where it was asked before, go by what has come since:
    power may have gone between log and vault.
    """
    keys = peer.keys
    try:
        if keys.ready and not peer.collection_keys:
            ask(peer)
        if peer.may_want and not (peer.sleeper and peer.sleeper.woken):
            keys.until = _ASK_MS if peer.collection_keys else 0
            take(peer)
    except (HedgerowError, MemoryError, OSError) as error:
        # It goes by what the vault has.
        _report(error)
    peer.keys.rest()
    peer.close_documents()


def take(peer: object) -> None:
    """Go by the grant that a session brought, or the one in the log; durable in the vault before. OSError
    where that is full.
    """
    keys = peer.keys
    if keys.grant:
        held = peer.collection_keys
        entries = unwrap(keys.pair_of, peer.author, keys.grant)
        if held and held.owner == peer.author:
            entries = join_keys(held.entries, entries)
    else:
        entries = granted(peer, keys.pair_of)
    if entries is None:
        return
    data = pack(peer.author, entries)
    if data != vault.read(vault.COLLECTIONS):
        vault.write(vault.COLLECTIONS, data)
        peer.collection_keys = Held(keys, peer.author, read_keys(data[_AUTHOR:]))
        _confide(peer, keys)
        # It knows now.
        keys.until = min(keys.until, 1)


def look(peer: object, now: int, asks: bool) -> None:
    """Go by a grant that has come, or ask for one, while no session runs. MemoryError."""
    keys = peer.keys
    if is_tight():
        peer.make_room()
    try:
        if keys.grant or not asks:
            take(peer)
    except (HedgerowError, OSError) as error:
        # What was granted before stays.
        _report(error)
    keys.grant = b""
    if asks:
        ask(peer)
        keys.missed = 0
        keys.until = now + _ASK_MS
    elif 0 < keys.until <= now:
        # A standing subscription takes heap that relaying wants.
        drop(peer)
        keys.until = 0
    keys.due = 0
    keys.rest()
    peer.close_documents()


def _report(error: Exception) -> None:
    from .app import report

    report(error)
