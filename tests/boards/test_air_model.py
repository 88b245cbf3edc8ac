"""The radio: who hears what, when, and how links begin, are paced and end. All in virtual time."""

from collections import Counter
from itertools import pairwise

import pytest
from air_rig import READABLE, SECOND, Pair, address, advertise, connect, hello, join, scan

from hedgerow.errors import HedgerowError
from hedgerow_boards.air import commands, events
from hedgerow_boards.air.limits import (
    LINK_PAYLOAD_MAX,
    PACKETS_PER_EVENT,
    REPORT_BUFFERS,
    TRANSMIT_BUFFERS,
)
from hedgerow_boards.air.link import REASON_LOCAL, REASON_NOT_ESTABLISHED, REASON_REMOTE, REASON_TIMEOUT
from hedgerow_boards.air.messages import ADV_NONCONN_IND, NO_PEER, RESUMES_SCAN, SCAN_RSP, Message
from hedgerow_boards.air.model import AirModel


def test_advertising_events_come_at_the_interval_plus_at_most_ten_milliseconds() -> None:
    model = AirModel(seed=1)
    host, _ = join(model, 1)
    host.handle(advertise(b"x", interval_ms=100))
    model.step(100 * SECOND)
    times = [frame["t"] for frame in model.log.frames]
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert 0.1 <= min(gaps) < 0.1005
    assert 0.1095 < max(gaps) <= 0.1101
    assert model.counters.beacons == len(times)


@pytest.mark.parametrize(("interval_ms", "window_ms"), [(1280, 11), (300, 30), (60, 30), (30, 30)])
def test_a_scanner_hears_as_often_as_its_window_is_open(interval_ms: int, window_ms: int) -> None:
    model = AirModel(seed=2, loss=0.0)
    advertiser, _ = join(model, 1)
    scanner, log = join(model, 2)
    advertiser.handle(advertise(b"x", interval_ms=100))
    scanner.handle(scan(interval_ms, window_ms))
    model.step(600 * SECOND)
    duty = window_ms / interval_ms
    assert len(log.events) / model.counters.beacons == pytest.approx(duty, rel=0.12, abs=0.002)
    assert model.counters.reports == len(log.events)


def test_range_positions_and_explicit_reachability() -> None:
    model = AirModel(seed=3, loss=0.0)
    advertiser, _ = join(model, 1)
    scanner, log = join(model, 2)
    advertiser.handle(advertise(b"x"))
    scanner.handle(scan())
    a, b = address(1), address(2)

    def heard() -> int:
        log.events.clear()
        model.step(model.timeline.now + SECOND)
        return len(log.events)

    assert heard()
    model.medium.place(b, 31.0, 0.0)
    assert not heard()
    model.medium.place(b, 29.0, 0.0)
    assert heard()
    assert all(event.rssi < -70 for event in log.of(events.ScanResult))
    model.medium.set_reach(b, a, False)
    assert not heard()
    model.medium.place(b, 500.0, 0.0)
    model.medium.set_reach(a, b, True)
    assert heard()
    model.medium.set_reach(a, b, None)
    assert not heard()
    model.medium.place(b, 0.0, 0.0)
    model.medium.enabled = False
    assert not heard()


def test_loss_takes_its_share_and_is_counted() -> None:
    model = AirModel(seed=5, loss=0.3)
    advertiser, _ = join(model, 1)
    scanner, log = join(model, 2)
    advertiser.handle(advertise(b"x"))
    scanner.handle(scan())
    model.step(300 * SECOND)
    counters = model.counters
    assert len(log.events) / counters.beacons == pytest.approx(0.7, abs=0.05)
    assert counters.lost / counters.beacons == pytest.approx(0.3, abs=0.05)


def crowd(seed: int, advertisers: int) -> AirModel:
    model = AirModel(seed=seed, loss=0.0)
    for number in range(1, advertisers + 1):
        host, _ = join(model, number)
        host.handle(advertise(bytes(31), interval_ms=20))
    scanner, _ = join(model, 200)
    scanner.handle(scan())
    model.step(10 * SECOND)
    return model


