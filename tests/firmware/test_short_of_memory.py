"""A reading for which memory is short is written once, at the price of a session, or not at all."""

import asyncio
import sys
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from hedgerow.application import ReadyPeer
from hedgerow.codec.schema import STREAM
from hedgerow.errors import HedgerowError
from hedgerow_device.flashlog import FlashLog
from hedgerow_sim.nor import Nor

INSERT = "INSERT INTO readings DOCUMENTS (:r)"


@pytest.fixture
def peer(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(time, "ticks_ms", lambda: 0, raising=False)
    monkeypatch.setattr(time, "ticks_diff", lambda later, now: later - now, raising=False)
    from hedgerow_device import device_peer

    monkeypatch.setattr(device_peer, "is_tight", lambda: False)
    return device_peer.DevicePeer(FlashLog(Nor(16)), lambda: 1000, kinds={"readings": STREAM})


def short(monkeypatch: pytest.MonkeyPatch, times: int, after: bool = False) -> None:
    """Let memory run out so often, before or after the reading is written."""
    record: Callable[..., object] = ReadyPeer._record
    left = [times]

    def fails(peer: Any, text: str, parameters: dict[str, Any]) -> object:
        if left[0]:
            left[0] -= 1
            if after:
                record(peer, text, parameters)
            raise MemoryError
        return record(peer, text, parameters)

    monkeypatch.setattr(ReadyPeer, "_record", fails)


def test_a_session_is_given_up_for_a_reading(peer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    given_up: list[bool] = []
    peer.give_up = given_up.append
    held = peer.log.held(peer.author)
    short(monkeypatch, 1)
    peer.execute(INSERT, r={"n": 1})
    assert peer.log.held(peer.author) == held + 1 and given_up == [False]


def test_the_engine_is_given_up_where_a_session_was_too_little(
    peer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    given_up: list[bool] = []
    peer.give_up = given_up.append
    held = peer.log.held(peer.author)
    short(monkeypatch, 2)
    peer.execute(INSERT, r={"n": 1})
    assert peer.log.held(peer.author) == held + 1 and given_up == [False, True]


def test_what_is_written_is_not_written_again(peer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    peer.give_up = lambda engine: None
    held = peer.log.held(peer.author)
    short(monkeypatch, 1, after=True)
    with pytest.raises(MemoryError):
        peer.execute(INSERT, r={"n": 1})
    assert peer.log.held(peer.author) == held + 1


def test_giving_up_that_finds_no_memory_itself_refuses_no_reading(
    peer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    given_up: list[bool] = []

    def give_up(engine: bool) -> None:
        given_up.append(engine)
        raise MemoryError

    peer.give_up = give_up
    held = peer.log.held(peer.author)
    short(monkeypatch, 2)
    peer.execute(INSERT, r={"n": 1})
    assert peer.log.held(peer.author) == held + 1 and given_up == [False, True]


@pytest.mark.parametrize("node", [False, True])
def test_where_nothing_helps_nothing_is_written(
    peer: Any, monkeypatch: pytest.MonkeyPatch, node: bool
) -> None:
    peer.give_up = (lambda engine: None) if node else None
    held = peer.log.held(peer.author)
    short(monkeypatch, 3)
    with pytest.raises(HedgerowError, match="DEVICE_MEMORY"):
        peer.execute(INSERT, r={"n": 1})
    assert peer.log.held(peer.author) == held


def test_what_a_look_has_loaded_goes_where_memory_failed_and_the_next_one_has_its_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It stayed, and the look came again each second."""
    monkeypatch.setitem(sys.modules, "machine", SimpleNamespace())
    monkeypatch.setattr(time, "ticks_ms", lambda: 0, raising=False)
    from hedgerow_device import app

    happened: list[str] = []
    turns = iter(range(2 * app._LOOK_EVERY))

    async def sleep_ms(_: int) -> None:
        if next(turns, None) is None:
            raise KeyboardInterrupt

    def look(*_: Any) -> int:
        happened.append("look")
        raise MemoryError

    monkeypatch.setattr(app.asyncio, "sleep_ms", sleep_ms, raising=False)
    monkeypatch.setattr(app.gc, "mem_free", lambda: 0, raising=False)
    monkeypatch.setattr(app, "now", lambda: 0)
    monkeypatch.setattr(app, "_look", look)
    monkeypatch.setattr(app, "unload", lambda *groups: happened.append("unload"))
    monkeypatch.setattr(app, "report", lambda error: happened.append("report"))
    steady = SimpleNamespace(
        settings={"health_s": 0}, suspects={}, tend=lambda now: 0, dispatch=lambda: None, rest=lambda: None
    )
    with pytest.raises(KeyboardInterrupt):
        asyncio.run(app._feed(SimpleNamespace(feed=lambda: None), steady, None))
    assert happened == ["look", "unload", "report"] * 3
