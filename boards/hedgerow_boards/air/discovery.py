"""Advertising, scanning and initiating: the radio activity outside connections."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hedgerow_boards.air.limits import (
    ADV_DELAY_MAX_US,
    ADV_PDU_SPACING_US,
    ADVERTISING_CHANNELS,
    BYTE_US,
    INITIATOR_WINDOW_US,
    INTER_FRAME_US,
    PACKET_OVERHEAD_BYTES,
)
from hedgerow_boards.air.medium import Transmission
from hedgerow_boards.air.messages import ADV_IND, ADV_NONCONN_IND, SCAN_RSP
from hedgerow_boards.air.timeline import Timer

if TYPE_CHECKING:
    from hedgerow_boards.air.host import Host
    from hedgerow_boards.air.model import AirModel

_ADDRESS_BYTES = 6
_SCAN_REQ_US = (PACKET_OVERHEAD_BYTES + 2 * _ADDRESS_BYTES) * BYTE_US


@dataclass
class Listening:
    """A receiver that opens `window_us` every `interval_us` on the next advertising channel."""

    start: int
    interval_us: int
    window_us: int

    def hears(self, packet: Transmission) -> bool:
        """Whether the window on the packet's channel is open from its first to its last bit."""
        turn, offset = divmod(packet.start - self.start, self.interval_us)
        return (
            turn >= 0
            and packet.channel == ADVERTISING_CHANNELS[turn % 3]
            and offset + packet.end - packet.start <= self.window_us
        )


@dataclass
class Scanner(Listening):
    active: bool
    filter_duplicates: bool
    timer: Timer | None = None
    _last: dict[tuple[str, bool], bytes] = field(default_factory=dict)

    def is_repeat(self, sender: str, adv_type: int, data: bytes) -> bool:
        """Whether a filtering controller has already reported this payload of this sender."""
        if not self.filter_duplicates:
            return False
        key = (sender, adv_type == SCAN_RSP)
        if self._last.get(key) == data:
            return True
        self._last[key] = data
        return False


@dataclass
class Initiator(Listening):
    target: str
    link_interval_us: int
    supervision_us: int
    timer: Timer | None = None

    @classmethod
    def towards(cls, target: str, now: int, link_interval_us: int, supervision_us: int) -> "Initiator":
        return cls(now, INITIATOR_WINDOW_US, INITIATOR_WINDOW_US, target, link_interval_us, supervision_us)


class Advertiser:
    """Puts one advertising event on the air every interval plus 0 to 10 ms (Vol 6 Part B 4.4.2.2)."""

    def __init__(self, host: "Host", kind: int, interval_us: int, adv_data: bytes, response: bytes) -> None:
        self.kind = kind
        self.response = response
        self._host = host
        self._model: AirModel = host.model
        self._interval_us = interval_us
        self._adv_data = adv_data
        self._airtime = (PACKET_OVERHEAD_BYTES + _ADDRESS_BYTES + len(adv_data)) * BYTE_US
        self._packets: list[Transmission] = []
        self._timer = self._model.timeline.after(self._delay(), self._begin)

    def _delay(self) -> int:
        return self._model.rng.randrange(ADV_DELAY_MAX_US + 1)

    def stop(self) -> None:
        self._timer.cancel()

    def _begin(self) -> None:
        timeline, medium = self._model.timeline, self._model.medium
        self._packets = []
        at = timeline.now
        for channel in ADVERTISING_CHANNELS:
            packet = Transmission(self._host.address, channel, at, at + self._airtime)
            self._packets.append(packet)
            medium.transmit(packet)
            at += ADV_PDU_SPACING_US
        self._model.event_advertised(self._host.address, self.kind, self._adv_data)
        self._timer = timeline.at(self._packets[-1].end, self._end)

    def _end(self) -> None:
        """Decide who heard the event; a connection request ends advertising."""
        began = self._packets[0].start
        self._timer = self._model.timeline.at(began + self._interval_us + self._delay(), self._begin)
        asking: list[Host] = []
        for host in list(self._model.listeners.values()):
            if not self._heard_by(host):
                continue
            if host.initiator:
                if host.initiator.target == self._host.address and self._accept(host):
                    return
            elif host.scanner:
                self._report(host, self.kind, self._adv_data)
                if host.scanner.active and self.kind != ADV_NONCONN_IND:
                    asking.append(host)
        if asking:
            self._respond(self._model.rng.choice(asking))

    def _heard_by(self, host: "Host") -> bool:
        if host is self._host or not self._model.medium.reaches(self._host.address, host.address):
            return False
        listening = host.initiator or host.scanner
        for packet in self._packets:
            if listening and listening.hears(packet) and not host.is_busy(packet):
                return self._model.medium.receives(packet, host.address)
        return False

    def _report(self, host: "Host", adv_type: int, data: bytes) -> None:
        if host.scanner and not host.scanner.is_repeat(self._host.address, adv_type, data):
            self._model.report(self._host.address, host, adv_type, data)

    def _respond(self, host: "Host") -> None:
        """Answer the one scan request that got through; rivals' back-off keeps the others silent."""
        medium = self._model.medium
        if medium.loses() or medium.loses():
            return
        size = PACKET_OVERHEAD_BYTES + _ADDRESS_BYTES + len(self.response)
        ends = _SCAN_REQ_US + 2 * INTER_FRAME_US + size * BYTE_US
        now = self._model.timeline.now
        self._host.busy = (now, now + ends)
        self._report(host, SCAN_RSP, self.response)

    def _accept(self, central: "Host") -> bool:
        """Take a connection request, if this kind allows one, both have room, and it is not lost."""
        host = self._host
        if self.kind != ADV_IND or not host.has_room() or not central.has_room() or not host.ready():
            return False
        if any(bearer.peer.host is host for bearer in central.links.values()):
            return False
        if self._model.medium.loses():
            return False
        self._model.connect(central, host)
        return True
