"""What a station runs: the mesh engine, or one of the baselines with the same face."""

import random
from collections.abc import Callable
from typing import Any, Protocol

from hedgerow.mesh.mesh import Mesh
from hedgerow_sim import memo
from hedgerow_sim.baseline import ConnectAlways, NaiveFlood, Oracle

Address = Any


class Engine(Protocol):
    """What a station asks of its engine; times are the board's milliseconds. See hedgerow.mesh.mesh.Mesh."""

    stats: dict[str, int]

    def heard(
        self, address: Address, rssi: int, payload: bytes, now: int, connectable: bool = False
    ) -> bool: ...
    def due(self, now: int) -> int: ...
    def say(self, now: int) -> tuple[bytes, bool, int] | None: ...
    def duty(self, now: int) -> int: ...
    def visit(self, now: int, busy: Any = ()) -> Address | None: ...
    def called(self, now: int) -> bool: ...
    def synced(self, address: Address, summary: Any, now: int, told: Any = None) -> None: ...
    def failed(self, address: Address, now: int) -> None: ...
    def sleep_until(self, now: int) -> int | None: ...
    def save(self) -> bytes: ...
    def restore(self, data: bytes, now: int = 0) -> object: ...
    def wake(self, now: int) -> None: ...
    def close(self) -> None: ...


#: (peer, now, random, role, budget) -> engine
Maker = Callable[[Any, int, Callable[[int], int], int, Any], Engine]


def maker(kind: str, key: bytes, oracle: Oracle) -> Maker:
    """How engines of a kind are made."""
    memo.share()

    def mesh(peer: Any, now: int, chance: Callable[[int], int], role: int, budget: Any) -> Engine:
        return Mesh(peer, now, random=chance, role=role, key=key, budget=budget)

    def flood(peer: Any, now: int, chance: Callable[[int], int], role: int, budget: Any) -> Engine:
        return NaiveFlood(peer, now, chance, role, oracle)

    def connect(peer: Any, now: int, chance: Callable[[int], int], role: int, budget: Any) -> Engine:
        return ConnectAlways(peer, now, chance, role)

    return {"mesh": mesh, "naive_flood": flood, "connect_always": connect}[kind]


def dice(rng: random.Random) -> Callable[[int], int]:
    """The platform's chance as engines take it: random(n) in [0, n)."""
    return rng.randrange
