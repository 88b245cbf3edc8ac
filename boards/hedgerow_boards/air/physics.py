"""The radio's physics, for the air in real time and in virtual time alike: levels, errors, collisions.

Levels are dBm, distances metres, air times microseconds; at 1 Mbit/s a microsecond is a bit.
"""

import math
import random
from collections.abc import Callable, Sequence
from functools import cache
from statistics import NormalDist
from typing import NamedTuple

# What became of one packet at one receiver; a level (always below 0) where it was received.
WEAK = 1
COLLISION = 2
INTERFERENCE = 3
CHANCE = 4

RSSI_MIN = -105
RSSI_MAX = -20
_REFERENCE_BER = 0.001  # what sensitivity is defined by: Core 5.4 Vol 6 Part A 4.1
_CERTAIN_DB = 4.0  # so far above the sensitivity every packet gets through, so far below none
FADES_BITS = 12
STEPS_PER_DB = 32  # of a table of errors
_SHADOW_SIGMAS = 2.5  # shadowing is cut off there, so that a radius holds all that can be heard
_LEAST_SHARE = 0.005  # a pair that would get less of its packets through is out of reach
_FULL_AIRTIME_US = 376
_WORD = (1 << 64) - 1


class Radio(NamedTuple):
    """Parameters of the model.

    level_1m: mean level at 1 m. exponent: of the path loss with distance (2 in free space, 2.5 to 4 in
    buildings; Rappaport, Wireless Communications, table 4.2). sensitivity: level at which one bit in a
    thousand is wrong, which takes 30.8 % of the packets with 37 bytes (ESP32 data sheet: -94 dBm; ESP32-C3:
    -97 dBm). shadowing_db: standard deviation of what is in the way of a pair, fixed for it, both ways;
    asymmetry_db: of what differs between its directions (antennas, transmit powers). fading_db: of each
    packet. capture_db: by how much the stronger of two overlapping packets must exceed the sum of the
    others to survive. loss: chance, 0 to 1, that a packet is lost whatever its level. range_m: where a
    receiver hears nothing any more; None leaves that to the levels.
    """

    level_1m: float = -45.0
    exponent: float = 2.5
    sensitivity: float = -94.0
    shadowing_db: float = 0.0
    asymmetry_db: float = 0.0
    fading_db: float = 2.0
    capture_db: float = 8.0
    loss: float = 0.0
    range_m: float | None = None

    @classmethod
    def disc(cls, metres: float, loss: float = 0.0) -> "Radio":
        """Everything within `metres` is heard, but for `loss` and collisions, and nothing beyond."""
        return cls(loss=loss, range_m=metres)

    @classmethod
    def reaching(cls, metres: float) -> "Radio":
        """Obstacles and unequal directions; without shadowing the sensitivity is reached at `metres`."""
        return cls(sensitivity=cls().mean_level(metres), shadowing_db=4.0, asymmetry_db=2.0)

    def mean_level(self, distance: float) -> float:
        """Log-distance path loss, without shadowing; as at 1 m below that."""
        return self.level_1m - 10 * self.exponent * math.log10(max(1.0, distance))

    def link_level(self, seed: int, sender: int, receiver: int, distance: float) -> float:
        """Mean level of a pair in one direction; a node is any integer, the same always fares the same."""
        return self.mean_level(distance) + self.shadow(seed, sender, receiver)

    def shadow(self, seed: int, sender: int, receiver: int) -> float:
        """What a pair's level has over the mean in this direction, wherever the two are."""
        level = 0.0
        if self.shadowing_db:
            low, high = min(sender, receiver), max(sender, receiver)
            level += self.shadowing_db * _normal(seed, low, high, 0)
        if self.asymmetry_db:
            level += self.asymmetry_db * _normal(seed, sender, receiver, 1)
        return level

    def distance_of(self, level: float) -> float:
        """Beyond this distance no pair has a mean level as high as `level`, whatever its shadowing."""
        if self.range_m is not None:
            return self.range_m
        best = level - _SHADOW_SIGMAS * (self.shadowing_db + self.asymmetry_db)
        return float(max(1.0, 10 ** ((self.level_1m - best) / (10 * self.exponent))))

    @property
    def floor(self) -> float:
        """Mean level below which a pair is out of reach: less than one packet in 200 would get through."""
        return _floor(self.sensitivity, self.fading_db)

    @property
    def rival_floor(self) -> float:
        """Mean level below which a packet disturbs no other, beside fading."""
        return self.sensitivity - _CERTAIN_DB - self.capture_db

    def reaches(self, level: float, distance: float) -> bool:
        """Whether a packet of this mean level from there can be heard at all."""
        return level >= self.floor and (self.range_m is None or distance <= self.range_m)

    def disturbs(self, level: float, distance: float) -> bool:
        """Whether a packet of this mean level from there can spoil another."""
        return level >= self.rival_floor and (self.range_m is None or distance <= self.range_m)


def _normal(*words: int) -> float:
    """A standard normal number, cut off, that the words alone decide (mixed as in Steele's SplitMix64)."""
    mixed = 0x9E3779B97F4A7C15
    for word in words:
        mixed = (mixed ^ (word & _WORD)) + 0x9E3779B97F4A7C15 & _WORD
        mixed = (mixed ^ mixed >> 30) * 0xBF58476D1CE4E5B9 & _WORD
        mixed = (mixed ^ mixed >> 27) * 0x94D049BB133111EB & _WORD
        mixed ^= mixed >> 31
    value = _STANDARD.inv_cdf(((mixed >> 11) + 0.5) / (1 << 53))
    return max(-_SHADOW_SIGMAS, min(_SHADOW_SIGMAS, value))


