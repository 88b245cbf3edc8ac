from collections.abc import Callable
from typing import Any

from ..peer import Peer
from .budget import Budget
from .carrier import Carrier
from .custody import Custody
from .down import Down
from .epochs import Epochs
from .feed import Feed
from .group import Group
from .intake import Intake
from .names import Names
from .repair import Repair
from .schedule import Leaves, Window
from .seen import Seen
from .speaker import Speaker
from .visits import Visits
from .wishes import Wishes

class Mesh(Carrier):
    peer: Peer
    role: int
    key: bytes
    base: bytes
    epochs: Epochs | None
    random: Callable[[int], int]
    budget: Budget | None
    stats: dict[str, int]
    relays: bool
    receipts_at: int
    collects: bool
    many: bool
    flood: bool
    code: int
    counter: int
    announce_at: int
    start_at: int
    seen: Seen
    names: Names
    speaker: Speaker
    custody: Custody
    feed: Feed
    down: Down
    visits: Visits
    leaves: Leaves
    window: Window
    wishes: Wishes | None
    tail_at: int | None
    def __init__(
        self,
        peer: Peer,
        now: int,
        *,
        random: Callable[[int], int],
        role: int = ...,
        key: bytes = b"",
        budget: Budget | None = None,
        seal_ms: int = ...,
        hold_off_ms: int = 2000,
        table: int = ...,
        relays: bool = True,
        group: Group | None = None,
    ) -> None: ...
    @property
    def intake(self) -> Intake: ...
    @property
    def repair(self) -> Repair: ...
    def close(self) -> None: ...
    def heard(self, address: Any, rssi: int, payload: bytes, now: int, connectable: bool = False) -> bool: ...
    def due(self, now: int) -> int: ...
    def say(self, now: int) -> tuple[bytes, bool, int] | None: ...
