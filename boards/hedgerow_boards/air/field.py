"""The air in virtual time, for thousands of nodes in one process.

Advertising, scanning, collisions and links go by the same functions as in the real-time model; nodes are
integers from 0, positions metres, times integer microseconds of the field's own clock.
"""

import math
import random
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from heapq import heappop, heappush
from typing import Any

from hedgerow_boards.air import charge, tally
from hedgerow_boards.air.bursts import Band, Interference
from hedgerow_boards.air.fieldlink import FieldLink, FieldLinks, Lost
from hedgerow_boards.air.limits import ADV_DELAY_MAX_US, ADV_PDU_SPACING_US
from hedgerow_boards.air.neighbours import Neighbours
from hedgerow_boards.air.physics import (
    FADES_BITS,
    RSSI_MAX,
    RSSI_MIN,
    STEPS_PER_DB,
    WEAK,
    Fading,
    Radio,
    error_table,
    level_shown,
    packet_error,
    reception,
)
from hedgerow_boards.air.scanning import airtime_us, event_us, open_channel
from hedgerow_boards.air.tally import NO_BUFFER, NOT_LISTENING, OWN_TRANSMISSION, Tally, frame_kind

#: (receiver, sender, level in dBm, payload, connectable); False: there was no buffer for it.
Heard = Callable[[int, int, int, bytes, bool], bool | None]
#: (sender, level in dBm, payload, connectable), and the answer, as in Heard.
Ear = Callable[[int, int, bytes, bool], bool | None]
_RECENT_US = 5_000
_SPAN_US = event_us(0)


class _Saying:
    """What a node says: a payload, for so many advertising events more."""

    __slots__ = (
        "airtime",
        "connectable",
        "done",
        "interval",
        "kind",
        "left",
        "node",
        "payload",
        "since",
        "start",
        "told",
    )

    def __init__(
        self,
        node: int,
        payload: bytes,
        events: int,
        interval: int,
        connectable: bool,
        done: Callable[[int], None] | None,
        kind: str,
    ) -> None:
        self.node = node
        self.payload = payload
        self.left = events
        self.interval = interval
        self.connectable = connectable
        self.done = done
        self.kind = kind
        self.airtime = airtime_us(len(payload))
        self.start = 0
        self.since = 0
        self.told: set[int] = set()  # who has heard it since then, and drops repeats