_STANDARD = NormalDist()


def packet_error(margin: float, airtime: int) -> float:
    """Chance that a packet has a wrong bit, `margin` dB above the sensitivity.

    The error rate of bits is that of non-coherent binary FSK, exp(-Eb/2N0)/2 (Proakis, Digital
    Communications, 4.5), through one in a thousand at the sensitivity.
    """
    wrong = 0.5 * math.exp(math.log(2 * _REFERENCE_BER) * 10 ** (margin / 10))
    return float(1.0 - (1.0 - wrong) ** airtime)


@cache
def error_table(airtime: int) -> tuple[float, ...]:
    """packet_error() in steps from the lowest margin at which a packet may get through to the highest at
    which it may not."""
    steps = range(round(2 * _CERTAIN_DB * STEPS_PER_DB) + 2)
    return tuple(packet_error(step / STEPS_PER_DB - _CERTAIN_DB, airtime) for step in steps)


@cache
def _floor(sensitivity: float, fading_db: float) -> float:
    """The lowest mean level, in steps of a tenth, at which fading lets one packet in 200 through."""
    fades = fade_table(fading_db)[16::32]
    margin = _CERTAIN_DB
    while True:
        share = sum(1 - packet_error(margin + fade, _FULL_AIRTIME_US) for fade in fades) / len(fades)
        if share < _LEAST_SHARE:
            return sensitivity + margin + 0.1
        margin -= 0.1


@cache
def fade_table(fading_db: float) -> tuple[float, ...]:
    """Equally likely levels of fading, in dB, ascending."""
    if not fading_db:
        return (0.0,) * (1 << FADES_BITS)
    spread = NormalDist(0.0, fading_db)
    return tuple(spread.inv_cdf((place + 0.5) / (1 << FADES_BITS)) for place in range(1 << FADES_BITS))


def captures(level: float, rivals: Sequence[float], capture_db: float) -> bool:
    """Whether a packet of this level survives the others that overlap it, by the sum of their powers."""
    power = sum(10 ** (rival / 10) for rival in rivals)
    return level - 10 * math.log10(power) >= capture_db


def level_shown(level: float) -> int:
    """The level in dBm as a receiver reports it."""
    if level < RSSI_MIN:
        return RSSI_MIN
    return round(level) if level < RSSI_MAX else RSSI_MAX


Reception = Callable[[float, int, Sequence[float], float | None, float], int]


def reception(radio: Radio, rng: random.Random) -> Reception:
    """The function that decides one packet at one receiver, who listens and does not transmit.

    It takes the packet's mean level, its air time, the mean levels of the packets that overlap it, the
    level of an interference burst over it, or None, and the chance of loss; it returns the level in dBm, or
    why the packet is lost.
    """
    fading = Fading.of(radio, rng)
    fades, bits, judge = fading.levels, fading.bits, fading.judge

    def receive(mean: float, airtime: int, rivals: Sequence[float], burst: float | None, loss: float) -> int:
        return judge(mean + fades[bits(FADES_BITS)], airtime, rivals, burst, loss)

    return receive


class Fading(NamedTuple):
    """The parts of reception(), for who decides many packets: a packet's level is its mean level and one of
    `levels`, that of `bits(FADES_BITS)`. From `sure` on it gets through unless something disturbs it, below
    `hopeless` it is weak; `judge` does the rest, with the level in place of the mean one."""

    levels: tuple[float, ...]
    bits: Callable[[int], int]
    sure: float
    hopeless: float
    judge: Reception

    @classmethod
    def of(cls, radio: Radio, rng: random.Random) -> "Fading":
        """As a radio's parameters say."""
        sure, hopeless = radio.sensitivity + _CERTAIN_DB, radio.sensitivity - _CERTAIN_DB
        return cls(fade_table(radio.fading_db), rng.getrandbits, sure, hopeless, _judge(radio, rng))


def _judge(radio: Radio, rng: random.Random) -> Reception:
    sensitivity, capture = radio.sensitivity, radio.capture_db
    sure, hopeless = sensitivity + _CERTAIN_DB, sensitivity - _CERTAIN_DB
    fades = fade_table(radio.fading_db)
    bits, chance = rng.getrandbits, rng.random
    tables: dict[int, tuple[float, ...]] = {}

    def judge(level: float, airtime: int, rivals: Sequence[float], burst: float | None, loss: float) -> int:
        if level < sure:
            if level < hopeless:
                return WEAK
            errors = tables.get(airtime) or tables.setdefault(airtime, error_table(airtime))
            # The error falls with the level; seldom does chance lie between what two steps have.
            place = int((level - hopeless) * STEPS_PER_DB)
            drawn = chance()
            if drawn < errors[place + 1]:
                return WEAK
            if drawn < errors[place] and drawn < packet_error(level - sensitivity, airtime):
                return WEAK
        if rivals and not captures(level, [rival + fades[bits(FADES_BITS)] for rival in rivals], capture):
            return COLLISION
        if burst is not None and level < burst + capture:
            return INTERFERENCE
        if loss and chance() < loss:
            return CHANCE
        return level_shown(level)

    return judge
