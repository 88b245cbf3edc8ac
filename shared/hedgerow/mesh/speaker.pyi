from collections.abc import Callable
from typing import Any, Final

ANSWER: Final = 0
OWN: Final = 1
FORWARD: Final = 2
DOWN: Final = 3
REPAIR: Final = 4
STATUS: Final = 5
EVENT_MS: Final = 105

class Speaker:
    free_at: int
    neighbours: int
    def __init__(self, random: Callable[[int], int], stats: dict[str, int], limit: int = ...) -> None: ...
    names: dict[int, list[Any]]
    def __len__(self) -> int: ...
    def add(
        self,
        at: int,
        urgency: int,
        name: int,
        what: bytes | Callable[[int, int], bytes | None],
        events: int,
        quiet: int = 0,
        more: int = 0,
    ) -> bool: ...
    def echo(self, name: int, count: int) -> bool: ...
    def drop(self, name: int) -> None: ...
    def due(self) -> int | None: ...
    def free(self, now: int) -> bool: ...
    def after(self, at: int | None) -> int | None: ...
    def take(self, now: int) -> list[Any] | None: ...
    def said(self, events: int, urgency: int, now: int) -> None: ...