def test_overlapping_transmissions_collide() -> None:
    assert crowd(6, 1).counters.collisions == 0
    few, many = crowd(6, 10).counters, crowd(6, 60).counters
    assert few.collisions > 0
    assert many.reports / many.beacons < few.reports / few.beacons < 0.99


def test_a_colliding_sender_out_of_the_receivers_reach_does_no_harm() -> None:
    model = AirModel(seed=7, loss=0.0)
    for number in range(1, 60):
        host, _ = join(model, number)
        host.handle(advertise(bytes(31), interval_ms=20))
        if number > 1:
            model.medium.set_reach(address(number), address(200), False)
    scanner, _ = join(model, 200)
    scanner.handle(scan())
    model.step(5 * SECOND)
    assert model.counters.collisions == 0


def test_one_seed_one_history() -> None:
    first, again, other = crowd(8, 12), crowd(8, 12), crowd(9, 12)
    assert first.log.frames == again.log.frames
    assert first.log.frames != other.log.frames


def test_only_active_scanners_of_scannable_advertisers_get_scan_responses() -> None:
    model = AirModel(seed=10, loss=0.0)
    scannable, _ = join(model, 1)
    silent, _ = join(model, 2)
    active, active_log = join(model, 3)
    passive, passive_log = join(model, 4)
    scannable.handle(advertise(b"adv", response=b"more"))
    silent.handle(advertise(b"quiet", kind=ADV_NONCONN_IND, response=b"never"))
    active.handle(scan(active=1))
    passive.handle(scan(active=0))
    model.step(3 * SECOND)
    kinds = Counter((event.adv_type, event.data) for event in active_log.of(events.ScanResult))
    assert set(kinds) == {(0, b"adv"), (SCAN_RSP, b"more"), (ADV_NONCONN_IND, b"quiet")}
    assert {event.adv_type for event in passive_log.of(events.ScanResult)} == {0, ADV_NONCONN_IND}


def test_a_filtering_controller_reports_a_payload_once_until_it_changes() -> None:
    model = AirModel(seed=11, loss=0.0)
    advertiser, _ = join(model, 1)
    scanner, log = join(model, 2)
    scanner.handle(scan(unique=1))
    for payload in (b"one", b"two", b"two", b"one"):
        advertiser.handle(advertise(payload))
        model.step(model.timeline.now + SECOND)
    assert [event.data for event in log.of(events.ScanResult)] == [b"one", b"two", b"one"]


def test_reports_without_a_free_buffer_are_dropped_and_counted() -> None:
    model = AirModel(seed=12, loss=0.0)
    advertiser, _ = join(model, 1)
    scanner, log = join(model, 2)
    advertiser.handle(advertise(b"x"))
    scanner.handle(scan())
    log.has_report_room = False
    model.step(SECOND)
    assert (model.counters.reports, len(log.events)) == (0, 0)
    assert model.counters.reports_dropped >= REPORT_BUFFERS


def test_a_connection_ends_advertising_and_scanning() -> None:
    model = AirModel(seed=13, loss=0.0)
    peripheral, peripheral_log = join(model, 1)
    central, central_log = join(model, 2)
    peripheral.handle(advertise(b"x"))
    central.handle(scan())
    model.step(SECOND)
    central_log.events.clear()
    central.handle(connect(1))
    model.step(2 * SECOND)
    assert [type(event) for event in central_log.events] == [events.ScanDone, events.PeripheralConnected]
    assert [type(event) for event in peripheral_log.events] == [events.CentralConnected]
    beacons = model.counters.beacons
    model.step(4 * SECOND)
    assert model.counters.beacons == beacons
    assert model.counters.connections == 1


def test_a_linux_host_goes_on_scanning_after_connecting() -> None:
    model = AirModel(seed=14, loss=0.0)
    peripheral, _ = join(model, 1)
    other, _ = join(model, 3)
    central, log = join(model, 2, flags=RESUMES_SCAN)
    peripheral.handle(advertise(b"x"))
    other.handle(advertise(b"y"))
    central.handle(scan())
    central.handle(connect(1))
    model.step(SECOND)
    log.events.clear()
    model.step(2 * SECOND)
    assert {event.data for event in log.of(events.ScanResult)} == {b"y"}


