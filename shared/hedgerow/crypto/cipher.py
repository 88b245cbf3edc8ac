"""The port to this machine's AES-CCM: `seal`, `unseal`, without the curve that `port` has beside them."""

import sys

if sys.implementation.name == "micropython":
    from .ccm import seal, unseal
else:
    from .host import seal, unseal

__all__ = ("seal", "unseal")
