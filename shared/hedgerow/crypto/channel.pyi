from collections.abc import Callable
from typing import Any, Final

from ..errors import HedgerowError
from .claims import Claims
from .credentials import Trust
from .ephemeral import Ephemerals
from .handshake import Gate, Own
from .records import RecordKeys
from .resume import Resumables

RECORDS: Final = 32768
RESUMPTION: Final = 32769
UNKNOWN: Final = b"\0"

class Member:
    own: Own
    ephemerals: Ephemerals
    trust: Trust
    gate: Gate | None
    random: Callable[[int], bytes]
    mesh: bytes
    resumables: Resumables
    busy: Channel | None
    def __init__(
        self,
        own: Own,
        ephemerals: Ephemerals,
        trust: Trust,
        gate: Gate | None,
        random: Callable[[int], bytes],
        mesh: list[Any],
    ) -> None: ...
    def identifier(self) -> bytes: ...

class Channel:
    done: bool
    resumed: bool
    error: HedgerowError | None
    remote: bytes | None
    claims: Claims
    sending: RecordKeys | None
    hearing: RecordKeys | None
    def __init__(self, member: Member, now: int) -> None: ...
    def receive(self, message: bytes, now: int) -> None: ...
    def work(self, now: int) -> bool: ...
    def outgoing(self) -> bytes: ...
    def due(self) -> int: ...
    def close(self) -> None: ...

class Opening(Channel):
    def __init__(
        self, member: Member, now: int, to: bytes | None = None, gate: Gate | None = None
    ) -> None: ...

class Answering(Channel): ...
