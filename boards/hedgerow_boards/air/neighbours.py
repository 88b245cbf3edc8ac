"""Who may hear whom in a field: mean levels of all pairs in reach, found by a grid over the positions."""

import math
from bisect import insort
from collections.abc import Mapping, Sequence

from hedgerow_boards.air.physics import Radio

_LEVEL_FORCED = -60.0  # of a pair that is made to hear each other beyond the model's reach
_RIVALS_CACHED = 200_000
_SHADOWS_CACHED = 200_000


class Neighbours:
    """`lists[node]` is [(receiver, mean dBm)], strongest first, of those who may hear it."""

    def __init__(
        self, radio: Radio, seed: int, positions: Sequence[tuple[float, float]], keys: Sequence[int] | None
    ) -> None:
        self.radio = radio
        self.positions = [(float(x), float(y)) for x, y in positions]
        self._seed = seed
        self._keys = list(keys) if keys is not None else list(range(len(self.positions)))
        self._radius = radio.distance_of(radio.floor)
        self._disturbed = radio.distance_of(radio.rival_floor)
        self._reach_squared = (self._radius + self._disturbed) ** 2
        self._cells: dict[tuple[int, int], list[int]] = {}
        self._forced: dict[tuple[int, int], bool] = {}
        self._groups: dict[int, int] = {}
        self._rivals: dict[int, float | None] = {}
        self._shadows: dict[int, float] = {}
        for node in range(len(self.positions)):
            self._cells.setdefault(self._cell(node), []).append(node)
        self._all = [self._found(node) for node in range(len(self.positions))]
        self.lists = [list(found) for found in self._all]
        self._heard_by: list[set[int]] = [set() for _ in self.positions]  # whose lists a node is in
        for sender, found in enumerate(self._all):
            for receiver, _ in found:
                self._heard_by[receiver].add(sender)

    def _cell(self, node: int) -> tuple[int, int]:
        x, y = self.positions[node]
        return math.floor(x / self._radius), math.floor(y / self._radius)

    def _near(self, node: int) -> list[int]:
        """Who is within the radius."""
        positions, limit = self.positions, self._radius * self._radius
        mine, theirs = positions[node]
        column, row = self._cell(node)
        return [
            other
            for x in (column - 1, column, column + 1)
            for y in (row - 1, row, row + 1)
            for other in self._cells.get((x, y), ())
            if (positions[other][0] - mine) ** 2 + (positions[other][1] - theirs) ** 2 <= limit
            and other != node
        ]

    def _distance(self, a: int, b: int) -> float:
        return math.dist(self.positions[a], self.positions[b])

    def level(self, sender: int, receiver: int) -> float:
        """Mean dBm of a pair in one direction."""
        return self._level(sender, receiver, self._distance(sender, receiver))

    def _level(self, sender: int, receiver: int, distance: float) -> float:
        key = sender * len(self.positions) + receiver
        shadow = self._shadows.get(key)
        if shadow is None:
            if len(self._shadows) >= _SHADOWS_CACHED:
                self._shadows.clear()
            shadow = self.radio.shadow(self._seed, self._keys[sender], self._keys[receiver])
            self._shadows[key] = shadow
        return self.radio.mean_level(distance) + shadow

    def _heard(self, sender: int, receiver: int) -> float | None:
        """Mean level at which a receiver hears a sender, None out of reach; groups apart."""
        forced = self._forced.get((sender, receiver))
        if forced is False:
            return None
        distance = self._distance(sender, receiver)
        if forced is None and distance > self._radius:
            return None
        level = self._level(sender, receiver, distance)
        if forced:
            return max(level, _LEVEL_FORCED)
        return level if self.radio.reaches(level, distance) else None

    def _found(self, sender: int) -> list[tuple[int, float]]:
        others = self._near(sender)
        others += [b for (a, b), heard in self._forced.items() if a == sender and heard and b not in others]
        found = [(other, level) for other in others if (level := self._heard(sender, other)) is not None]
        found.sort(key=_strongest)
        return found

    def _show(self, sender: int) -> None:
        groups = self._groups
        group = groups.get(sender, 0)
        self.lists[sender] = [
            pair for pair in self._all[sender] if not groups or groups.get(pair[0], 0) == group
        ]

    def _renew(self, sender: int, receiver: int) -> None:
        """Put one pair right in its sender's list."""
        level = self._heard(sender, receiver)
        sources = self._heard_by[receiver]
        if level is None and sender not in sources:
            return
        found = [pair for pair in self._all[sender] if pair[0] != receiver]
        sources.discard(sender)
        if level is not None:
            insort(found, (receiver, level), key=_strongest)
            sources.add(sender)
        self._all[sender] = found
        self._show(sender)

    def hears(self, sender: int, receiver: int) -> float | None:
        """Mean level at which a receiver hears a sender now, None if it does not."""
        if self._groups.get(sender, 0) != self._groups.get(receiver, 0):
            return None
        return self._heard(sender, receiver)

    def move(self, node: int, x: float, y: float) -> None:
        """Put a node somewhere else; lists follow."""
        self._cells[self._cell(node)].remove(node)
        self.positions[node] = (float(x), float(y))
        self._cells.setdefault(self._cell(node), []).append(node)
        self._rivals.clear()
        for receiver, _ in self._all[node]:
            self._heard_by[receiver].discard(node)
        self._all[node] = self._found(node)
        for receiver, _ in self._all[node]:
            self._heard_by[receiver].add(node)
        self._show(node)
        for other in sorted(self._heard_by[node].union(self._near(node))):
            self._renew(other, node)

    def partition(self, groups: Mapping[int, int] | None) -> None:
        """Only nodes of one group, 0 for those not named, hear and disturb each other; None: all do."""
        self._groups = dict(groups or {})
        self._rivals.clear()
        for node in range(len(self.positions)):
            self._show(node)

    def reach(self, a: int, b: int, heard: bool | None) -> None:
        """Let two hear each other or not; None leaves it to the model."""
        for pair in ((a, b), (b, a)):
            if heard is None:
                self._forced.pop(pair, None)
            else:
                self._forced[pair] = heard
            self._renew(*pair)
        self._rivals.clear()

    def meet(self, a: int, b: int) -> bool:
        """Whether a receiver may hear one of two and be disturbed by the other, groups apart."""
        (x, y), (u, v) = self.positions[a], self.positions[b]
        return bool(self._forced) or (x - u) ** 2 + (y - v) ** 2 <= self._reach_squared

    def rivals(self, receiver: int, senders: Sequence[int]) -> list[float]:
        """Mean levels at a receiver of those of these others that are strong enough to disturb it."""
        levels = []
        for sender in senders:
            key = sender * len(self.positions) + receiver
            level = self._rivals.get(key, math.nan)
            if level is not None and math.isnan(level):
                level = self._keep(key, sender, receiver)
            if level is not None:
                levels.append(level)
        return levels

    def _keep(self, key: int, sender: int, receiver: int) -> float | None:
        if len(self._rivals) >= _RIVALS_CACHED:
            self._rivals.clear()
        level = self._rivals[key] = self._disturbs(sender, receiver)
        return level

    def _disturbs(self, sender: int, receiver: int) -> float | None:
        if self._groups.get(sender, 0) != self._groups.get(receiver, 0):
            return None
        forced = self._forced.get((sender, receiver))
        if forced is not None:
            return self._heard(sender, receiver)
        distance = self._distance(sender, receiver)
        if distance > self._disturbed:
            return None
        level = self._level(sender, receiver, distance)
        return level if self.radio.disturbs(level, distance) else None


def _strongest(pair: tuple[int, float]) -> tuple[float, int]:
    return -pair[1], pair[0]