def test_a_connect_that_hears_nobody_fails_after_its_time() -> None:
    model = AirModel(seed=15)
    unconnectable, _ = join(model, 1)
    unconnectable.handle(advertise(b"x", kind=ADV_NONCONN_IND))
    central, log = join(model, 2)
    central.handle(connect(1))
    model.step(1_999_999)
    assert not log.events
    model.step(2_000_001)
    assert log.events == [events.PeripheralDisconnected(NO_PEER, 0xFF, bytes(6), 0)]
    central.handle(connect(1))
    central.handle(commands.CancelConnect())
    assert len(log.events) == 2


def test_a_board_takes_four_links_and_no_fifth() -> None:
    model = AirModel(seed=16, loss=0.0)
    board, log = join(model, 1)
    for number in range(2, 7):
        board.handle(advertise(b"x"))
        central, _ = join(model, number)
        central.handle(connect(1))
        model.step(model.timeline.now + 3 * SECOND)
    assert [event.conn for event in log.of(events.CentralConnected)] == [0, 1, 2, 3]
    assert model.counters.connections == 4


def per_event(pair: Pair, sender: int) -> Counter[float]:
    frames = [frame for frame in pair.model.log.frames if frame["kind"] == "data"]
    return Counter(frame["t"] for frame in frames if frame["from"] == address(sender))


