"""A link that breaks at any byte, in either direction, loses nothing and doubles nothing (SPEC 7.8)."""

import sys

from sync_kit import UTC, Pipe, board, check, durable, gateway, keeper, operations, record, sync

from hedgerow.log import MemoryStore
from hedgerow.operation import SOURCE_GATEWAY
from hedgerow.sync.exchange import Exchange

HEAP = "1m"
# MicroPython cuts the first link at every byte, and the others at every seventh.
STRIDE = 7 if sys.implementation.name == "micropython" else 1


class _Scene:
    """A board with readings, and a gateway that knows the keeper; all stores can be taken back to now."""

    def __init__(self, readings: int) -> None:
        self.stores = [MemoryStore(bytes([n]) * 8) for n in (1, 2, 3)]
        leaf, middle, top = self.open(0)
        self.now = sync(middle, top, record(leaf, readings)).now
        self.image = [(list(store.entries), dict(store.state)) for store in self.stores]

    def open(self, now: int) -> list:
        leaf, middle, top = self.stores
        peers = [board("leaf", leaf, now), gateway(middle, now), keeper(top, now)]
        peers[1].set_time(UTC + now, 5, SOURCE_GATEWAY, now)
        return peers

    def restore(self) -> list:
        for store, (entries, state) in zip(self.stores, self.image):
            store.entries, store.state = list(entries), dict(state)
        return self.open(self.now)


def _links(peers: list) -> tuple:
    leaf, middle, top = peers
    return ((middle, leaf), (middle, top), (middle, leaf))


def _whole_lengths(scene: _Scene) -> list:
    """Return the bytes of each direction of each of the three exchanges, uncut."""
    peers = scene.restore()
    return [list(sync(one, two, scene.now).sent) for one, two in _links(peers)]


def _cut_once(scene: _Scene, link: int, direction: int, at: int, reboot: bool) -> None:
    peers = scene.restore()
    now = scene.now
    for one, two in _links(peers)[:link]:
        now = sync(one, two, now).now
    one, two = _links(peers)[link]
    ends = Exchange(one, now, central=True), Exchange(two, now)
    now = Pipe(ends[0], ends[1], now, cut={direction: at}).run().now
    check(peers)
    if reboot:
        peers = scene.open(now)
        check(peers)
    for one, two in _links(peers):
        now = sync(one, two, now).now
    check(peers)
    leaf, _, top = peers
    assert operations(durable(top), leaf.author) == operations(leaf.log, leaf.author)
    assert leaf.receipted(leaf.author) == leaf.log.held(leaf.author)


def _cut_everywhere(link: int, readings: int, stride: int) -> None:
    scene = _Scene(readings)
    lengths = _whole_lengths(scene)[link]
    assert min(lengths) > 60
    for direction in (0, 1):
        for at in range(0, lengths[direction], stride):
            _cut_once(scene, link, direction, at, reboot=at % 5 == 0)


def test_between_board_and_gateway() -> None:
    _cut_everywhere(0, 3, 1)


def test_between_gateway_and_keeper() -> None:
    _cut_everywhere(1, 3, STRIDE)


def test_while_receipts_come_down() -> None:
    _cut_everywhere(2, 3, STRIDE)


def test_among_several_records_and_seals() -> None:
    for link in (0, 1):
        _cut_everywhere(link, 70, 13 * STRIDE)
