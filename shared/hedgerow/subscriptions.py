"""What this peer wants, for itself and for neighbours, and how far each store has told it (SPEC 7.10)."""

from . import limits
from .codec import cbor
from .codec.schema import GRANTS
from .errors import HedgerowError
from .log import STATE_CONFIG
from .marks import Marks
from .sync.interest import Interest, write_interests

_OWN = b"interests"
_TRUST = b"s"

# What is here below the frontier came from peers who had passed it; and one of them has told us all.
CLEAN = b"c"
TOLD = b"t"


class Subscriptions:
    """The interests of a peer. Own ones are durable; those taken on for a neighbour last a day."""

    def __init__(self, peer: object):
        self._peer = peer
        self._log = peer.log
        self.own: list = []
        # key -> (interest, moment until which it is kept); their marks are not worth flash
        self.adopted: dict = {}
        # Up to which place of the log neighbours were told what had come of that.
        self.passed_to = 0
        self._marks = Marks(peer.log)
        self._trust: dict = {}
        stored = self._log.get(STATE_CONFIG, _OWN)
        for row in cbor.decode(stored) if stored else ():
            self.own.append(Interest(*row))

    @property
    def borrowed(self) -> bool:
        """Whether there are interests of neighbours, which are nowhere but here."""
        return bool(self.adopted)

    def subscribe(self, interest: Interest) -> None:
        """Want something, durably, from the start of what others hold."""
        if interest.key in [known.key for known in self.own]:
            return
        write_interests(self.own + [interest], [0] * (len(self.own) + 1))
        self._marks.forget(interest.key)
        self.own.append(interest)
        self.set_trust(interest.key, b"")
        self._store()

    def cancel(self, key: bytes) -> None:
        """Want it no more; what is here stays until it is evicted."""
        self.own = [interest for interest in self.own if interest.key != key]
        self._store()

    def _store(self) -> None:
        self._log.put(STATE_CONFIG, _OWN, cbor.encode([interest.row(0) for interest in self.own]))
        self._peer.commit()

    def adopt(self, interest: Interest, now: int) -> None:
        """Take on a neighbour's interest, if it may go on and there is room."""
        if not interest.hops or interest.key in [own.key for own in self.own]:
            return
        self._expire(now)
        if interest.key not in self.adopted and len(self.own) + len(self.adopted) >= limits.MAX_INTERESTS:
            return
        passed_on = Interest(interest.collection, interest.where, interest.parameters, interest.hops - 1)
        known = self.adopted.get(interest.key)
        if known and known[0].hops > passed_on.hops:
            passed_on = known[0]
        self.adopted[interest.key] = (passed_on, now + limits.INTEREST_EXPIRY_MS)

    def _expire(self, now: int) -> None:
        for key in [key for key in self.adopted if self.adopted[key][1] <= now]:
            del self.adopted[key]
            self._marks.forget(key)
            self._trust.pop(key, None)

    def active(self, now: int, keeper: bool = False) -> list:
        """Return the interests to tell a store of: the own ones first, as many as fit one frame. Who asks for
        the grants of all asks a `keeper` alone: no board is to carry those of others.
        """
        self._expire(now)
        found = [asked for asked in self.own if keeper or asked.where or asked.collection != GRANTS]
        for key in sorted(self.adopted):
            candidate = found + [self.adopted[key][0]]
            try:
                write_interests(candidate, [0] * len(candidate))
            except HedgerowError:
                break
            found = candidate
        return found

    def covers(self, collection: str) -> bool:
        """Say whether an own subscription names a collection."""
        return collection in [interest.collection for interest in self.own]

    # ---- how far a store has told us

    def position(self, store: bytes, incarnation: int, key: bytes) -> int:
        """Return up to which of a store's arrivals an interest was answered; 0 if its incarnation changed."""
        mark = self._marks.get(store + key)
        if not mark or int.from_bytes(mark[:4], "big") != incarnation:
            return 0
        return int.from_bytes(mark[4:], "big")

    def mark(self, store: bytes, incarnation: int, key: bytes, position: int) -> None:
        """Note it; for an own interest it is durable after the next commit."""
        mark = incarnation.to_bytes(4, "big") + position.to_bytes(8, "big")
        self._marks.set(store + key, mark, key not in self.adopted)

    def restart(self, key: bytes) -> None:
        """Ask every store for everything of an interest again, after what was here of it has gone."""
        self._marks.forget(key)
        self.set_trust(key, CLEAN)

    def trust(self, key: bytes) -> bytes:
        """Return how far an interest's documents below the frontier are trusted: CLEAN, TOLD, or no bytes."""
        return self._trust.get(key) or self._log.get(STATE_CONFIG, _TRUST + key) or b""

    def set_trust(self, key: bytes, trust: bytes) -> None:
        """Note it; for an own interest it is durable after the next commit."""
        if key in self.adopted:
            self._trust[key] = trust
        elif self.trust(key) != trust:
            self._log.put(STATE_CONFIG, _TRUST + key, trust)

    def vouches(self, collection: str) -> bool:
        """Say whether this peer has been told of all deletes in a collection that lie below its frontier."""
        for interest in self.own + [entry[0] for entry in self.adopted.values()]:
            if interest.collection == collection and not interest.where and self.trust(interest.key) == TOLD:
                return True
        return False
