"""Advertising, scanning and initiating: the radio activity outside connections."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hedgerow_boards.air.limits import (
    ADV_DELAY_MAX_US,
    ADV_PDU_SPACING_US,
    BYTE_US,
    INITIATOR_WINDOW_US,
    INTER_FRAME_US,
    PACKET_OVERHEAD_BYTES,
)
from hedgerow_boards.air.medium import Transmission
from hedgerow_boards.air.messages import ADV_IND, ADV_NONCONN_IND, SCAN_RSP
from hedgerow_boards.air.scanning import airtime_us, event_us, open_channel
from hedgerow_boards.air.tally import NOT_LISTENING, OWN_TRANSMISSION
from hedgerow_boards.air.timeline import Timer

if TYPE_CHECKING:
    from hedgerow_boards.air.host import Host
    from hedgerow_boards.air.model import AirModel

_ADDRESS_BYTES = 6
_SCAN_REQ_US = (PACKET_OVERHEAD_BYTES + 2 * _ADDRESS_BYTES) * BYTE_US
_CONNECT_IND_US = 352


@dataclass
class Listening:
    """A receiver that opens `window_us` every `interval_us` on the next advertising channel."""

    start: int
    interval_us: int
    window_us: int

    def packet(self, sender: str, start: int, airtime: int) -> Transmission | None:
        """The packet of an advertising event that falls whole into a window, None if none does."""
        channel = open_channel(self.start, self.interval_us, self.window_us, start, airtime)
        at = start + channel * ADV_PDU_SPACING_US
        return Transmission(sender, channel, at, at + airtime) if channel >= 0 else None


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
    target: tuple[int, bytes]
    link_interval_us: int
    supervision_us: int
    timer: Timer | None = None

    def seeks(self, shown: tuple[int, bytes]) -> bool:
        """Whether a sender is the one; 2 and 3 are identities, of a public and a random kind."""
        return self.target[1] == shown[1] and not (self.target[0] ^ shown[0]) & 1

    @classmethod
    def towards(
        cls, target: tuple[int, bytes], now: int, link_interval_us: int, supervision_us: int
    ) -> "Initiator":
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
        self._airtime = airtime_us(len(adv_data))
        self._began = 0
        self._timer = self._model.timeline.after(self._delay(), self._begin)

    def _delay(self) -> int:
        return self._model.rng.randrange(ADV_DELAY_MAX_US + 1)

    def stop(self) -> None:
        self._timer.cancel()

    def _begin(self) -> None:
        timeline = self._model.timeline
        self._began = timeline.now
        self._model.medium.transmit(self._host.address, self._began, self._airtime)
        self._model.event_advertised(self._host, self.kind, self._adv_data, self._airtime)
        self._timer = timeline.at(self._began + event_us(self._airtime), self._end)

    def _end(self) -> None:
        """Decide who heard the event; a connection request ends advertising."""
        self._timer = self._model.timeline.at(self._began + self._interval_us + self._delay(), self._begin)
        asking: list[Host] = []
        for host in list(self._model.listeners.values()):
            level = self._level_at(host)
            if not level:
                continue
            if host.initiator:
                if host.initiator.seeks(self._host.shown) and self._accept(host):
                    return
            elif host.scanner:
                self._report(host, self.kind, level, self._adv_data)
                if host.scanner.active and self.kind != ADV_NONCONN_IND:
                    asking.append(host)
        if asking:
            self._respond(self._model.rng.choice(asking))

    def _level_at(self, host: "Host") -> int:
        """dBm at which a listening host received the event that has ended, 0 if it did not."""
        model, sender = self._model, self._host.address
        listening = host.initiator or host.scanner
        if host is self._host or not listening or not model.medium.reaches(sender, host.address):
            return 0
        packet = listening.packet(sender, self._began, self._airtime)
        if packet is None:
            verdict = NOT_LISTENING
        elif host.is_busy(packet):
            verdict = OWN_TRANSMISSION
        else:
            verdict = model.medium.receives(packet, host.address)
        return verdict if verdict < 0 else model.missed(host, verdict)

    def _report(self, host: "Host", adv_type: int, level: int, data: bytes) -> None:
        if host.scanner and not host.scanner.is_repeat(self._host.address, adv_type, data):
            self._model.report(self._host.address, host, adv_type, level, data)

    def _respond(self, host: "Host") -> None:
        """Answer the one scan request that got through; rivals' back-off keeps the others silent."""
        model = self._model
        airtime = (PACKET_OVERHEAD_BYTES + _ADDRESS_BYTES + len(self.response)) * BYTE_US
        if not model.passes(host, self._host, _SCAN_REQ_US):
            return
        level = model.passes(self._host, host, airtime)
        if not level:
            return
        now = model.timeline.now
        self._host.busy = (now, now + _SCAN_REQ_US + 2 * INTER_FRAME_US + airtime)
        self._report(host, SCAN_RSP, level, self.response)

    def _accept(self, central: "Host") -> bool:
        """Take a connection request, if this kind allows one, both have room, and it is not lost."""
        host = self._host
        if self.kind != ADV_IND or not host.has_room() or not central.has_room() or not host.ready():
            return False
        if any(bearer.peer.host is host for bearer in central.links.values()):
            return False
        if not self._model.passes(central, host, _CONNECT_IND_US):
            return False
        self._model.connect(central, host)
        return True
