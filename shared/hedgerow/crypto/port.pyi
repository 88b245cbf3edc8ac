from collections.abc import Generator
from typing import TypeVar

from .host import P256 as P256
from .host import seal as seal
from .host import unseal as unseal

__all__ = ("P256", "finish", "seal", "unseal")

_Result = TypeVar("_Result")

def finish(work: Generator[None, None, _Result]) -> _Result: ...
