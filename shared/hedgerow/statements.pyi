from collections.abc import Generator, Iterator, Mapping
from typing import Any

from .batch import Batch
from .peer import Peer

class Result:
    kind: str
    rows: list[dict[str, Any]]
    mutated: list[Any]
    warnings: list[tuple[Any, str]]
    def __init__(
        self, kind: str, rows: list[dict[str, Any]], mutated: list[Any], warnings: list[tuple[Any, str]]
    ) -> None: ...
    def __iter__(self) -> Iterator[dict[str, Any]]: ...
    def __len__(self) -> int: ...

def steps(
    peer: Peer, batch: Batch, statement: tuple[Any, ...], arguments: Mapping[str, Any]
) -> Generator[None, None, Result]: ...
