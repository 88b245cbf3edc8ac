"""Who of statements and the engine has to go where the heap is tight."""

import gc
import sys
import time
from typing import Any

import pytest

from hedgerow_device import modules

KIB = 1024


class Engine:
    """`spares` says how many bytes it gives back of what others say again."""

    def __init__(self, spares: int = 0) -> None:
        self.spares = spares
        self.spared = 0

    def spare(self) -> None:
        self.spared += 1

    def save(self) -> bytes:
        return b"saved"

    def close(self) -> None: ...


@pytest.fixture
def heap(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A heap with `free` bytes on 32 bits, and what the engine has spared."""
    # What CPython's time lacks
    monkeypatch.setattr(time, "ticks_ms", lambda: 0, raising=False)
    monkeypatch.setattr(time, "ticks_diff", lambda later, now: later - now, raising=False)
    from hedgerow_device import room

    state: dict[str, Any] = {"free": 0, "mesh": None}

    def free() -> int:
        mesh = state["mesh"]
        spared: int = mesh.spares * (mesh.spared > 0) if mesh else 0
        return (state["free"] + spared) * modules.WIDE

    monkeypatch.setattr(room, "free", free)
    monkeypatch.setattr(room, "uptime", lambda: 1000)
    return state


def made(heap: dict[str, Any], small: bool, free: int, spares: int = 0) -> Any:
    from hedgerow_device.room import Room

    class Node(Room):
        idle = True
        saved = b""

        def __init__(self) -> None:
            self._small, self.mesh = small, heap["mesh"]
            self._open_at = self._shrunk_at = None

        def _quiet(self) -> None: ...

    heap["mesh"] = Engine(spares)
    heap["free"] = free
    return Node()


def test_the_small_engine_stays_beside_statements_that_fit(heap: dict[str, Any]) -> None:
    """What it has heard of letters goes with it: a board that asked every 5 s had hardly one whole."""
    node = made(heap, True, 24 * KIB)
    node._make_room()
    assert node.mesh is heap["mesh"] and not node.saved
    node._make_room(True)
    assert node.mesh is None and node.saved == b"saved"
    node = made(heap, True, 16 * KIB)
    node._make_room()
    assert node.mesh is None and node._open_at


def test_a_relay_gives_up_what_others_say_again_before_it_is_none(heap: dict[str, Any]) -> None:
    node = made(heap, False, 16 * KIB, spares=8 * KIB)
    node._make_room()
    assert not heap["mesh"].spared
    node._make_room(True)
    assert heap["mesh"].spared == 1 and node.mesh and not node._small
    node = made(heap, False, 16 * KIB, spares=2 * KIB)
    node._make_room(True)
    assert heap["mesh"].spared == 1 and node.mesh is None and node._small and node._shrunk_at


def test_a_heap_is_as_tight_on_a_host_as_on_its_chip(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (2 if sys.maxsize >> 32 else 1) == modules.WIDE
    for free, tight in ((64 * KIB - 1, True), (64 * KIB, False)):
        monkeypatch.setattr(gc, "mem_free", lambda free=free: free * modules.WIDE, raising=False)
        assert modules.is_tight() == tight
