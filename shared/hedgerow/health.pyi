from collections.abc import Mapping
from typing import Any

from .peer import Peer

def is_due(now: int, last: int, every_ms: int) -> bool: ...
def write_health(peer: Peer, facts: Mapping[str, Any], now: int) -> int: ...
