"""Time limits and pauses: no call into a radio or a socket may wait for ever."""

import asyncio
import random
from collections.abc import Coroutine
from typing import Any, TypeVar

from hedgerow.errors import HedgerowError

from . import limits

T = TypeVar("T")


async def bounded(call: Coroutine[Any, Any, T], seconds: float, code: str, what: str) -> T:
    """Return the result of `call`, or raise HedgerowError(`code`) after `seconds`.

    The call is cancelled, and abandoned when it does not even react to that within a second:
    `asyncio.timeout` would go on waiting for it, and D-Bus calls have been seen to swallow a cancellation.
    """
    task = asyncio.ensure_future(call)
    try:
        done, _ = await asyncio.wait({task}, timeout=seconds)
    except asyncio.CancelledError:
        await _abandon(task)
        raise
    if done:
        return task.result()
    await _abandon(task)
    raise HedgerowError(code, f"{what} took more than {seconds:g} s")


async def _abandon(task: "asyncio.Task[Any]") -> None:
    task.cancel()
    task.add_done_callback(_consume)
    await asyncio.wait({task}, timeout=limits.CANCEL_GRACE_S)


def _consume(task: "asyncio.Task[Any]") -> None:
    if not task.cancelled():
        task.exception()


class Backoff:
    """Exponential pauses with jitter: each between half and the whole of first * 2^n, up to most."""

    def __init__(self, first_s: float, most_s: float, rng: random.Random) -> None:
        self._first_s = first_s
        self._most_s = most_s
        self._rng = rng
        self.failures = 0

    def pause(self) -> float:
        """Count one more failure and return the seconds to wait before the next attempt."""
        whole = min(self._most_s, self._first_s * 2.0 ** min(self.failures, 32))
        self.failures += 1
        return whole * self._rng.uniform(0.5, 1.0)

    def reset(self) -> None:
        """Forget the failures."""
        self.failures = 0


async def wait_event(event: asyncio.Event, seconds: float | None) -> bool:
    """Wait until `event` is set, `seconds` at most (None: for ever); return whether it is set."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass
    return event.is_set()
