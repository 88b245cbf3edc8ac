"""Checks of the limits of the cryptography."""

import os

from hedgerow import limits
from hedgerow.crypto.ephemeral import Ephemerals
from hedgerow.crypto.port import P256, finish


def ephemerals() -> None:
    """So many keys are made ahead, and no more."""
    store = Ephemerals(P256(os.urandom))
    for _ in range(limits.MAX_EPHEMERALS + 2):
        finish(store.prepare())
    assert len(store) == limits.MAX_EPHEMERALS == store.p256.multiplications
