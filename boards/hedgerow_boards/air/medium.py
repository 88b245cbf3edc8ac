"""The space between radios in real time: who hears whom, how strong, and what becomes of each packet."""

import math
import random
from collections import deque
from typing import NamedTuple

from hedgerow_boards.air.bursts import Band, Interference
from hedgerow_boards.air.limits import ADV_PDU_SPACING_US
from hedgerow_boards.air.physics import Radio, reception
from hedgerow_boards.air.scanning import event_us
from hedgerow_boards.air.tally import OWN_TRANSMISSION

_EVENTS_KEPT_US = 20_000
_LEVEL_FORCED = -60.0  # of a pair that is made to hear each other beyond the model's reach


class Transmission(NamedTuple):
    """One advertising packet; `channel` is 0 to 2 for 37 to 39."""

    sender: str
    channel: int
    start: int
    end: int


class _Pair(NamedTuple):
    level: float
    heard: bool
    disturbs: bool


class Medium:
    """Addresses are texts like `c0:00:00:00:00:01`; distances are metres. `loss` may be set at any time."""

    def __init__(
        self, rng: random.Random, seed: int, radio: Radio, sources: tuple[Interference, ...]
    ) -> None:
        self.enabled = True
        self.radio = radio
        self.loss = radio.loss
        self._seed = seed
        self._receive = reception(radio, rng)
        self._band = Band(seed, sources) if sources else None
        self._positions: dict[str, tuple[float, float]] = {}
        self._overrides: dict[tuple[str, str], bool] = {}
        self._pairs: dict[tuple[str, str], _Pair] = {}
        self._recent: deque[tuple[int, int, str]] = deque()  # start, air time, sender

    def place(self, address: str, x: float, y: float) -> None:
        self._positions[address] = (x, y)
        self._pairs = {}

    def set_reach(self, a: str, b: str, heard: bool | None) -> None:
        """Let a and b hear each other or not, whatever the model says; None leaves it to that again."""
        for pair in ((a, b), (b, a)):
            if heard is None:
                self._overrides.pop(pair, None)
            else:
                self._overrides[pair] = heard
        self._pairs = {}

    def position(self, address: str) -> tuple[float, float]:
        return self._positions.get(address, (0.0, 0.0))

    def _pair(self, sender: str, receiver: str) -> _Pair:
        pairs = self._pairs  # another thread may replace it: what is worked out is dropped then
        pair = pairs.get((sender, receiver))
        if pair is None:
            pair = pairs[sender, receiver] = self._work_out(sender, receiver)
        return pair

    def _work_out(self, sender: str, receiver: str) -> _Pair:
        radio = self.radio
        distance = math.dist(self.position(sender), self.position(receiver))
        level = radio.link_level(self._seed, _key(sender), _key(receiver), distance)
        override = self._overrides.get((sender, receiver))
        if override is not None:
            return _Pair(max(level, _LEVEL_FORCED), override, override)
        return _Pair(level, radio.reaches(level, distance), radio.disturbs(level, distance))

    def level(self, sender: str, receiver: str) -> float:
        """Mean dBm."""
        return self._pair(sender, receiver).level

    def reaches(self, sender: str, receiver: str) -> bool:
        """Whether a receiver may hear a sender at all."""
        return self.enabled and self._pair(sender, receiver).heard

    def transmit(self, sender: str, start: int, airtime: int) -> None:
        """An advertising event of three packets begins."""
        recent = self._recent
        while recent and recent[0][0] < start - _EVENTS_KEPT_US:
            recent.popleft()
        recent.append((start, airtime, sender))

    def receives(self, packet: Transmission, receiver: str) -> int:
        """What becomes of an advertising packet at a listening receiver in reach; ask after its end.

        The level in dBm, or a cause of loss (`physics`, `tally`), which is positive.
        """
        rivals = []
        for start, airtime, sender in self._recent:
            if sender == packet.sender:
                continue
            at = start + ADV_PDU_SPACING_US * packet.channel
            if sender == receiver:
                if start < packet.end and start + event_us(airtime) > packet.start:
                    return OWN_TRANSMISSION
            elif at < packet.end and at + airtime > packet.start:
                pair = self._pair(sender, receiver)
                if pair.disturbs:
                    rivals.append(pair.level)
        burst = None
        if self._band:
            place = self.position(receiver)
            burst = self._band.level(packet.channel, packet.start, packet.end, *place)
        level = self._pair(packet.sender, receiver).level
        return self._receive(level, packet.end - packet.start, rivals, burst, self.loss)

    def passes(self, sender: str, receiver: str, airtime: int) -> int:
        """The same for a packet that no other overlaps: of a link, or of an exchange within an event."""
        return self._receive(self._pair(sender, receiver).level, airtime, (), None, self.loss)


def _key(address: str) -> int:
    return int(address.replace(":", ""), 16)
