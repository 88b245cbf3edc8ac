from collections.abc import Sequence
from typing import Any

from .codec.schema import Schema
from .peer import Peer

def reveal(
    peer: Peer, author: bytes, number: int, stamp: bytes, changes: Sequence[list[Any]]
) -> list[list[Any]]: ...
def revealed(
    peer: Peer, author: bytes, number: int, stamp: bytes, at: int, change: list[Any]
) -> list[Any]: ...
def conceal(
    peer: Peer,
    author: bytes,
    number: int,
    stamp: bytes,
    changes: Sequence[list[Any]],
    schemas: Sequence[Schema],
) -> list[list[Any]]: ...
