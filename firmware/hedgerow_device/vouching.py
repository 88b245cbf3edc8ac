"""A credential from the air, verified in slices while no session runs (SPEC 6.15.11). Loaded for a while."""

import os
from time import ticks_diff, ticks_ms

from hedgerow.errors import HedgerowError
from hedgerow.limits import const
from hedgerow.mesh.pace import VOUCH_MS

from . import vault
from .modules import is_tight, unload

# The radio is heard in between.
_SLICE_MS = const(40)
# What reads credentials: to verify takes long, and the heap in which the mesh goes on meanwhile.
_READ = (
    "hedgerow.crypto.credentials hedgerow.crypto.claims hedgerow.crypto.edhoc hedgerow.crypto.words "
    "hedgerow.crypto.cose"
)


def look(peer: object, keys: object, now: int) -> bool:
    """Go on with the first one of which all parts are here; say whether no more is to be done now."""
    done = True
    try:
        if keys.vouching is None:
            if is_tight():
                peer.make_room()
            keys.vouching = _work(peer, keys, now)
        begun = ticks_ms()
        next(keys.vouching)
        while ticks_diff(ticks_ms(), begun) < _SLICE_MS:
            next(keys.vouching)
        done = False
    except StopIteration:
        pass
    except (HedgerowError, MemoryError):
        # Others say it again.
        keys.parts.clear()
    if done:
        keys.vouching = None
        keys.vouch_at = now + VOUCH_MS
        keys.settle()
    return done


def _work(peer: object, keys: object, now: int) -> object:
    """Judge those that are whole, and verify one: a generator of slices."""
    from hedgerow.crypto.port import P256
    from hedgerow.crypto.vouchers import verify

    found, jobs = _judge(peer, keys, now)
    unload(_READ)
    if found:
        yield from verify(keys, P256(os.urandom), jobs, found)


def _judge(peer: object, keys: object, now: int) -> tuple:
    """Return (what is to be verified, the signatures of it), by who is believed and what is revoked."""
    from hedgerow.crypto.credentials import Credential, Trust
    from hedgerow.crypto.vouchers import Later, judge, whole
    from hedgerow.crypto.words import Words

    own = Credential(keys.value).claims
    later = Later()
    trust = Trust(later, vault.issuers(), own.issuer, own.mode)
    Words(peer.log, trust, later)
    return judge(peer, keys, trust, whole(keys, now)), later.jobs
