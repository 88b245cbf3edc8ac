"""What a board with keys sees to while no session runs: batches, credentials and grants that have come."""

from hedgerow.limits import const

from .modules import unload

_AGAIN_MS = const(10000)
# So long a board that has heard of a revocation waits for a gateway to tell it other keys.
_MISSED_MS = const(600000)


def tend(keys: object, peer: object, now: int) -> None:
    """Go by what has come, a step at a time, and ask for a grant that may have not."""
    if keys.batch:
        from .batching import look

        if look(peer, keys):
            del look
            unload("hedgerow_device.batching")
    elif keys.shown:
        _keep_shown(keys)
    elif now >= keys.vouch_at and [1 for _, total, here in keys.parts.values() if len(here) == total]:
        _vouch(keys, peer, now)
    if keys.lent and keys.vouching is None:
        keys.lent = False
        keys.settle()
    if keys.missed < 0:
        keys.missed = now
    asks = 0 < keys.missed <= now - _MISSED_MS
    if 0 < keys.due <= now or asks or 0 < keys.until <= now:
        # Where memory runs out, it is looked at again later.
        keys.due = now + _AGAIN_MS
        from .confiding import look

        look(peer, now, asks)
        del look
        unload("hedgerow_device.confiding")


def _keep_shown(keys: object) -> None:
    """Carry for the one whose credential a session has shown, if there is memory: else another will."""
    shown, keys.shown = keys.shown, None
    if shown[0] in keys.believed:
        return
    try:
        keys.vouchers().vouch(*shown)
    except MemoryError:
        pass


def _vouch(keys: object, peer: object, now: int) -> None:
    """Go on with credentials from the air."""
    try:
        from .vouching import look

        if not look(peer, keys, now):
            return
    except MemoryError:
        keys.parts.clear()
    unload("hedgerow_device.vouching")
