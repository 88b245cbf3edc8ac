"""A seal that is signed in slices, between which the radio has its turn (SPEC 5.8). Loaded for a while."""

from hedgerow.trust.seal import signed_part


class Signed:
    """A signature that is there already, where a key is asked for one."""

    def __init__(self, credential: bytes, signature: bytes):
        self.credential = credential
        self._signature = signature

    def sign(self, message: bytes) -> bytes:
        """Return the signature."""
        return self._signature


def steps(peer: object, now: int) -> object:
    """Seal what is unsealed now: a generator of slices.

    Operations that come meanwhile are for the next seal. Where another seal was made meanwhile, or the log
    goes on as another author, nothing is written.
    """
    keys = peer.keys
    run = peer.unsealed()
    credential = keys.credential
    signature = yield from keys.slices(signed_part(*run, credential))
    left = peer.unsealed()
    if (left[0], left[1], left[4], keys.credential) == (run[0], run[1], run[4], credential):
        peer.put_seal(run, Signed(credential, signature), now)
        peer.commit()
