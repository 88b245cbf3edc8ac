from collections.abc import Iterator
from typing import Any

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
