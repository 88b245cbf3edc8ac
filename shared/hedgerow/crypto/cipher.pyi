from .host import seal as seal
from .host import unseal as unseal

__all__ = ("seal", "unseal")
