"""Giving back what a log has loaded: what holds something that flash does not tell at once stays."""

import time

import pytest

from hedgerow.log import ENTRY_OP
from hedgerow_device import flashrest
from hedgerow_device.flashlog import FlashLog
from hedgerow_sim.nor import Nor

OTHER = b"author-b"


@pytest.fixture
def unloaded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is unloaded; here the modules stay, other tests have them too."""
    names: list[str] = []
    monkeypatch.setattr(flashrest, "unload", lambda text: names.extend(text.split()))
    return names


def filled(nor: Nor) -> FlashLog:
    log = FlashLog(nor)
    for number in range(1, 11):
        log.append(ENTRY_OP, OTHER, number, number, b"operation %d" % number)
    return log


def test_empty_tables_and_an_idle_collector_go(unloaded: list[str]) -> None:
    log = filled(Nor(16))
    log.beside()
    log.collector()
    flashrest.rest(log)
    assert not log.has_beside() and log.gathering is None
    assert {"hedgerow_device.flashbeside", "hedgerow_device.flashcollect"} <= set(unloaded)
    assert log.fetch(OTHER, 3) == b"operation 3" and not log.has_beside()
    assert len(log.since(0, 1000)) == 10 and log.missing(OTHER) == []


def test_what_is_void_or_beside_a_run_is_not_forgotten(unloaded: list[str]) -> None:
    log = filled(Nor(16))
    log.drop(OTHER, 3, 4)
    flashrest.rest(log)
    assert log.has_beside()
    # The one holds on to the other: loaded anew, it would be in the heap twice.
    assert not {"hedgerow_device.flashbeside", "hedgerow_device.flashscan"} & set(unloaded)
    assert log.fetch(OTHER, 3) is None and len(log.since(0, 1000)) == 8
    log = filled(Nor(16))
    log.cut(OTHER, 7)
    flashrest.rest(log)
    assert log.has_beside() and log.fetch(OTHER, 8) is None
    log = filled(Nor(16))
    log.fill(OTHER, 12, b"operation 12")
    flashrest.rest(log)
    assert log.has_beside()
    assert log.fetch(OTHER, 12) == b"operation 12" and len(log.since(0, 1000)) == 11


def test_who_collects_stays_while_the_ring_is_nearly_full(unloaded: list[str]) -> None:
    log = filled(Nor(16))
    number = 10
    while log.ring.free() - log.spare > log.band():
        number += 1
        log.append(ENTRY_OP, OTHER, number, number, bytes(100))
    collector = log.collector()
    flashrest.rest(log)
    assert log.gathering is collector
    assert not {"hedgerow_device.flashcollect", "hedgerow_device.flashreclaim"} & set(unloaded)


def test_documents_are_no_reason_to_keep_it_where_the_heap_is_used_up(
    unloaded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # What CPython's time lacks
    monkeypatch.setattr(time, "ticks_ms", lambda: 0, raising=False)
    monkeypatch.setattr(time, "ticks_diff", lambda a, b: a - b, raising=False)
    from hedgerow_device import device_peer, modules

    monkeypatch.setattr(device_peer, "is_tight", lambda: True)
    least = device_peer._LEAST_FREE * modules.WIDE
    peer = device_peer.DevicePeer(FlashLog(Nor(16)), lambda: 1000)
    assert peer.down and not unloaded
    for left, gone in ((least, False), (least - 1, True)):
        monkeypatch.setattr(device_peer, "free", lambda left=left: left)
        peer.rest()
        assert bool(unloaded) == gone
