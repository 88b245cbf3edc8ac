"""The radio model: every host, the medium between them, and one timeline, without clock, thread or IO.

Time is in integer microseconds from 0. `step(until)` runs what is due; `next_time()` says when to call
it again. With the same seed, commands and times the same things happen.
"""

import random
from typing import Any

from hedgerow.errors import HedgerowError
from hedgerow_boards.air import charge, commands, events, tally
from hedgerow_boards.air.bearer import Bearer, Packet
from hedgerow_boards.air.bursts import Interference
from hedgerow_boards.air.faults import Faults
from hedgerow_boards.air.framelog import Counters, FrameLog
from hedgerow_boards.air.host import Host, HostSink
from hedgerow_boards.air.link import Link
from hedgerow_boards.air.medium import Medium
from hedgerow_boards.air.physics import CHANCE, COLLISION, INTERFERENCE, WEAK, Radio
from hedgerow_boards.air.tally import NO_BUFFER, Tally, frame_kind
from hedgerow_boards.air.timeline import EventQueue

_TOTALS = {COLLISION: "collisions", CHANCE: "lost", WEAK: "weak", INTERFERENCE: "interference"}


class AirModel:
    """`loss`: chance, 0 to 1, that a receiver within `range_m` metres loses a packet; or a whole `radio`.

    Statistics per radio start with its first Hello. While its host is away it is taken for asleep.
    """

    def __init__(
        self,
        *,
        seed: int = 0,
        loss: float = 0.02,
        range_m: float = 30.0,
        log: FrameLog | None = None,
        radio: Radio | None = None,
        interference: tuple[Interference, ...] = (),
    ) -> None:
        self.rng = random.Random(seed)
        self.timeline = EventQueue()
        self.counters: Counters = Counters()
        self.medium = Medium(self.rng, seed, radio or Radio.disc(range_m, loss), interference)
        self.log = log or FrameLog()
        self.hosts: dict[str, Host] = {}
        self.listeners: dict[str, Host] = {}
        self.tally = Tally()
        self.faults = Faults()
        self._nodes: dict[str, int] = {}

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
        self.tally.power(self.node(host.address), tally.ON, self.timeline.now)
        return host

    def left(self, host: Host) -> None:
        if self.hosts.get(host.address) is host:
            del self.hosts[host.address]
            self.tally.power(self.node(host.address), tally.ASLEEP, self.timeline.now)

    # Statistics

    def node(self, address: str) -> int:
        """Its number in the tally."""
        number = self._nodes.get(address)
        if number is None:
            number = self._nodes[address] = self.tally.add(charge.PROFILES["esp32"], self.timeline.now)
        return number

    def set_profile(self, address: str, name: str) -> None:
        """What current a radio's board draws; HedgerowError AIR_PARAMETER for a name that there is not."""
        self.tally.profiles[self.node(address)] = charge.profile(name)

    def set_power(self, address: str, state: str) -> None:
        """`on`, `sleep` or `off`: what the board does from now on, where the radio alone does not tell."""
        if state not in tally.STATES:
            raise HedgerowError("AIR_PARAMETER", f"power state {state!r}")
        self.tally.power(self.node(address), tally.STATES[state], self.timeline.now)

    def addresses(self) -> list[str]:
        """Of all radios that have ever been on."""
        return list(self._nodes)

    def stats(self, address: str) -> dict[str, Any]:
        """`Tally.report` of one radio; HedgerowError AIR_PARAMETER for one never seen."""
        if address not in self._nodes:
            raise HedgerowError("AIR_PARAMETER", f"no statistics of {address!r}")
        return self.tally.report(self._nodes[address], self.timeline.now)

    def log_stats(self) -> None:
        """Put every radio's statistics into the frame log."""
        for address in self._nodes:
            self.log.add(self.timeline.now, "stats", address, **self.stats(address))

    def missed(self, receiver: Host, cause: int) -> int:
        """Count a packet that a receiver lost; 0."""
        self.tally.lost[cause][self.node(receiver.address)] += 1
        total = _TOTALS.get(cause)
        if total:
            setattr(self.counters, total, getattr(self.counters, total) + 1)
        return 0

    def passes(self, sender: Host, receiver: Host, airtime: int) -> int:
        """dBm at which a packet that no other overlaps gets through, 0 if it does not; counted."""
        verdict = self.medium.passes(sender.address, receiver.address, airtime)
        return verdict if verdict < 0 else self.missed(receiver, verdict)

    def listens(self, host: Host) -> None:
        """Keep the set of listening hosts right after a host's scanner or initiator changed."""
        listening = host.initiator or host.scanner
        share = listening.window_us / listening.interval_us if listening else 0.0
        if self.hosts.get(host.address) is host:
            self.tally.listens(self.node(host.address), share, self.timeline.now)
        if host.scanner or host.initiator:
            self.listeners[host.address] = host
        elif self.listeners.get(host.address) is host:
            del self.listeners[host.address]

    def event_advertised(self, host: Host, kind: int, data: bytes, airtime: int) -> None:
        self.counters.beacons += 1
        self.tally.say(self.node(host.address), frame_kind(data), airtime)
        self.log.add(self.timeline.now, "adv", host.address, type=kind, data=data.hex())

    def report(self, sender: str, receiver: Host, adv_type: int, rssi: int, data: bytes) -> None:
        """Hand an advertising report to a host that has a free report buffer."""
        if self.faults.is_deaf(receiver.address):
            self.missed(receiver, tally.NOT_LISTENING)
            return
        if not receiver.report_room():
            self.counters.reports_dropped += 1
            self.missed(receiver, NO_BUFFER)
            return
        self.tally.heard[self.node(receiver.address)] += 1
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
        receiver.emit(events.ScanResult(*self.hosts[sender].shown, adv_type, rssi, data))

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
            self.tally.link(self.node(bearer.host.address), 1, self.timeline.now)
            bearer.host.link_made(bearer)

    def link_closed(self, link: Link, reason: int) -> None:
        self.counters.disconnections += 1
        for bearer in link.bearers:
            self.tally.link(self.node(bearer.host.address), -1, self.timeline.now)
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
        node = self.node(sender.host.address)
        self.tally.link_packets[node] += 1
        self.tally.link_bytes[node] += len(packet.data)
        self.log.add(
            self.timeline.now,
            "data",
            sender.host.address,
            to=sender.peer.host.address,
            data=packet.data.hex(),
        )
