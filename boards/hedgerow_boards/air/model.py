"""The radio model: every host, the medium between them, and one timeline, without clock, thread or IO.

Time is in integer microseconds from 0. `step(until)` runs what is due; `next_time()` says when to call
it again. With the same seed, commands and times the same things happen.
"""

import random

from hedgerow_boards.air import commands, events
from hedgerow_boards.air.bearer import Bearer, Packet
from hedgerow_boards.air.codec import address_bytes
from hedgerow_boards.air.framelog import Counters, FrameLog
from hedgerow_boards.air.host import Host, HostSink
from hedgerow_boards.air.link import Link
from hedgerow_boards.air.medium import Medium
from hedgerow_boards.air.timeline import EventQueue


class AirModel:
    """`loss`: chance, 0 to 1, that a packet is lost at a receiver within `range_m` metres."""

    def __init__(
        self, *, seed: int = 0, loss: float = 0.02, range_m: float = 30.0, log: FrameLog | None = None
    ) -> None:
        self.rng = random.Random(seed)
        self.timeline = EventQueue()
        self.counters = Counters()
        self.medium = Medium(self.rng, self.counters, loss, range_m)
        self.log = log or FrameLog()
        self.hosts: dict[str, Host] = {}
        self.listeners: dict[str, Host] = {}

    def step(self, until: int) -> None:
        self.timeline.step(until)

    def next_time(self) -> int | None:
        return self.timeline.next_time()

    def join(self, hello: commands.Hello, sink: HostSink) -> Host:
        """Switch a radio on. One that already uses the address is switched off, as a board that rebooted.

        Raises HedgerowError for a Hello that cannot be obeyed.
        """
        host = Host(self, hello, sink)
        former = self.hosts.get(host.address)
        if former:
            former.leave(orderly=False)
        self.hosts[host.address] = host
        return host

    def left(self, host: Host) -> None:
        if self.hosts.get(host.address) is host:
            del self.hosts[host.address]

    def listens(self, host: Host) -> None:
        """Keep the set of listening hosts right after a host's scanner or initiator changed."""
        if host.scanner or host.initiator:
            self.listeners[host.address] = host
        elif self.listeners.get(host.address) is host:
            del self.listeners[host.address]

    def event_advertised(self, sender: str, kind: int, data: bytes) -> None:
        self.counters.beacons += 1
        self.log.add(self.timeline.now, "adv", sender, type=kind, data=data.hex())

    def report(self, sender: str, receiver: Host, adv_type: int, data: bytes) -> None:
        """Hand an advertising report to a host that has a free report buffer."""
        if not receiver.report_room():
            self.counters.reports_dropped += 1
            return
        rssi = self.medium.rssi(sender, receiver.address)
        self.counters.reports += 1
        self.log.add(
            self.timeline.now,
            "report",
            sender,
            to=receiver.address,
            type=adv_type,
            rssi=rssi,
            data=data.hex(),
        )
        kind = self.hosts[sender].address_type
        receiver.emit(events.ScanResult(kind, address_bytes(sender), adv_type, rssi, data))

    def connect(self, central: Host, peripheral: Host) -> None:
        """Make the link that the central's initiator asked for."""
        initiator = central.initiator
        if initiator is None:
            raise ValueError(f"{central.address} is not connecting")
        link = Link(self, central, peripheral, initiator.link_interval_us, initiator.supervision_us)
        self.counters.connections += 1
        self.log.add(
            self.timeline.now,
            "connect",
            central.address,
            to=peripheral.address,
            interval_ms=link.interval_us / 1000,
        )
        for bearer in link.bearers:
            bearer.host.link_made(bearer)

    def link_closed(self, link: Link, reason: int) -> None:
        self.counters.disconnections += 1
        self.log.add(
            self.timeline.now,
            "disconnect",
            link.central.host.address,
            to=link.peripheral.host.address,
            reason=reason,
        )

    def data_passed(self, sender: Bearer, packet: Packet) -> None:
        self.counters.gatt_packets += 1
        self.counters.gatt_bytes += len(packet.data)
        self.log.add(
            self.timeline.now,
            "data",
            sender.host.address,
            to=sender.peer.host.address,
            data=packet.data.hex(),
        )
