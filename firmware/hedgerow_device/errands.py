"""What a board with the small engine does for documents that it wants, while that engine is gone."""

from hedgerow.errors import HedgerowError
from hedgerow.limits import const
from hedgerow.mesh import pace, wishes
from hedgerow.sync.hello import LEAF

# Operations that wait for a schema.
_MOST_WAITING = const(4)
# Of the log, at once.
_READ_BYTES = const(256)


class _Engine:
    """What Wishes needs of an engine."""

    role = LEAF

    def __init__(self, peer: object):
        self.peer = peer
        self.window = self.names = self.repair = self
        self.stats = {"wishes": 0, "fetched": 0}

    def random(self, bound: int) -> int:
        """Return what spreads wishes: where this board is in its own time."""
        return self.peer.now() % bound

    def stir(self, now: int) -> None:
        """It does not sleep."""

    def learn(self, author: bytes, now: int) -> None:
        """It knows no names."""

    def want(self, what: int, name: bytes, now: int) -> None:
        """Have the next engine ask for a schema."""
        self.peer.wish_schema = name

    def say_down(self, content: bytes, at: int, hurry: bool) -> None:
        """Have the next engine say a letter."""
        self.peer.wish_letters.append(content)


def run(peer: object, whole: list, now: int) -> None:
    """Take in letters that are `whole`, and say what is wanted when it is time; durable on return."""
    limit = peer.log.read_limit
    peer.log.read_limit = min(limit, _READ_BYTES)
    try:
        _run(peer, whole, now)
    finally:
        peer.log.read_limit = limit


def _run(peer: object, whole: list, now: int) -> None:
    asker = wishes.Wishes(_Engine(peer), now)
    peer.wish_schema = b""
    waiting = peer.wish_waiting
    peer.wish_waiting = []
    for content in waiting + whole:
        try:
            asker.heard(content, now)
        except HedgerowError:
            # Others say what can be read.
            pass
    peer.wish_waiting = asker.waiting[-_MOST_WAITING:]
    if now >= peer.wish_at:
        asker.eager = peer.wish_eager
        asker.say_at = now
        asker.step(now)
        peer.wish_at, peer.wish_eager = asker.say_at, asker.eager
    elif peer.wish_schema:
        peer.wish_at = min(peer.wish_at, now + pace.TIME_MS)