@pytest.mark.parametrize("payload", [27, 251])
def test_no_connection_event_carries_more_than_its_packets(payload: int) -> None:
    pair = Pair(payload=payload, loss=0.05)
    for _ in range(60):
        while pair.server._taken - pair.server._completed < TRANSMIT_BUFFERS:
            pair.server.handle(commands.Notify(0, READABLE, bytes(200)))
        pair.run(0.1)
    counts = per_event(pair, 1)
    assert max(counts.values()) == PACKETS_PER_EVENT
    times = sorted(counts)
    assert min(later - earlier for earlier, later in pairwise(times)) > 0.0299
    sizes = [len(frame["data"]) // 2 for frame in pair.model.log.frames if frame["kind"] == "data"]
    assert max(sizes) == min(payload, 4 + 3 + 200) <= LINK_PAYLOAD_MAX
    received = pair.client_log.of(events.Notification)
    assert len(received) > 50
    assert all(event.data == bytes(200) for event in received)


def test_a_buffer_is_taken_until_its_packet_has_left() -> None:
    pair = Pair()
    for _ in range(TRANSMIT_BUFFERS):
        pair.server.handle(commands.Notify(0, READABLE, b"x"))
    with pytest.raises(HedgerowError, match="AIR_BUFFER"):
        pair.server.handle(commands.Notify(0, READABLE, b"x"))
    pair.run(0.5)
    assert pair.server_log.of(events.Credits)[-1].completed == TRANSMIT_BUFFERS
    pair.server.handle(commands.Notify(0, READABLE, b"x"))


def test_a_receiver_without_room_holds_up_the_sender_and_loses_nothing() -> None:
    pair = Pair()
    pair.client_log.has_room = False
    for number in range(10):
        pair.server.handle(commands.Notify(0, READABLE, bytes([number])))
    pair.run(5.0)
    assert not pair.client_log.events
    pair.client_log.has_room = True
    pair.run(1.0)
    got = [event.data[0] for event in pair.client_log.of(events.Notification)]
    assert got == list(range(10))


def test_disconnect_reaches_both_sides_with_their_reasons() -> None:
    pair = Pair()
    pair.client.handle(commands.Disconnect(0))
    pair.run(0.1)
    assert [event.reason for event in pair.client_log.of(events.PeripheralDisconnected)] == [REASON_LOCAL]
    assert [event.reason for event in pair.server_log.of(events.CentralDisconnected)] == [REASON_REMOTE]
    assert pair.model.counters.disconnections == 1


def test_a_silent_peer_is_noticed_after_the_supervision_timeout() -> None:
    pair = Pair()
    pair.server.leave(orderly=False)
    pair.run(1.9)
    assert not pair.client_log.events
    pair.run(0.2)
    assert [event.reason for event in pair.client_log.of(events.PeripheralDisconnected)] == [REASON_TIMEOUT]
    assert not pair.server_log.events


def test_a_link_out_of_reach_ends_on_both_sides_and_a_short_gap_does_not_end_it() -> None:
    pair = Pair()
    pair.model.medium.set_reach(address(1), address(2), False)
    pair.run(1.5)
    pair.model.medium.set_reach(address(1), address(2), None)
    pair.run(5.0)
    assert not pair.client_log.events
    pair.model.medium.set_reach(address(1), address(2), False)
    pair.run(2.1)
    assert len(pair.client_log.of(events.PeripheralDisconnected)) == 1
    assert len(pair.server_log.of(events.CentralDisconnected)) == 1


def test_a_link_that_never_had_an_event_was_not_established() -> None:
    model = AirModel(seed=17, loss=0.0)
    peripheral, _ = join(model, 1)
    central, log = join(model, 2)
    peripheral.handle(advertise(b"x"))
    central.handle(connect(1))
    while not model.counters.connections:
        model.step(model.next_time() or 0)
    model.medium.enabled = False
    model.step(model.timeline.now + SECOND)
    assert [event.reason for event in log.of(events.PeripheralDisconnected)] == [REASON_NOT_ESTABLISHED]


def test_an_orderly_switch_off_tells_the_peer_at_once() -> None:
    pair = Pair()
    pair.server.handle(commands.Bye())
    assert [event.reason for event in pair.client_log.of(events.PeripheralDisconnected)] == [REASON_REMOTE]


def test_a_reboot_under_the_same_address_replaces_the_old_radio() -> None:
    pair = Pair()
    again, log = join(pair.model, 1)
    again.handle(advertise(b"back"))
    pair.run(3.0)
    assert len(pair.client_log.of(events.PeripheralDisconnected)) == 1
    pair.client.handle(connect(1))
    pair.run(1.0)
    assert len(log.of(events.CentralConnected)) == 1
    assert set(pair.model.hosts) == {address(1), address(2)}


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (advertise(bytes(32)), "AIR_PARAMETER"),
        (advertise(b"", interval_ms=19), "AIR_PARAMETER"),
        (advertise(b"", kind=1), "AIR_PARAMETER"),
        (scan(30, 31), "AIR_PARAMETER"),
        (connect(1, interval_ms=7), "AIR_PARAMETER"),
        (connect(1, supervision_ms=99), "AIR_PARAMETER"),
        (commands.Configure(22, b""), "AIR_PARAMETER"),
        (commands.Configure(100, bytes(32)), "AIR_PARAMETER"),
        (commands.Notify(0, 14, bytes(513)), "AIR_PARAMETER"),
        (commands.Write(0, 12, 9, b""), "AIR_PARAMETER"),
        (hello(1), "AIR_MESSAGE_UNEXPECTED"),
    ],
)
def test_what_cannot_be_obeyed_is_refused_by_code_and_changes_nothing(command: Message, code: str) -> None:
    model = AirModel()
    host, log = join(model, 1)
    before = (host.mtu, host.name, host.advertiser, host.scanner, host.initiator, host._taken)
    with pytest.raises(HedgerowError) as caught:
        host.handle(command)
    assert caught.value.code == code
    assert (host.mtu, host.name, host.advertiser, host.scanner, host.initiator, host._taken) == before
    assert not log.events


def test_a_thousand_radios_in_virtual_time() -> None:
    model = AirModel(seed=18)
    for number in range(1000):
        raw = bytes((0xC0, 0, 0, 0, number >> 8, number & 255))
        greeting = hello(0)
        greeting.address = raw
        host = model.join(greeting, _Deaf())
        model.medium.place(host.address, 50.0 * (number % 32), 50.0 * (number // 32))
        host.handle(advertise(bytes(20), interval_ms=1000))
        if number % 50 == 0:
            host.handle(scan(60, 30))
    model.step(2 * SECOND)
    assert 1800 <= model.counters.beacons <= 2000
    assert model.counters.reports == 0


class _Deaf:
    def emit(self, event: object) -> None:
        raise AssertionError(f"nobody is in reach, and yet {event}")

    def ready(self) -> bool:
        return True

    def report_room(self) -> bool:
        return True
