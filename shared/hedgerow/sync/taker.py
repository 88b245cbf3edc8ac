"""The side of a session that has interests: it says them, and takes what comes down (SPEC 7.10)."""

from ..errors import HedgerowError
from ..subscriptions import TOLD
from . import frames
from .hello import KEEPER
from .interest import write_interests, write_wants

_MISSED = ("LOG_FULL", "AUTHORS_FULL", "SCHEMA_UNKNOWN", "SCHEMA_CONFLICT", "SCHEMAS_FULL")


class Taker:
    """The interests of one session; `exchange` is its owner, `waiting` says that an answer is due."""

    def __init__(self, exchange: object, now: int):
        self._exchange = exchange
        self._peer = exchange.peer
        self._said: list = []
        self.waiting = False
        self._asked: list = []
        self._serial = 0
        self._missed = False
        self._passed = False
        self.say(now)

    def say(self, now: int) -> None:
        """Tell the other side what is wanted, if that is other than what it was told."""
        down = self._peer.down
        session = self._exchange.session
        holes = down.holes()
        if holes != self._asked:
            self._asked = list(holes)
            self._serial += 1
            self.waiting = True
            session.queue(frames.WANT, write_wants(holes))
        remote = self._exchange.remote
        interests = down.subscriptions.active(now, remote.role == KEEPER)
        if [interest.key for interest in interests] == [interest.key for interest in self._said]:
            return
        self._said = interests
        self._serial += 1
        self.waiting = True
        positions = [down.subscriptions.position(remote.author, remote.incarnation, i.key) for i in interests]
        session.queue(frames.INTEREST, write_interests(interests, positions))

    def take(self, segment: bytes) -> int:
        """Take operations that came down; return how many were news.

        What there is no room for today makes later marks void; what breaks a rule is passed over for good.
        """
        try:
            author, first, bodies = self._exchange.decode(segment)
            if author in self._exchange.refused:
                self._missed = True
                return 0
            return self._peer.down.fill(author, first, bodies, self._passed)
        except HedgerowError as error:
            if error.code in _MISSED:
                # No room, or no way to read it, today: it is asked for again.
                self._missed = True
                return 0
            if error.code == "SYNC_OWN_AUTHOR" or error.code[:7] in ("SEGMENT", "VARINT_"):
                raise
            # It breaks a rule, and will for ever: what else was asked for must not wait for it.
            return 0

    def mark(self, serial: int, positions: list) -> None:
        """Note how far the interests have been answered; what was said of former ones does not count."""
        if serial != self._serial:
            return
        self.waiting = False
        if self._missed:
            return
        if len(positions) != len(self._said):
            raise HedgerowError(
                "INTEREST_INVALID", "%d marks for %d interests" % (len(positions), len(self._said))
            )
        remote = self._exchange.remote
        for interest, position in zip(self._said, positions):
            subscriptions = self._peer.down.subscriptions
            subscriptions.mark(remote.author, remote.incarnation, interest.key, position)
            if self._passed:
                subscriptions.set_trust(interest.key, TOLD)

    def pass_frontier(self, below: bool, frontier: object, now: int) -> None:
        """Take a stability frontier that the other side has passed; `below`: we have to begin anew."""
        down = self._peer.down
        members = self._peer.members
        known = down.frontier
        news = known is None or known.signed() != frontier.signed()
        if members and news and frontier.reaches(known) and not members.proves_frontier(frontier):
            # Nobody's word: what is here below it stays. It may be true: who signs it is asked as before.
            self._missed = self._missed or below
            return
        # Who has passed less than we have may hold what was deleted since.
        self._passed = frontier.reaches(down.frontier)
        if self._passed and down.pass_frontier(frontier, below, self._said):
            self._said = []
            self.say(now)
