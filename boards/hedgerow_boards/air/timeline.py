"""A queue of timed actions: the model's only notion of time, in integer microseconds."""

import heapq
from collections.abc import Callable

Action = Callable[[], None]


class Timer:
    """A pending action; `cancel` makes it a no-op."""

    __slots__ = ("action", "order", "time")

    def __init__(self, time: int, order: int, action: Action) -> None:
        self.time = time
        self.order = order
        self.action: Action | None = action

    def __lt__(self, other: "Timer") -> bool:
        return (self.time, self.order) < (other.time, other.order)

    def cancel(self) -> None:
        self.action = None


class EventQueue:
    """Runs actions in order of their time; equal times run in the order they were asked for."""

    def __init__(self) -> None:
        self.now = 0
        self._order = 0
        self._heap: list[Timer] = []

    def at(self, time: int, action: Action) -> Timer:
        self._order += 1
        timer = Timer(max(time, self.now), self._order, action)
        heapq.heappush(self._heap, timer)
        return timer

    def after(self, delay: int, action: Action) -> Timer:
        return self.at(self.now + delay, action)

    def next_time(self) -> int | None:
        """Time of the next action, None when nothing is pending."""
        heap = self._heap
        while heap and heap[0].action is None:
            heapq.heappop(heap)
        return heap[0].time if heap else None

    def step(self, until: int) -> None:
        """Run every action due at or before `until`, then let `until` be now."""
        heap = self._heap
        while heap and heap[0].time <= until:
            timer = heapq.heappop(heap)
            if timer.action is not None:
                self.now = timer.time
                timer.action()
        self.now = max(self.now, until)
