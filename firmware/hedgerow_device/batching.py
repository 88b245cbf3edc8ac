"""A batch of receipts from the air, verified in slices while no session runs (SPEC 6.15.10).

Loaded for a while.
"""

import os
from time import ticks_diff, ticks_ms

from hedgerow.errors import HedgerowError
from hedgerow.limits import BATCH_APART_S, const

from . import vault
from .modules import is_tight, unload

_AUTHOR = const(8)
# The radio is heard in between.
_SLICE_MS = const(40)
# What reads the credential.
_READ = "hedgerow.crypto.credentials hedgerow.crypto.claims hedgerow.crypto.edhoc"


def look(peer: object, keys: object) -> bool:
    """Go on with what `keys` keeps for that; say whether it is done with."""
    done = True
    try:
        if keys.batching is None:
            if is_tight():
                peer.make_room()
            keys.batching = _work(peer, keys)
        begun = ticks_ms()
        next(keys.batching)
        while ticks_diff(ticks_ms(), begun) < _SLICE_MS:
            next(keys.batching)
        done = False
    except StopIteration:
        peer.commit()
    except (HedgerowError, MemoryError):
        # Nobody has signed it; or there is no room for that, and the next one comes in an hour.
        pass
    if done:
        keys.batch = b""
        keys.batching = None
        keys.settle()
    return done


def _work(peer: object, keys: object) -> object:
    """Verify it, and go by it: a generator of slices. RECEIPT_INVALID."""
    from hedgerow.crypto.batches import unfold_batch
    from hedgerow.crypto.credentials import Credential
    from hedgerow.crypto.port import P256

    # Behind the author that it names.
    own = vault.read(vault.CREDENTIAL) or b""
    keepers = [(name, sealing) for name, _, sealing in vault.keepers()]
    issuer = Credential(own[_AUTHOR:]).claims.issuer
    # To verify takes long, and the heap in which the mesh goes on meanwhile.
    del Credential
    unload(_READ)
    found = unfold_batch(keys.batch, issuer, keepers)
    if found is None or found[0].moment < keys.said_at + BATCH_APART_S:
        return
    batch, sealing = found
    p256 = P256(os.urandom)
    yield from batch.verify(p256, sealing)
    keys.checks += p256.multiplications
    keys.said_at = batch.moment
    keys.said = [(keys.batch, batch.entries)]
    known = peer.log.authors()
    for receipt in batch.receipts(keys.named):
        if receipt.author in known:
            peer.ingest_receipt(receipt, True)
