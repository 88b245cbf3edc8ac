from collections.abc import Sequence
from typing import Any

from ..crypto.greeting import Greeting
from ..errors import HedgerowError
from ..peer import Peer
from .courier import Courier
from .hello import Hello
from .session import Session

KEEPS: int
GIVES_TIME: int

class Exchange:
    peer: Peer
    session: Session
    summary: list[Any] | None
    courier: Courier
    operations_in: int
    refused: dict[bytes, str]
    def __init__(
        self,
        peer: Peer,
        now: int,
        *,
        linger_ms: int | None = 0,
        central: bool = False,
        about: Sequence[bytes] | None = None,
        keys: Greeting | None = None,
    ) -> None: ...
    @property
    def remote(self) -> Hello | None: ...
    @property
    def error(self) -> HedgerowError | None: ...
    @property
    def finished(self) -> bool: ...
    @property
    def settled(self) -> bool: ...
    @property
    def bytes_in(self) -> int: ...
    @property
    def operations_out(self) -> int: ...
    @property
    def bytes_out(self) -> int: ...
    def _apply(self, kind: int, value: object, now: int) -> None: ...
    def decode(self, segment: bytes) -> tuple[bytes, int, list[bytes]]: ...
    def told(self) -> list[tuple[bytes, int, int, int]]: ...
    def receive(self, data: bytes, now: int) -> None: ...
    def outgoing(self, limit: int, now: int) -> bytes: ...
    def next_wakeup(self, now: int) -> int: ...
