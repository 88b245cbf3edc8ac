from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from ..codec.schema import Schema
from .credentials import Credential, Trust
from .identity import Identity
from .rules import Rules

REVOCATION: Final = "hg-rev"

class Members(Rules):
    trust: Trust
    identity: Identity
    own: Credential | None
    on_judged: Callable[[bytes], None] | None
    def __init__(
        self,
        log: Any,
        trust: Trust,
        identity: Identity,
        sealed_under: Callable[[bytes, int], bytes | None] | None = None,
    ) -> None: ...
    @property
    def ready(self) -> bool: ...
    @property
    def credential(self) -> bytes: ...
    def sign(self, message: bytes) -> bytes: ...
    def enrol(self, own: Credential) -> None: ...
    def permit(
        self, number: int, changes: Sequence[Sequence[Any]], schemas: Mapping[bytes, Schema]
    ) -> None: ...
    @property
    def position(self) -> int: ...
    def asking(self) -> bytes: ...
    def take(self, body: bytes) -> None: ...
