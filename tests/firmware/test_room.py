"""Who of statements and the engine has to go where the heap is tight."""

import gc
import sys
import time
from types import SimpleNamespace
from typing import Any

import pytest

from hedgerow.errors import HedgerowError
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
            self._silence_ms = 0

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


@pytest.mark.parametrize(("left", "back", "full"), [(12, 4, False), (8, 4, False), (8, 1, True)])
def test_what_is_loaded_now_and_then_goes_before_a_relay_is_full(
    heap: dict[str, Any], monkeypatch: pytest.MonkeyPatch, left: int, back: int, full: bool
) -> None:
    """It stayed: of two relays with keys each had a few KiB for all that it heard, and memory failed."""
    from hedgerow_device import room

    def unload(*groups: str) -> None:
        assert groups == (room._SELDOM,)
        heap["free"] += back * KIB

    monkeypatch.setattr(room, "unload", unload)
    monkeypatch.setattr(gc, "mem_free", lambda: 0, raising=False)
    node = made(heap, False, left * KIB)
    node.peer = SimpleNamespace(keys=None)
    node._look_around(0)
    assert node.full == full and heap["free"] == (left + back * (left < 10)) * KIB


def test_a_heap_is_as_tight_on_a_host_as_on_its_chip(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (2 if sys.maxsize >> 32 else 1) == modules.WIDE
    for free, tight in ((64 * KIB - 1, True), (64 * KIB, False)):
        monkeypatch.setattr(gc, "mem_free", lambda free=free: free * modules.WIDE, raising=False)
        assert modules.is_tight() == tight


@pytest.mark.parametrize(("small", "connected"), [(True, False), (True, True), (False, False), (False, True)])
def test_for_a_reading_goes_what_a_session_has_loaded_and_a_small_engine(
    heap: dict[str, Any], monkeypatch: pytest.MonkeyPatch, small: bool, connected: bool
) -> None:
    """A reading was lost where a session was given up and what it had loaded was not."""
    from hedgerow_device import room

    unloaded: list[str] = []
    monkeypatch.setattr(room, "unload", lambda *groups: unloaded.extend(groups))
    monkeypatch.setattr(room, "is_tight", lambda: True)
    node = made(heap, small, 4 * KIB)
    node.given_up = []
    node._conn, node._central, node._link = (3, None, object()) if connected else (None, None, None)
    node._shelved, node._tight, node._short_at, node.asks = False, 0, -100_000, True
    node.peer = node
    node.keys = None
    node.close_documents = lambda: None
    node._hang_up_soon = node.given_up.append
    node._give_up()
    assert room._SESSION in unloaded
    assert (node._link, node.given_up) == (None, [1000] if connected else [])
    assert (node.mesh is None) == (small and not connected)
    node._give_up(True)
    assert node.mesh is None


@pytest.mark.parametrize("where", ["_clear_up", "_reopen"])
def test_a_session_is_settled_again_where_memory_fails(
    heap: dict[str, Any], monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """What a session had loaded stayed for good, and with it the engine away: a board fell silent."""
    from hedgerow_device.room import Room

    happened: list[Any] = []
    node = made(heap, False, 16 * KIB)
    node.mesh, heap["mesh"] = None, node.mesh

    def clear_up(self: Any) -> None:
        happened.append("_clear_up")
        if happened == [where]:
            raise MemoryError

    def reopen(self: Any, now: int) -> None:
        happened.append("_reopen")
        if happened == ["_clear_up", where]:
            raise MemoryError
        self.mesh = heap["mesh"]

    monkeypatch.setattr(Room, "_clear_up", clear_up)
    monkeypatch.setattr(Room, "_reopen", reopen)
    heap["mesh"].failed = lambda address, now: happened.append(("failed", address))
    node._tell = lambda *said: happened.append(said)
    error = HedgerowError("CREDENTIAL_REVOKED", "x")
    node._past, node._settle_at = (b"them", error, True), 0
    with pytest.raises(MemoryError):
        node._settle(500)
    assert node._past and node._settle_at == 1500
    happened.clear()
    happened.append("again")
    node._settle(1500)
    assert happened == ["again", "_clear_up", "_reopen", ("failed", b"them"), (b"them", error, 1500)]
    assert node._past is None


def test_what_a_session_came_to_is_told_once_there_is_room_to(heap: dict[str, Any]) -> None:
    node = made(heap, False, 16 * KIB)
    node._clear_up = lambda: None
    node._reopen = lambda now: None
    told: list[Any] = []

    def tell(address: bytes, said: Any, now: int) -> None:
        told.append(said)
        if len(told) == 1:
            raise MemoryError

    node._tell = tell
    for said, times in ((("summary",), 2), (HedgerowError("LINK_LOST", "x"), 1)):
        told.clear()
        node._past = (b"them", said, False)
        with pytest.raises(MemoryError):
            node._settle(1000)
        if node._past:
            node._settle(2000)
        assert told == [said] * times and node._past is None


@pytest.mark.parametrize(("documents", "fits"), [(8, True), (2, False)])
@pytest.mark.parametrize("small", [False, True])
def test_documents_and_either_engine_go_before_a_session_with_keys(
    heap: dict[str, Any], monkeypatch: pytest.MonkeyPatch, small: bool, documents: int, fits: bool
) -> None:
    """They stayed: a board where memory had failed refused each session, or that ended in the midst."""
    from hedgerow_device import room

    node = made(heap, small, 18 * KIB)
    node.peer = SimpleNamespace(
        greeter=object(), close_documents=lambda: heap.update(free=heap["free"] + documents * KIB)
    )
    opened: list[int] = []
    monkeypatch.setattr(room, "unload", lambda *groups: None)
    node.open_mesh = opened.append
    node._unload_engine = lambda: None
    assert node._fits() is fits
    assert node.mesh is None and node.saved == b"saved"
    # The small one comes again by itself, when it has been told.
    assert node._shelved is (fits and not small) and bool(opened) is not (fits or small)
