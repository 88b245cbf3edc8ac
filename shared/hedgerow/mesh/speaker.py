"""What is to be said next: a bounded queue by urgency, with suppression and pacing (SPEC 6.19)."""

from .. import limits
from .asks import covers

# Urgencies: how many times _PATIENCE_MS a saying may wait. Of what is due, the one whose patience ends first
# goes first, so that nothing waits for ever behind what is more urgent.
ANSWER = 0
OWN = 1
FORWARD = 2
DOWN = 3
REPAIR = 4
STATUS = 5

_PATIENCE_MS = limits.const(1500)
EVENT_MS = limits.const(105)
# All who hear each other share about 100 advertising events a second: 10 ms of the channel's time each.
_SHARE_MS = limits.const(10)
_BURST = limits.const(6)

_AT = limits.const(0)
_URGENCY = limits.const(1)
_NAME = limits.const(2)
_WHAT = limits.const(3)
_EVENTS = limits.const(4)
_QUIET = limits.const(5)
_MORE = limits.const(6)
# Beside `quiet`: it is to get on. Said, or left to others, it comes back once more, as ONWARD alone: dropped
# when one is heard saying it who is where it is to go.
ONWARD = limits.const(16)


class Speaker:
    """Sayings [moment, urgency, name, what, events, quiet, more]; `what` is a frame, or a function that makes
    one of (now) when its turn has come, None for nothing any more. One is dropped when `quiet` others, if
    it is not 0, were heard saying the same; `more` tells whether it comes back (Talk). A name stands for one.
    """

    def __init__(self, random: object, stats: dict, limit: int = limits.MAX_SAYINGS):
        self._random = random
        self._stats = stats
        self._limit = limit
        # By their names.
        self.names: dict = {}
        self.free_at = 0
        self._next: int | None = None
        # Until when our share of the channel is used up, if everybody in reach spoke as much.
        self._paid = 0
        self.neighbours = 0

    def __len__(self) -> int:
        return len(self.names)

    def add(
        self, at: int, urgency: int, name: int, what: object, events: int, quiet: int = 0, more: int = 0
    ) -> bool:
        """Queue a saying; one of that name that waits already stays, and is said at the earlier moment.

        Where there is no room the one that may wait for longest goes; False if it is this one.
        """
        saying = self.names.get(name)
        if saying is not None:
            if at < saying[_AT]:
                saying[_AT] = at
                self._next = None
            return True
        if len(self.names) >= self._limit:
            worst = max(self.names.values(), key=_rank)
            self._stats["overflowed"] += 1
            if _rank(worst)[0] <= at + urgency * _PATIENCE_MS:
                return False
            del self.names[worst[_NAME]]
        self.names[name] = [at, urgency, name, what, events, quiet, more]
        self._next = None
        return True

    def echo(self, name: int, count: int, there: bool = False) -> list | None:
        """Note that `count` others are known to have said the same, this one where it is to go or
        not; return what is not to be said any more."""
        saying = self.names.get(name)
        if saying is None:
            return None
        quiet = saying[_QUIET]
        if there and quiet >= ONWARD:
            quiet = saying[_QUIET] = quiet - ONWARD or 1
        most = quiet % ONWARD
        if not most or count < most:
            return None
        self._stats["suppressed"] += 1
        self.drop(name)
        return saying

    def held(self, key: bytes) -> None:
        """Who collects has all of an author, or letter, up to this key: what is here of it has got on."""
        for saying in list(self.names.values()):
            what = saying[_WHAT]
            if saying[_URGENCY] <= FORWARD and saying[_MORE] < 2 and isinstance(what, bytes):
                if covers(key, what[4:9]):
                    self.drop(saying[_NAME])

    def alike(self, frame: bytes) -> int:
        """Return how many RECEIPTs of the same keeper and author wait, this one or others."""
        count = 0
        for saying in self.names.values():
            what = saying[_WHAT]
            if isinstance(what, bytes) and what[:3] == frame[:3] and what[4:12] == frame[4:12]:
                count += 1
        return count

    def drop(self, name: int) -> None:
        """Say it no more."""
        if self.names.pop(name, None) is not None:
            self._next = None

    def due(self) -> int | None:
        """Return the moment of the next saying, None if there is none."""
        if not self.names:
            return None
        if self._next is None:
            self._next = min([saying[_AT] for saying in self.names.values()])
        return max(self._next, self.free_at)

    def free(self, now: int, since: int | None = None) -> bool:
        """Say whether what is added now as something to pass on is said at once, or soon; or, if it has
        waited `since` then as an own operation, whether that was longer than anything that is due."""
        if now < self.free_at:
            return False
        for saying in self.names.values():
            if saying[_URGENCY] <= FORWARD and saying[_AT] <= now:
                if since is None or _rank(saying)[0] <= since + OWN * _PATIENCE_MS:
                    return False
        return True

    def after(self, at: int | None) -> int | None:
        """Return when free() may be true, at `at` or later; None if due() comes before."""
        if at is None:
            return None
        at = max(at, self.free_at)
        for saying in self.names.values():
            if saying[_URGENCY] <= FORWARD and saying[_AT] <= at:
                return None
        return at

    def take(self, now: int) -> list | None:
        """Return the saying whose turn it is, taken out of the queue, or None."""
        if now < self.free_at:
            return None
        best = None
        for saying in self.names.values():
            if saying[_AT] <= now and (best is None or _rank(saying) < _rank(best)):
                best = saying
        if best is not None:
            del self.names[best[_NAME]]
            self._next = None
        return best

    def said(self, events: int, urgency: int, now: int) -> None:
        """Account for what goes on the air now: the next saying waits for its end, and for our share."""
        cost = events * (self.neighbours + 1) * _SHARE_MS
        self._paid = max(self._paid, now - _BURST * cost) + cost
        free = now + events * EVENT_MS + self._random(EVENT_MS)
        # What others wait for at once is paid for later.
        self.free_at = free if urgency <= OWN else max(free, min(self._paid, now + 4 * cost))


def _rank(saying: list) -> tuple:
    return saying[_AT] + saying[_URGENCY] * _PATIENCE_MS, saying[_NAME]
