from typing import Any

from .carrier import Carrier

class Mesh(Carrier):
    peer: Any
    role: Any
    key: Any
    random: Any
    budget: Any
    stats: Any
    collects: Any
    flood: Any
    code: Any
    tail_at: int | None
    counter: Any
    seen: Any
    names: Any
    speaker: Any
    custody: Any
    feed: Any
    intake: Any
    repair: Any
    down: Any
    visits: Any
    leaves: Any
    wishes: Any
    window: Any
    announce_at: Any
    def __init__(
        self,
        peer: Any,
        now: int,
        *,
        random: Any,
        role: int = ...,
        key: bytes = b"",
        budget: Any = None,
        seal_ms: int = ...,
        hold_off_ms: int = 2000,
        table: int = ...,
    ) -> None: ...
    def close(self) -> None: ...
    def heard(self, address: Any, rssi: int, payload: bytes, now: int, connectable: bool = False) -> bool: ...
    def due(self, now: int) -> int: ...
    def say(self, now: int) -> tuple[Any, ...] | None: ...
    def duty(self, now: int) -> int: ...
    def visit(self, now: int, busy: Any = ()) -> Any: ...
    def called(self, now: int) -> bool: ...
    def synced(
        self, address: Any, summary: list[Any] | None, now: int, told: list[Any] | None = None
    ) -> None: ...
    def failed(self, address: Any, now: int) -> None: ...
    def authors(self, address: Any) -> list[Any]: ...
    def wake(self, now: int) -> None: ...
    def sleep_until(self, now: int) -> int | None: ...
    def save(self) -> bytes: ...
    def restore(self, data: bytes, now: int = 0) -> bool: ...
    def neighbours(self, now: int) -> list[Any]: ...
