"""Connections in virtual time: how they begin, carry and end."""

from itertools import pairwise
from typing import Any

import pytest

from hedgerow_boards.air.field import Field
from hedgerow_boards.air.fieldlink import REASON_NOT_FOUND, FieldLink
from hedgerow_boards.air.limits import BOARD_CONNECTIONS, PACKETS_PER_EVENT
from hedgerow_boards.air.link import REASON_NOT_ESTABLISHED, REASON_REMOTE, REASON_TIMEOUT
from hedgerow_boards.air.physics import Radio

SECOND = 1_000_000
FULL = bytes(31)
FOREVER = 1 << 60


class Scene:
    """Nodes a metre apart of which each connects to node 0, and what came of it."""

    def __init__(self, nodes: int = 2, loss: float = 0.0, seed: int = 0) -> None:
        places = [(float(node), 0.0) for node in range(nodes)]
        self.field = Field(places, radio=Radio.disc(100.0, loss), seed=seed)
        self.links: list[FieldLink] = []
        self.ended: list[tuple[int, FieldLink | None, int]] = []
        self.got: list[tuple[int, int, bytes]] = []

    def offer(self, connectable: bool = True) -> None:
        self.field.say(0, FULL, FOREVER, 100_000, connectable)

    def connect(self, central: int, **options: Any) -> None:
        self.field.connect(central, 0, self._made, self._lost, **options)

    def _made(self, link: FieldLink) -> None:
        link.received = lambda link, node, data: self.got.append((self.field.now, node, data))
        self.links.append(link)

    def _lost(self, link: FieldLink | None, reason: int) -> None:
        self.ended.append((self.field.now, link, reason))

    def run(self, seconds: float) -> None:
        self.field.step(self.field.now + round(seconds * SECOND))

    def joined(self) -> FieldLink:
        self.offer()
        self.connect(1)
        self.run(1.0)
        return self.links[0]


def test_a_heard_offer_makes_a_link_and_ends_the_advertising() -> None:
    scene = Scene()
    scene.joined()
    said = scene.field.stats(0)["said"]["other"]
    scene.run(5.0)
    assert scene.field.stats(0)["said"]["other"] == said
    assert [scene.field.stats(node)["connections"] for node in (0, 1)] == [1, 1]
    assert not scene.ended


@pytest.mark.parametrize("case", ["not connectable", "silent", "out of reach", "central off"])
def test_who_is_not_heard_is_not_found(case: str) -> None:
    scene = Scene()
    if case != "silent":
        scene.offer(connectable=case != "not connectable")
    if case == "out of reach":
        scene.field.move(0, 500.0, 0.0)
    scene.connect(1, timeout_us=2 * SECOND)
    if case == "central off":
        scene.field.power(1, "off")
    scene.run(1.999)
    assert not scene.ended
    scene.run(0.002)
    assert scene.ended == [(2 * SECOND, None, REASON_NOT_FOUND)]
    assert not scene.links


def test_a_node_reports_nothing_while_it_connects_and_connects_to_one_at_a_time() -> None:
    scene = Scene()
    heard: list[int] = []
    scene.field.heard = lambda node, *_: heard.append(node)
    scene.field.duty(1, 100)
    scene.offer(connectable=False)
    scene.run(1.0)
    assert heard
    heard.clear()
    scene.connect(1, timeout_us=SECOND)
    with pytest.raises(ValueError, match="connecting already"):
        scene.connect(1)
    scene.run(0.99)
    assert not heard
    scene.run(1.0)
    assert heard


