"""The one background thread that serves every emulated board of this process.

Everything that touches a board's process and port runs in it; other threads ask with `Rack.call`.
"""

import contextlib
import functools
import heapq
import itertools
import logging
import os
import select
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

_T = TypeVar("_T")
_log = logging.getLogger(__name__)


class Timer:
    """A call that is still to come; cancel() makes it never come."""

    def __init__(self, callback: Callable[[], None]) -> None:
        self._callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        self._callback = None

    def run(self) -> None:
        if self._callback is not None:
            self._callback()


class Rack:
    """An event loop on `poll`: descriptors, timers, and calls from other threads."""

    def __init__(self) -> None:
        self._poll = select.poll()
        self._readers: dict[int, Callable[[int], None]] = {}
        self._timers: list[tuple[float, int, Timer]] = []
        self._order = itertools.count()
        self._calls: deque[Callable[[], None]] = deque()
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        self._stopping = False
        self.watch(self._wake_read, select.POLLIN, lambda events: self._drain())
        self._thread = threading.Thread(target=self._run, name="hedgerow-rack", daemon=True)
        self._thread.start()

    def call(self, function: Callable[[], _T]) -> _T:
        """Run `function` in the rack's thread and return what it returns or raise what it raises."""
        future: Future[_T] = Future()

        def run() -> None:
            try:
                future.set_result(function())
            except BaseException as error:
                future.set_exception(error)

        self._calls.append(run)
        os.write(self._wake_write, b"!")
        return future.result()

    def watch(self, fd: int, events: int, callback: Callable[[int], None]) -> None:
        """Call `callback(events)` when `fd` is ready for the poll events; also changes the events."""
        self._poll.register(fd, events)
        self._readers[fd] = callback

    def unwatch(self, fd: int) -> None:
        if self._readers.pop(fd, None) is not None:
            self._poll.unregister(fd)

    def later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        """Call `callback` once, after `seconds`."""
        timer = Timer(callback)
        heapq.heappush(self._timers, (time.monotonic() + seconds, next(self._order), timer))
        return timer

    def stop(self) -> None:
        """End the thread and close its descriptors; not from its own thread."""

        def end() -> None:
            self._stopping = True

        self.call(end)
        self._thread.join()
        os.close(self._wake_read)
        os.close(self._wake_write)

    def _drain(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._wake_read, 4096)
        while self._calls:
            self._calls.popleft()()

    def _run(self) -> None:
        while not self._stopping:
            wait = None
            if self._timers:
                wait = max(0.0, self._timers[0][0] - time.monotonic()) * 1000
            for fd, events in self._poll.poll(wait):
                callback = self._readers.get(fd)  # an earlier one may have closed it
                if callback is not None:
                    _guarded(functools.partial(callback, events))
            while self._timers and self._timers[0][0] <= time.monotonic():
                _guarded(heapq.heappop(self._timers)[2].run)


def _guarded(callback: Callable[[], None]) -> None:
    """One board's fault must not stop the others."""
    try:
        callback()
    except Exception:
        _log.exception("an emulated board's supervisor failed")


class _Shared:
    """The rack of this process, while it has boards."""

    lock = threading.Lock()
    rack: Rack | None = None
    boards = 0


def acquire() -> Rack:
    """The rack of this process, started for its first board."""
    with _Shared.lock:
        _Shared.boards += 1
        if _Shared.rack is None:
            _Shared.rack = Rack()
        return _Shared.rack


def release() -> None:
    """One board fewer; the last one ends the thread."""
    with _Shared.lock:
        _Shared.boards -= 1
        if _Shared.boards == 0 and _Shared.rack is not None:
            _Shared.rack.stop()
            _Shared.rack = None
