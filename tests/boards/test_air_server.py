"""The air in real time: its socket, what it refuses, its log and its counters."""

import json
import random
import socket
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from air_rig import address, advertise, connect, hello, scan, wait_until

from hedgerow_boards.air import Air, commands, events
from hedgerow_boards.air.codec import FrameReader, decode_event, encode
from hedgerow_boards.air.limits import REPORT_BUFFERS
from hedgerow_boards.air.messages import Message


class Client:
    """A host over the socket, blocking; it acknowledges nothing by itself."""

    def __init__(self, path: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.connect(path)
        self.socket.settimeout(10.0)
        self.received: list[Message] = []
        self.pokes = 0
        self._reader = FrameReader()

    def send(self, *messages: Message) -> None:
        self.socket.sendall(b"".join(encode(message) for message in messages))

    def read(self) -> bool:
        """Take in what comes next; False when the air has closed the socket."""
        try:
            data = self.socket.recv(65536)
        except ConnectionResetError:
            return False
        for body in self._reader.feed(data):
            if body:
                self.received.append(decode_event(body))
            else:
                self.pokes += 1
        return bool(data)

    def read_until(self, kind: type[Message]) -> Message:
        while True:
            for event in self.received:
                if isinstance(event, kind):
                    self.received.remove(event)
                    return event
            assert self.read()

    def close(self) -> None:
        self.socket.close()


@pytest.fixture
def clients(tmp_path: Path) -> Iterator[tuple[Air, list[Client]]]:
    path = str(tmp_path / "air")
    with Air(path, seed=1, loss=0.0, log=tmp_path / "frames.jsonl") as air:
        made = [Client(path) for _ in range(2)]
        yield air, made
        for client in made:
            client.close()


def test_two_clients_hear_connect_and_talk(clients: tuple[Air, list[Client]]) -> None:
    air, (peripheral, central) = clients
    peripheral.send(hello(1), advertise(b"here"))
    central.send(hello(2), scan())
    heard = central.read_until(events.ScanResult)
    assert isinstance(heard, events.ScanResult)
    assert heard.data == b"here"
    central.send(connect(1))
    central.read_until(events.PeripheralConnected)
    peripheral.read_until(events.CentralConnected)
    central.send(commands.ExchangeMtu(0))
    assert peripheral.read_until(events.MtuExchanged) == events.MtuExchanged(0, 247)
    peripheral.close()
    central.read_until(events.PeripheralDisconnected)
    assert air.counters.disconnections == 1


@pytest.mark.parametrize(
    "rubbish",
    [
        b"\xff\xff",
        b"\x01\x00\x00",
        b"\x01\x00\x63",
        b"\x03\x00\x01\x01\x00",
        encode(commands.StopScan()),
        encode(hello(1)) * 2,
        encode(hello(1, mtu=9000)),
        encode(hello(1, connections=0)),
        encode(hello(1)) + encode(commands.Services(b"\0\0")),
        encode(hello(1)) + encode(advertise(bytes(40))),
    ],
)
def test_a_client_that_breaks_the_protocol_is_closed_and_nobody_else_notices(
    clients: tuple[Air, list[Client]], rubbish: bytes
) -> None:
    air, (bad, good) = clients
    good.send(hello(2), scan())
    bad.socket.sendall(rubbish)
    while bad.read():
        pass
    assert air.counters.refused == 1
    assert air.frames[-1]["kind"] == "refused"
    later = Client(air.path)
    later.send(hello(3), advertise(b"still"))
    assert good.read_until(events.ScanResult)
    later.close()


def test_random_bytes_never_stop_the_air(clients: tuple[Air, list[Client]]) -> None:
    air, (peripheral, central) = clients
    rng = random.Random(3)
    for number in range(100):
        client = Client(air.path)
        greeting = encode(hello(9)) if number % 2 else b""
        try:
            client.socket.sendall(greeting + rng.randbytes(rng.randrange(1, 300)))
        except (BrokenPipeError, ConnectionResetError):
            pass
        client.close()
    peripheral.send(hello(1), advertise(b"here"))
    central.send(hello(2), scan())
    assert central.read_until(events.ScanResult)


def test_no_more_reports_than_buffers_until_the_ring_is_freed(clients: tuple[Air, list[Client]]) -> None:
    air, (peripheral, slow) = clients
    greeting = hello(2)
    greeting.slots, greeting.slot_size = 32, 96
    slow.send(greeting, scan())
    peripheral.send(hello(1), advertise(b"x", interval_ms=20))
    wait_until(lambda: air.counters.reports_dropped > 5)
    while slow.pokes < 1:
        slow.read()
    assert len(slow.received) == air.counters.reports == REPORT_BUFFERS
    slow.send(commands.Ack(REPORT_BUFFERS))
    wait_until(lambda: air.counters.reports > REPORT_BUFFERS)


def test_an_ack_for_what_was_not_sent_is_refused(clients: tuple[Air, list[Client]]) -> None:
    air, (client, _) = clients
    greeting = hello(1)
    greeting.slots, greeting.slot_size = 32, 96
    client.send(greeting, commands.Ack(1))
    while client.read():
        pass
    assert air.frames[-1]["code"] == "AIR_ACK"


def test_switched_off_nothing_is_delivered(clients: tuple[Air, list[Client]]) -> None:
    air, (peripheral, central) = clients
    air.enabled = False
    peripheral.send(hello(1), advertise(b"here", interval_ms=20))
    central.send(hello(2), scan(active=1), connect(1))
    central.read_until(events.PeripheralDisconnected)
    assert not [event for event in central.received if not isinstance(event, events.ScanDone)]
    assert air.counters.beacons > 10
    assert (air.counters.reports, air.counters.connections) == (0, 0)


def test_blocked_radios_do_not_hear_each_other(clients: tuple[Air, list[Client]]) -> None:
    air, (peripheral, central) = clients
    air.block(address(1), address(2))
    peripheral.send(hello(1), advertise(b"here", interval_ms=20))
    central.send(hello(2), scan())
    wait_until(lambda: air.counters.beacons > 10)
    assert air.counters.reports == 0
    air.unblock(address(1), address(2))
    assert central.read_until(events.ScanResult)


def test_counters_are_what_the_frame_log_holds(clients: tuple[Air, list[Client]], tmp_path: Path) -> None:
    air, (peripheral, central) = clients
    peripheral.send(hello(1), advertise(b"here", interval_ms=20))
    central.send(hello(2), scan())
    wait_until(lambda: air.counters.reports > 10)
    central.send(connect(1))
    central.read_until(events.PeripheralConnected)
    central.send(commands.DiscoverServices(0, b""))
    central.read_until(events.ServiceDone)
    central.send(commands.Disconnect(0))
    central.read_until(events.PeripheralDisconnected)
    air.stop()
    frames = [json.loads(line) for line in (tmp_path / "frames.jsonl").read_text().splitlines()]
    assert frames == air.frames
    kinds = Counter(frame["kind"] for frame in frames)
    counters = air.counters
    assert kinds == {
        "adv": counters.beacons,
        "report": counters.reports,
        "connect": counters.connections,
        "disconnect": counters.disconnections,
        "data": counters.gatt_packets,
        "stats": 2,
    }
    assert counters.connections == counters.disconnections == 1
    data = [frame["data"] for frame in frames if frame["kind"] == "data"]
    assert sum(len(text) // 2 for text in data) == counters.gatt_bytes > 0
    assert {frame["data"] for frame in frames if frame["kind"] == "adv"} == {b"here".hex()}


def test_an_air_can_follow_an_air_on_the_same_path(tmp_path: Path) -> None:
    path = str(tmp_path / "air")
    for seed in range(2):
        with Air(path, seed=seed) as air:
            client = Client(path)
            client.send(hello(1), advertise(b"x"))
            wait_until(lambda air=air: air.counters.beacons)  # type: ignore[misc]
        assert not client.read()
        client.close()
    assert not Path(path).exists()
    with pytest.raises(OSError, match="too long|No such"):
        Air(str(tmp_path / "missing" / "air")).start()