@pytest.mark.parametrize("loss", [0.0, 0.2])
def test_messages_arrive_whole_and_in_order_both_ways(loss: float) -> None:
    scene = Scene(loss=loss, seed=4)
    link = scene.joined()
    sent = [bytes([number]) * size for number, size in enumerate((0, 1, 244, 245, 5000, 7))]
    for data in sent:
        link.send(0, data)
        link.send(1, data)
    scene.run(20.0)
    for node in (0, 1):
        assert [data for _, to, data in scene.got if to == node] == sent
    stats = scene.field.stats(0)
    assert stats["link_packets"] == sum(max(1, -(-len(data) // 244)) for data in sent)
    assert stats["link_bytes"] == sum(map(len, sent)) + 7 * stats["link_packets"]


def test_no_event_carries_more_than_its_packets_and_events_keep_their_interval() -> None:
    scene = Scene()
    link = scene.joined()
    for number in range(40):
        link.send(0, bytes([number]) * 100)
    scene.run(5.0)
    times = [at for at, _, _ in scene.got]
    assert max(times.count(at) for at in times) == PACKETS_PER_EVENT
    assert {(later - times[0]) % 30_000 for later in times} == {0}
    assert times[-1] - times[0] == 30_000 * (40 // PACKETS_PER_EVENT - 1)


def test_an_answer_leaves_in_the_event_after_the_question() -> None:
    scene = Scene()
    link = scene.joined()
    times: list[int] = []

    def received(link: FieldLink, node: int, data: bytes) -> None:
        times.append(scene.field.now)
        if node == 0:
            link.send(0, data)

    link.received = received
    link.send(1, b"question")
    scene.run(1.0)
    assert times[1] - times[0] == 30_000


def test_full_packets_both_ways_fill_a_short_interval() -> None:
    scene = Scene()
    scene.offer()
    scene.connect(1, interval_us=7_500)
    scene.run(1.0)
    for _ in range(10):
        scene.links[0].send(0, bytes(244))
        scene.links[0].send(1, bytes(244))
    scene.run(1.0)
    times = [at for at, node, _ in scene.got if node == 0]
    assert [later - earlier for earlier, later in pairwise(times)] == [7_500] * 9


def test_connection_events_take_the_radios_of_both() -> None:
    scene = Scene()
    link = scene.joined()
    link.send(0, bytes(200))
    scene.run(0.1)
    ((at, _, _),) = scene.got
    for node in (0, 1):
        assert scene.field.busy_from[node] == at
        assert scene.field.busy_until[node] - at > 1_700


def test_a_call_needs_an_advertisement_heard_and_an_answer_heard() -> None:
    """With half of the packets lost one event in four makes a link, and a busy radio hears none."""
    events = []
    for seed in range(200):
        scene = Scene(loss=0.5, seed=seed)
        scene.offer()
        scene.connect(1, timeout_us=60 * SECOND)
        scene.run(10.0)
        events.append(scene.field.stats(0)["said"]["other"])
    assert sum(events) / len(events) == pytest.approx(4.0, abs=0.8)
    scene = Scene()
    scene.offer()
    scene.field.take(1, 0, 3 * SECOND)
    scene.connect(1, timeout_us=2 * SECOND)
    scene.run(2.1)
    assert [reason for _, _, reason in scene.ended] == [REASON_NOT_FOUND]


def test_loss_slows_a_link_down() -> None:
    ends = []
    for loss in (0.0, 0.4):
        scene = Scene(loss=loss, seed=2)
        scene.joined().send(1, bytes(50_000))
        scene.run(60.0)
        ends.append(scene.got[0][0])
    assert ends[1] > 1.5 * ends[0]


def test_closing_reaches_both_and_drops_what_is_queued() -> None:
    scene = Scene()
    link = scene.joined()
    link.send(0, b"dropped")
    link.close()
    scene.run(0.1)
    assert [(ended, reason) for _, ended, reason in scene.ended] == [(link, REASON_REMOTE)]
    assert not scene.got
    assert not link.open
    link.send(0, b"late")
    scene.run(5.0)
    assert len(scene.ended) == 1


def test_who_receives_may_close_in_the_middle_of_an_event() -> None:
    scene = Scene()
    link = scene.joined()
    link.received = lambda link, node, data: link.close()
    for _ in range(20):
        link.send(0, bytes(100))
        link.send(1, bytes(100))
    scene.run(1.0)
    assert [reason for _, _, reason in scene.ended] == [REASON_REMOTE]


@pytest.mark.parametrize("busy", [False, True])
@pytest.mark.parametrize("cause", ["off", "partition", "moved"])
def test_a_lost_peer_is_noticed_by_supervision_idle_or_not(busy: bool, cause: str) -> None:
    scene = Scene()
    link = scene.joined()
    if busy:
        link.send(0, bytes(200_000))
    scene.run(0.2)
    if cause == "off":
        scene.field.power(1, "off")
    elif cause == "partition":
        scene.field.partition({1: 1})
    else:
        scene.field.move(1, 500.0, 0.0)
    since = scene.field.now
    scene.run(10.0)
    ((at, _, reason),) = scene.ended
    assert reason == REASON_TIMEOUT
    assert 1_900_000 < at - since < 3_300_000
    assert scene.field.links.count(0) == 0


@pytest.mark.parametrize("busy", [False, True])
def test_who_reboots_has_no_link_any_more_and_the_other_finds_out(busy: bool) -> None:
    scene = Scene()
    link = scene.joined()
    scene.field.power(1, "off")
    scene.field.power(1, "on")
    if busy:
        link.send(0, b"x")
    scene.run(4.0)
    assert [reason for _, _, reason in scene.ended] == [REASON_TIMEOUT]
    assert not scene.got


def test_a_short_gap_does_not_end_a_link() -> None:
    scene = Scene()
    link = scene.joined()
    for _ in range(5):
        scene.field.partition({1: 1})
        scene.run(1.5)
        scene.field.partition(None)
        scene.run(1.5)
    assert not scene.ended
    link.send(1, b"still")
    scene.run(0.1)
    assert [data for _, _, data in scene.got] == [b"still"]


def test_a_link_that_never_had_an_event_was_not_established() -> None:
    scene = Scene()
    scene.offer()
    scene.connect(1)
    while not scene.links:
        scene.field.step(scene.field.next_time() or 0)
    scene.field.partition({1: 1})
    scene.run(1.0)
    assert [reason for _, _, reason in scene.ended] == [REASON_NOT_ESTABLISHED]


def test_a_board_takes_four_links_and_no_fifth() -> None:
    scene = Scene(7)
    for central in range(1, 7):
        scene.offer()
        scene.connect(central)
        scene.run(3.0)
    assert [link.central for link in scene.links] == [1, 2, 3, 4]
    assert scene.field.links.count(0) == BOARD_CONNECTIONS
    assert [reason for _, _, reason in scene.ended] == [REASON_NOT_FOUND] * 2


def test_being_connected_is_charged_by_time() -> None:
    scene = Scene()
    scene.joined()
    made = scene.field.now
    scene.run(60.0)
    mah = scene.field.stats(1)["charge"]["link"]
    assert 7.0 * 60.0 / 3600 < mah < 7.0 * (60.0 + made / SECOND) / 3600
