"""Boards that were cloned, keys that were stolen: a session notices, and the Big Peer is shown (SPEC 5.16).

A gateway holds one line of an author and refuses the other, whose seals do not fit. What such a seal covers
is asked for again: from that its signature shows whether the author's own key has sealed both.
"""

import logging
from collections import OrderedDict

from hedgerow.crypto.greeting import Greeting
from hedgerow.crypto.members import Members
from hedgerow.errors import HedgerowError
from hedgerow.peer import Peer
from hedgerow.sync import frames
from hedgerow.sync.exchange import Exchange
from hedgerow.trust.verify import doubt
from hedgerow_host.fork import Evidence, Suspects

from . import limits
from .enrolment import Post, to_text

logger = logging.getLogger(__name__)

# Verdicts over what is shown. Else the Big Peer may have to learn first, the line that is held here or the
# credential that a delegate has issued; or it has a fault of its own.
_FINAL = ("SEAL_", "REQUEST_")


class Forks:
    """Evidence that waits for the Big Peer, of the newest `limits.FORKS` authors; lost with the process, for
    the next session finds it again.
    """

    def __init__(self, members: Members) -> None:
        self.members = members
        self._waiting: OrderedDict[bytes, Evidence] = OrderedDict()

    @property
    def waiting(self) -> int:
        """How many authors' evidence waits."""
        return len(self._waiting)

    def found(self, shown: Evidence) -> bool:
        """Keep what is the author's word; say whether it is."""
        try:
            if self.members.forked(shown.author) is not None or not shown.is_word(self.members):
                return False
        except HedgerowError:
            return False
        if shown.author not in self._waiting:
            logger.warning("author %s has sealed something else under numbers held here", shown.author.hex())
        self._waiting[shown.author] = shown
        if len(self._waiting) > limits.FORKS:
            self._waiting.popitem(last=False)
        return True

    def show(self, post: Post) -> None:
        """Show the Big Peer what waits; what it cannot judge yet waits on, and keeps nothing else back.

        Raises UPLINK_LOST.
        """
        for author, shown in list(self._waiting.items()):
            body = {
                "app": self.members.trust.app,
                "author": to_text(author),
                "seal": to_text(shown.seal),
                "marks": to_text(b"".join(shown.marks)),
            }
            try:
                post("forks", body)
            except HedgerowError as error:
                if error.code == "UPLINK_LOST":
                    raise
                logger.info("author %s: what was found is not taken: %s", author.hex(), error)
                if not error.code.startswith(_FINAL):
                    continue
            self._waiting.pop(author, None)


class WaryExchange(Exchange):
    """An exchange of a gateway that has what a failed seal covers come again, to see whose word it is."""

    def __init__(
        self, forks: Forks, peer: Peer, now: int, linger_ms: int, about: list[bytes], keys: Greeting | None
    ) -> None:
        super().__init__(peer, now, linger_ms=linger_ms, central=True, about=about, keys=keys)
        self._forks = forks
        self._suspects = Suspects()

    def _apply(self, kind: int, value: object, now: int) -> None:
        if kind == frames.SEAL and isinstance(value, tuple):
            author, body = value
            if self._suspects.watches(author):
                found = self._suspects.seal(author, body)
                if found is not None and self._forks.found(found):
                    # What no seal covers is not to stand in the place of the line that is held.
                    self.peer.doubts.pop(author, None)
                    doubt(self.peer, author, body, now)
            self._sealed(author, body, now)
            return
        if kind == frames.SEGMENT and isinstance(value, bytes) and self._suspects.watches(value[1:9]):
            self._watch(value)
        super()._apply(kind, value, now)

    def _sealed(self, author: bytes, body: bytes, now: int) -> None:
        refused = author in self.refused
        super()._apply(frames.SEAL, (author, body), now)
        if refused or self.refused.get(author) != "SEAL_INVALID":
            return
        number = self._suspects.suspect(author, body)
        if number is not None:
            self.session.queue_want_schema([])
            self.courier.tell([(author, number, number, 0)])

    def _watch(self, segment: bytes) -> None:
        try:
            author, first, bodies = self.decode(segment)
            self._suspects.hear(author, first, bodies, self.peer.schemas)
        except HedgerowError:
            # Then it is no evidence; what is wrong with it is said where it is taken.
            pass


def make_exchange(
    forks: Forks | None, peer: Peer, now: int, linger_ms: int, about: list[bytes], keys: Greeting | None
) -> Exchange:
    """Return the exchange with a board; a wary one where somebody keeps evidence."""
    if forks is not None:
        return WaryExchange(forks, peer, now, linger_ms, about, keys)
    return Exchange(peer, now, linger_ms=linger_ms, central=True, about=about, keys=keys)
