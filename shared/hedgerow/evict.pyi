from collections.abc import Sequence
from typing import Any

from .peer import Peer

def evict(
    peer: Peer, collection: str, ids: Sequence[Any], force: bool
) -> tuple[list[Any], list[tuple[Any, str]]]: ...
