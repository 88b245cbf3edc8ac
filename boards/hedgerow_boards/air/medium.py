"""Who hears whom: positions, explicit reachability, chance loss and collisions."""

import math
import random
from collections import deque
from typing import NamedTuple

from hedgerow_boards.air.framelog import Counters

_RSSI_AT_1M = -45.0
_PATH_LOSS_EXPONENT = 2.5
_TRANSMISSIONS_KEPT_US = 20_000


class Transmission(NamedTuple):
    sender: str
    channel: int
    start: int
    end: int


class Medium:
    """The space between radios. Addresses are texts like `c0:00:00:00:00:01`; distances are metres.

    A receiver in range gets a packet unless another sender that it can hear overlaps it on the same
    channel, or chance (`loss`, 0 to 1, per packet and receiver) takes it.
    """

    def __init__(self, rng: random.Random, counters: Counters, loss: float, range_m: float) -> None:
        self.enabled = True
        self.loss = loss
        self.range_m = range_m
        self._rng = rng
        self._counters = counters
        self._positions: dict[str, tuple[float, float]] = {}
        self._overrides: dict[tuple[str, str], bool] = {}
        self._recent: deque[Transmission] = deque()

    def place(self, address: str, x: float, y: float) -> None:
        self._positions[address] = (x, y)

    def set_reach(self, a: str, b: str, heard: bool | None) -> None:
        """Let a and b hear each other or not, whatever their distance; None goes back to distance."""
        for pair in ((a, b), (b, a)):
            if heard is None:
                self._overrides.pop(pair, None)
            else:
                self._overrides[pair] = heard

    def _distance(self, a: str, b: str) -> float:
        return math.dist(self._positions.get(a, (0.0, 0.0)), self._positions.get(b, (0.0, 0.0)))

    def reaches(self, sender: str, receiver: str) -> bool:
        if not self.enabled:
            return False
        override = self._overrides.get((sender, receiver))
        return self._distance(sender, receiver) <= self.range_m if override is None else override

    def rssi(self, sender: str, receiver: str) -> int:
        """dBm, by log-distance path loss with 2 dB of noise."""
        distance = max(1.0, self._distance(sender, receiver))
        level = _RSSI_AT_1M - 10 * _PATH_LOSS_EXPONENT * math.log10(distance) + self._rng.gauss(0, 2)
        return max(-105, min(-20, round(level)))

    def transmit(self, transmission: Transmission) -> None:
        recent = self._recent
        while recent and recent[0].end < transmission.start - _TRANSMISSIONS_KEPT_US:
            recent.popleft()
        recent.append(transmission)

    def receives(self, packet: Transmission, receiver: str) -> bool:
        """Whether a listening receiver in reach gets this packet; ask after the packet's end."""
        for other in self._recent:
            if other.start >= packet.end or other.end <= packet.start:
                continue
            deaf = other.sender == receiver
            rival = (
                other.channel == packet.channel
                and other.sender != packet.sender
                and self.reaches(other.sender, receiver)
            )
            if deaf or rival:
                self._counters.collisions += rival and not deaf
                return False
        return not self.loses()

    def loses(self) -> bool:
        """Whether chance takes one packet."""
        if self._rng.random() < self.loss:
            self._counters.lost += 1
            return True
        return False
