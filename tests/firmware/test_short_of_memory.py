"""A reading for which memory is short is written once, at the price of a session, or not at all."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from hedgerow.application import ReadyPeer
from hedgerow.codec.schema import STREAM
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
    peer.give_up = lambda: given_up.append(True)
    held = peer.log.held(peer.author)
    short(monkeypatch, 1)
    peer.execute(INSERT, r={"n": 1})
    assert peer.log.held(peer.author) == held + 1 and given_up == [True]


def test_what_is_written_is_not_written_again(peer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    peer.give_up = lambda: None
    held = peer.log.held(peer.author)
    short(monkeypatch, 1, after=True)
    with pytest.raises(MemoryError):
        peer.execute(INSERT, r={"n": 1})
    assert peer.log.held(peer.author) == held + 1


@pytest.mark.parametrize("node", [False, True])
def test_where_nothing_helps_nothing_is_written(
    peer: Any, monkeypatch: pytest.MonkeyPatch, node: bool
) -> None:
    peer.give_up = (lambda: None) if node else None
    held = peer.log.held(peer.author)
    short(monkeypatch, 2)
    with pytest.raises(MemoryError):
        peer.execute(INSERT, r={"n": 1})
    assert peer.log.held(peer.author) == held
