from collections.abc import Sequence
from typing import Any

class Changes:
    rows: list[dict[str, Any]]
    insertions: list[int]
    deletions: list[int]
    updates: list[int]
    moves: list[tuple[int, int]]
    def __init__(
        self,
        rows: list[dict[str, Any]],
        insertions: list[int],
        deletions: list[int],
        updates: list[int],
        moves: list[tuple[int, int]],
    ) -> None: ...
    def __bool__(self) -> bool: ...

class Live:
    collection: str
    def __init__(
        self, statement: tuple[Any, ...], arguments: dict[str, Any] | None = None, max_rows: int = ...
    ) -> None: ...
    def start(self) -> None: ...
    def add(self, document: dict[str, Any]) -> None: ...
    def touch(self, touched: Sequence[tuple[Any, dict[str, Any] | None]]) -> bool: ...
    def finish(self) -> Changes: ...