class Field:
    """Nodes at `positions`, all on, silent and deaf to begin with.

    `profile` (or `profiles`, one a node) names their current profile; `keys` are integers that stand for
    the nodes in the draw of shadowing, their numbers if not given; `kind` names a payload's kind for the
    statistics. For `repeats_us` after its first event a receiver drops repeats of a saying that it has
    heard, as a board's radio does; they are not counted either. Set `heard` before the first step. The
    same seed and calls give the same history.
    """

    def __init__(
        self,
        positions: Sequence[tuple[float, float]],
        *,
        seed: int = 0,
        radio: Radio | None = None,
        interference: Iterable[Interference] = (),
        profile: str = "esp32",
        profiles: Sequence[str] | None = None,
        keys: Sequence[int] | None = None,
        kind: Callable[[bytes], str] = frame_kind,
        repeats_us: int = 0,
    ) -> None:
        self.radio = radio or Radio.reaching(30.0)
        self.now = 0
        self.heard: Heard = lambda *_: None
        #: In place of `heard`, one function for each node, without its number.
        self.ears: Sequence[Ear] | None = None
        self.map = Neighbours(self.radio, seed, positions, keys)
        self.neighbours = self.map.lists
        self.rng = random.Random(f"field {seed}")
        sources = tuple(interference)
        self._band = Band(seed, sources) if sources else None
        count = len(positions)
        self.tally = Tally(charge.profile(name) for name in profiles or (profile,) * count)
        self._kind = kind
        self._repeats = repeats_us
        self._receive = reception(self.radio, self.rng)
        self._fading = Fading.of(self.radio, self.rng)
        self._random = self.rng.random
        self._heap: list[tuple[int, int, Callable[[Any], None], Any]] = []
        self._order = 0
        # (begun modulo three intervals, interval, length of the window, begun): times as small as can be.
        self._windows: list[tuple[int, int, int, int] | None] = [None] * count
        self._saying: list[_Saying | None] = [None] * count
        self._state = [tally.ON] * count
        self.busy_from = [0] * count
        self.busy_until = [0] * count
        self._recent: deque[tuple[int, int, int]] = deque()  # start, air time, node
        self.links = FieldLinks(self)

    # Time

    def at(self, time: int, action: Callable[[Any], None], argument: Any) -> None:
        """Call action(argument) then, or at once if that is past; equal times go in the order asked for."""
        self._order = order = self._order + 1
        heappush(self._heap, (time if time > self.now else self.now, order, action, argument))

    def next_time(self) -> int | None:
        """When something is due next, None if nothing is."""
        return self._heap[0][0] if self._heap else None

    def step(self, until: int) -> None:
        """Do all that is due up to and including `until`, which is now afterwards."""
        heap, pop = self._heap, heappop
        while heap and heap[0][0] <= until:
            self.now, _, action, argument = pop(heap)
            action(argument)
        self.now = max(self.now, until)

    # What a node does

    def say(
        self,
        node: int,
        payload: bytes,
        events: int = 3,
        interval_us: int = 100_000,
        connectable: bool = False,
        done: Callable[[int], None] | None = None,
    ) -> None:
        """Advertise for so many events, an interval and 0 to 10 ms apart, instead of what is said now.

        `done(node)` is called when the last event has ended; not if something else is said before, or the
        node is hushed. Ignored while the node is off or asleep.
        """
        if self._state[node] != tally.ON:
            return
        saying = _Saying(node, payload, events, interval_us, connectable, done, self._kind(payload))
        self._saying[node] = saying
        self.at(self.now + int(self._random() * (ADV_DELAY_MAX_US + 1)), self._begin, saying)

    def hush(self, node: int) -> None:
        """Say nothing more. An event that is on the air is still heard."""
        self._saying[node] = None

    def listen(self, node: int, window_us: int, interval_us: int = 30_000, phase: int | None = None) -> None:
        """Scan: a window each interval, on the three channels in turn, as if begun at `phase` (random if
        None). A window of 0 is no scan; one as long as the interval is always open."""
        if self._state[node] != tally.ON:
            return
        if window_us <= 0:
            window: tuple[int, int, int, int] | None = None
        else:
            begun = phase if phase is not None else self.now - int(self._random() * 3 * interval_us)
            window = (begun % (3 * interval_us), interval_us, min(window_us, interval_us), begun)
        self._windows[node] = window
        share = min(window_us, interval_us) / interval_us if window else 0.0
        self.tally.listens(node, share, self.now)

    def duty(self, node: int, percent: float, interval_us: int = 100_000) -> None:
        """Listen for that share of the time; nothing changes where it is what the node does already."""
        length = min(interval_us, round(interval_us * percent / 100))
        now = self._windows[node]
        if (now[1:3] if now else (interval_us, 0)) != (interval_us, length):
            self.listen(node, length, interval_us)

    def power(self, node: int, state: str) -> None:
        """`on`, `sleep` (deep sleep) or `off`; the last two end saying and listening."""
        new = tally.STATES[state]
        self.tally.power(node, new, self.now)
        if new != tally.ON:
            self._saying[node] = None
            self._windows[node] = None
            self.tally.listens(node, 0.0, self.now)
            self.links.left(node)
        self._state[node] = new

    def is_on(self, node: int) -> bool:
        return self._state[node] == tally.ON

    def connect(
        self,
        central: int,
        peripheral: int,
        made: Callable[[FieldLink], None],
        lost: Lost,
        timeout_us: int = 2_000_000,
        interval_us: int = 30_000,
        supervision_us: int = 2_560_000,
    ) -> None:
        """Let a node connect to one that says something connectable, as soon as it hears it.

        `made(link)`, and then the peripheral says nothing any more; or `lost(None, reason)` after
        `timeout_us`. Meanwhile the central reports nothing. `lost(link, reason)` when a link has ended.
        Raises ValueError if the central is connecting already.
        """
        self.links.connect(central, peripheral, made, lost, timeout_us, interval_us, supervision_us)

    # Who hears whom

    def move(self, node: int, x: float, y: float) -> None:
        self.map.move(node, x, y)

    def partition(self, groups: Mapping[int, int] | None) -> None:
        """Only nodes of one group hear each other, 0 for those not named; None lets all do so again."""
        self.map.partition(groups)

    def reach(self, a: int, b: int, heard: bool | None) -> None:
        """Let two hear each other or not, wherever they are; None leaves it to the model again."""
        self.map.reach(a, b, heard)

    def level(self, sender: int, receiver: int) -> float:
        """Mean level in dBm."""
        return self.map.level(sender, receiver)

    def in_reach(self, sender: int, receiver: int) -> bool:
        """Whether a receiver may hear a sender now."""
        return self.map.hears(sender, receiver) is not None

    def passes(
        self, sender: int, receiver: int, airtime: int, start: int | None = None, channel: int = -1
    ) -> bool:
        """Whether a packet gets through: of a link, or of an advertising event that began at `start`."""
        level = self.map.hears(sender, receiver)
        if level is None:
            return False
        rivals: Sequence[float] = ()
        burst = None
        if start is not None:
            rivals = self.map.rivals(receiver, self._overlapping(sender, start, airtime))
            at = start + ADV_PDU_SPACING_US * channel
            burst = self._burst(receiver, channel, at, airtime)
        return self._receive(level, airtime, rivals, burst, self.radio.loss) < 0

    def is_busy(self, node: int, at: int, airtime: int) -> bool:
        """Whether the node's radio transmits or is in a connection event during a packet."""
        return self.busy_until[node] > at and self.busy_from[node] < at + airtime

    def take(self, node: int, begin: int, length: int) -> None:
        """A connection event takes the node's radio."""
        self.busy_from[node], self.busy_until[node] = begin, begin + length

    # Statistics

    def stats(self, node: int) -> dict[str, Any]:
        """`Tally.report` of one node."""
        return self.tally.report(node, self.now)

    def totals(self) -> dict[str, Any]:
        """The same of all nodes together."""
        return tally.total(self.stats(node) for node in range(len(self._windows)))

    # The air

    def _begin(self, saying: _Saying) -> None:
        node = saying.node
        if self._saying[node] is not saying:
            return
        now = self.now
        if self.busy_until[node] > now:  # its radio has a connection event to see to
            self.at(self.busy_until[node], self._begin, saying)
            return
        airtime = saying.airtime
        saying.start = now
        saying.left -= 1
        end = now + _SPAN_US + airtime
        self.busy_from[node], self.busy_until[node] = now, end
        recent = self._recent
        while recent and recent[0][0] < now - _RECENT_US:
            recent.popleft()
        recent.append((now, airtime, node))
        self.tally.say(node, saying.kind, airtime)
        self.at(end, self._end, saying)

    def _end(self, saying: _Saying) -> None:
        """Decide who heard the event that has just ended."""
        node, start = saying.node, saying.start
        if saying.left:
            self.at(
                start + saying.interval + int(self._random() * (ADV_DELAY_MAX_US + 1)), self._begin, saying
            )
        self._deliver(node, start, saying)
        if saying.connectable and node in self.links.calls:
            self.links.advertised(node, start, saying.airtime)
        if not saying.left and self._saying[node] is saying:
            self._saying[node] = None
            if saying.done:
                saying.done(node)

    def _listening(self, start: int, saying: _Saying) -> list[tuple[int, float, int]]:
        """Who has a window open for a packet of an event, and nothing else to do; its level there, and when
        it begins. The others lose the event here."""
        windows, busy_from, busy_until = self._windows, self.busy_from, self.busy_until
        deaf, own = self.tally.lost[NOT_LISTENING], self.tally.lost[OWN_TRANSMISSION]
        calling, told, airtime = self.links.calling, saying.told, saying.airtime
        span, spacing = _SPAN_US, ADV_PDU_SPACING_US
        usual = here = 0
        found = []
        for receiver, mean in self.neighbours[saying.node]:
            if receiver in told:
                continue
            window = windows[receiver]
            if window is None or receiver in calling:
                deaf[receiver] += 1
                continue
            # As open_channel() says, which is called only where an event meets two windows.
            phase, interval, length, begun = window
            if interval != usual:
                usual = interval
                here = start % (3 * interval)
            offset = (here - phase) % interval
            if offset + airtime > length and offset + span < interval:
                deaf[receiver] += 1
                continue
            at = start + (here - phase) % (3 * interval) // interval * spacing
            if offset + at - start + airtime > length or start < begun:
                channel = (
                    -1 if offset + span < interval else open_channel(begun, interval, length, start, airtime)
                )
                if channel < 0:
                    deaf[receiver] += 1
                    continue
                at = start + spacing * channel
            if busy_until[receiver] > at and busy_from[receiver] < at + airtime:
                own[receiver] += 1
                continue
            found.append((receiver, mean, at))
        return found

    def _deliver(self, node: int, start: int, saying: _Saying) -> None:
        airtime, payload, connectable = saying.airtime, saying.payload, saying.connectable
        heard, ears, band = self.heard, self.ears, self._band
        fades, bits, sure, hopeless, _ = self._fading
        errors, chance, sensitivity = error_table(airtime), self._random, self.radio.sensitivity
        got, lost = self.tally.heard, self.tally.lost
        weak = lost[WEAK]
        others = [other for other in self._overlapping(node, start, airtime) if self.map.meet(node, other)]
        told, drops = saying.told, self._repeats > 0
        if drops and start - saying.since > self._repeats:
            told.clear()
            saying.since = start
        alone = not (others or band or self.radio.loss)
        for receiver, mean, at in self._listening(start, saying):
            level = mean + fades[bits(FADES_BITS)]
            if level < hopeless:
                weak[receiver] += 1
                continue
            if not alone:
                verdict = self._judged(receiver, level, others, start, at, airtime)
                if verdict > 0:
                    lost[verdict][receiver] += 1
                    continue
            else:
                # As judge() says where nothing else disturbs a packet, which is so of most.
                if level < sure:
                    place = int((level - hopeless) * STEPS_PER_DB)
                    drawn = chance()
                    if drawn < errors[place] and (
                        drawn < errors[place + 1] or drawn < packet_error(level - sensitivity, airtime)
                    ):
                        weak[receiver] += 1
                        continue
                verdict = round(level) if RSSI_MIN <= level < RSSI_MAX else level_shown(level)
            if (
                ears[receiver](node, verdict, payload, connectable)
                if ears
                else heard(receiver, node, verdict, payload, connectable)
            ) is False:
                lost[NO_BUFFER][receiver] += 1
            else:
                got[receiver] += 1
                if drops:
                    told.add(receiver)

    def _judged(
        self, receiver: int, level: float, others: list[int], start: int, at: int, airtime: int
    ) -> int:
        """What becomes of an event's packet at `at`, where others or a burst may drown it: see judge()."""
        rivals = self.map.rivals(receiver, others) if others else ()
        burst = None
        if self._band:
            burst = self._burst(receiver, (at - start) // ADV_PDU_SPACING_US, at, airtime)
        return self._fading[4](level, airtime, rivals, burst, self.radio.loss)

    def _overlapping(self, node: int, start: int, airtime: int) -> list[int]:
        """Who else has an event with packets over those of this one: all three, as they are evenly spaced."""
        return [
            other
            for begin, length, other in self._recent
            if begin < start + airtime and start < begin + length and other != node
        ]

    def _burst(self, receiver: int, channel: int, at: int, airtime: int) -> float | None:
        if not self._band:
            return None
        return self._band.level(channel, at, at + airtime, *self.map.positions[receiver])


def grid(columns: int, rows: int, spacing: float) -> list[tuple[float, float]]:
    """Positions row by row, `spacing` metres apart."""
    return [(column * spacing, row * spacing) for row in range(rows) for column in range(columns)]


def scatter(count: int, neighbours: float, radio: Radio, seed: int) -> list[tuple[float, float]]:
    """Random positions on a square on which a node has so many others within the median range, on average."""
    reach = radio.range_m or 10 ** ((radio.level_1m - radio.sensitivity) / (10 * radio.exponent))
    side = math.sqrt(count * math.pi * reach * reach / neighbours)
    rng = random.Random(f"scatter {seed}")
    return [(rng.random() * side, rng.random() * side) for _ in range(count)]
