from collections.abc import Generator, Mapping
from typing import Any

from .batch import Batch
from .peer import Peer
from .result import Result

def steps(
    peer: Peer, batch: Batch, statement: tuple[Any, ...], arguments: Mapping[str, Any]
) -> Generator[None, None, Result]: ...
