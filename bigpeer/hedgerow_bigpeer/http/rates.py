"""How often somebody may ask: a bucket of tokens for each caller, in this process."""

import math
import time
from collections import OrderedDict
from collections.abc import Callable

from hedgerow.errors import HedgerowError

from .. import limits


class Rates:
    """Lets each caller ask so often in the long run, and twice a second's worth at once; 0 lets everybody."""

    def __init__(self, per_second: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = per_second
        self._most = max(1.0, 2 * per_second)
        self._clock = clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, name: str) -> None:
        """Count a request. Raises RATE_LIMITED, whose detail begins with the seconds to wait."""
        if not self._rate:
            return
        now = self._clock()
        left, since = self._left.pop(name, (self._most, now))
        left = min(self._most, left + (now - since) * self._rate)
        if left < 1:
            self._left[name] = (left, now)
            raise HedgerowError("RATE_LIMITED", f"{math.ceil((1 - left) / self._rate)} s")
        self._left[name] = (left - 1, now)
        # Whoever asked longest ago has the fullest bucket: forgetting it gives away the least.
        if len(self._left) > limits.CALLERS:
            self._left.popitem(last=False)
