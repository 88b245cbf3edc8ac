from collections.abc import Mapping

from ..codec.schema import Schema
from ..crypto.rules import Rules
from ..peer import Peer

def verify_seal(
    log: object,
    schemas: Mapping[bytes, Schema],
    author: bytes,
    body: bytes,
    apart: bool = False,
    rules: Rules | None = None,
) -> None: ...
def names(previous: bytes, body: bytes) -> bool: ...
def twin(body: bytes) -> bytes: ...
def doubt(peer: Peer, author: bytes, body: bytes | None, now: int) -> bool: ...
def seal_before(log: object, author: bytes, first: int) -> bytes | None: ...
